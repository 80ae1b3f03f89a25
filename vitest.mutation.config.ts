import { configDefaults, defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

const { projects: _, sequence: __, ...test } = base.test ?? {}

/** They hold servers, other programs or thousands of random cases against whole clients, which no mutant is worth. */
const slow = [
  'manifest/{blobs,fleet,lifecycle,network,order.property,peers,thaw}',
  'signing/interop',
  'trust/path/hostile',
  'trust/transparency/many',
].map((files) => `test/${files}.test.ts`)

/** What Stryker runs: the unit tests of what it mutates. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ['test/{trust,manifest,signing}/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...slow],
    testTimeout: 15_000, // a mutant that answers nothing
    hookTimeout: 15_000,
  },
})

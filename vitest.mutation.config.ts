import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

const { projects: _, sequence: __, ...test } = base.test ?? {}

/** What Stryker runs: the unit tests of what it mutates, but none that holds servers, other programs or random cases by the thousand. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    include: [
      'test/trust/{pins,describe-pins,evaluate}.test.ts',
      'test/trust/path/*.test.ts',
      'test/manifest/{accept,verify,envelope,anchor,roots,state}.test.ts',
      'test/signing/*.test.ts',
    ],
    exclude: ['test/trust/path/hostile.test.ts', 'test/signing/{interop,mutations}.test.ts'],
    testTimeout: 15_000, // a mutant that answers nothing
    hookTimeout: 15_000,
  },
})

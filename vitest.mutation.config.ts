import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

const { projects: _, sequence: __, ...test } = base.test ?? {}

/** What Stryker runs: the unit tests of what it mutates, and nothing that starts servers. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    include: [
      'test/trust/{pins,describe-pins,evaluate}.test.ts',
      'test/trust/path/{build,rules,policies,name-constraints,signature}.test.ts',
      'test/manifest/{accept,verify,envelope,anchor,roots,emergency,revocations,state}.test.ts',
    ],
  },
})

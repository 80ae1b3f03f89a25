import { defineConfig } from 'vitest/config'
import { AREAS } from './scripts/mutation/areas.ts'
import base from './vitest.config.ts'

const { projects: _, sequence: __, ...test } = base.test ?? {}
const { tests, without = [] } = AREAS[process.env['MUTATION_AREA'] ?? ''] ?? { tests: [] }

/** What Stryker runs for the folder that it mutates. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    isolate: false, // a worker for each run, not for each file of it: reading the sources is what takes long
    setupFiles: [], // which codes are made is not asked
    include: [...tests],
    exclude: [...without],
    testTimeout: 15_000, // a mutant that answers nothing
    hookTimeout: 15_000,
  },
})

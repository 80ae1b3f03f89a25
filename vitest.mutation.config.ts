import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { AREAS } from './scripts/mutation/areas.ts'
import { Unreadable } from './scripts/mutation/unreadable.ts'
import base from './vitest.config.ts'

const { projects: _, sequence: __, ...test } = base.test ?? {}
const { tests, without = [] } = AREAS[process.env['MUTATION_AREA'] ?? ''] ?? { tests: [] }

/** What Stryker runs for the folder that it mutates. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    isolate: false, // a worker for each run, not for each file of it: reading the sources is what takes long
    setupFiles: [fileURLToPath(new URL('scripts/mutation/first-failure.ts', import.meta.url))],
    reporters: [new Unreadable()],
    include: [...tests],
    exclude: [...without],
    testTimeout: 15_000, // a mutant that answers nothing
    hookTimeout: 15_000,
  },
})

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { AREAS } from './scripts/mutation/areas.ts'
import { Unreadable } from './scripts/mutation/unreadable.ts'
import base from './vitest.config.ts'

const { projects: _, ...test } = base.test ?? {}
const { tests, without = [], last = [] } = AREAS[process.env['MUTATION_AREA'] ?? ''] ?? { tests: [] }

class SlowLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => last.findIndex((path) => moduleId.endsWith(path))
    return files.toSorted((a, b) => place(a) - place(b))
  }
}

/** What Stryker runs for the folder that it mutates. */
export default defineConfig({
  ...base,
  test: {
    ...test,
    sequence: { sequencer: SlowLast },
    isolate: false, // a worker for each run, not for each file of it: reading the sources is what takes long
    setupFiles: [fileURLToPath(new URL('scripts/mutation/first-failure.ts', import.meta.url))],
    reporters: [new Unreadable()],
    include: [...tests],
    exclude: [...without],
    testTimeout: 15_000, // a mutant that answers nothing
    hookTimeout: 15_000,
  },
})

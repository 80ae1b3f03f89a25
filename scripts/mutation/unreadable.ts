import type { RunnerTask } from 'vitest'
import type { Reporter, Vitest } from 'vitest/node'

/**
 * A test file that cannot be read has no tests, so none that failed, and Stryker would take its mutant for one that nothing
 * notices. So it gets one.
 */
export class Unreadable implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(): void {
    for (const file of this.#vitest?.state.getFiles() ?? []) {
      if (file.result?.state !== 'fail' || file.tasks.length > 0) continue
      const failed = { type: 'test', name: 'can be read', mode: 'run', file, suite: file, result: file.result } as const
      file.tasks.push(failed as Partial<RunnerTask> as RunnerTask)
    }
  }
}

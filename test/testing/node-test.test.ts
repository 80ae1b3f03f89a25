import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const LIMIT_MS = 120_000 // two slow cores; it takes three seconds on an idle one
const SUITE = fileURLToPath(new URL('./under-node-test.ts', import.meta.url))

/** A process as a user starts it; the variables by which node:test and vitest know their children stay out. */
function nodeTest(...more: readonly string[]): Promise<{ readonly exitCode: number | null; readonly output: string }> {
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env
  const args = ['--import', import.meta.resolve('tsx'), '--test', '--test-reporter=tap', ...more, SUITE]
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      args,
      { env: { ...env, NODE_OPTIONS: '' }, timeout: LIMIT_MS },
      (_error, stdout, stderr) => resolve({ exitCode: child.exitCode, output: stdout + stderr }),
    )
  })
}

test(
  'the helpers do their work under node:test, and leave nothing open that keeps its process',
  async () => {
    const { exitCode, output } = await nodeTest()
    expect(output).toMatch(/^# pass 4$/m)
    expect(output).toMatch(/^# fail 0$/m)
    expect(exitCode).toBe(0)
  },
  2 * LIMIT_MS,
)

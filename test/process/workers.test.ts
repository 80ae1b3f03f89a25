import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { run } from '../support/run.ts'
import { hosts, pinned, startStage } from './stage.ts'

test.each(['fork', 'cluster', 'threads'])(
  'F67: %s: each has a client of its own on one cache, all are served, and all end by themselves',
  async (kind) => {
    const { env, api, repository } = await startStage()
    const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-fork-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true }))
    const program = fileURLToPath(new URL('./worker.ts', import.meta.url))
    const more = { ...env, KIND: kind, CACHE_DIR: cacheDir }
    const { exitCode, stdout, stderr } = await run(['--import', 'tsx', '--unhandled-rejections=strict', program], more)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n').toSorted()).toEqual([
      'first 200 1',
      'worker 200 1',
      'worker 200 1',
      'worker 200 1',
    ])
    expect(new Set(api.requests.map(({ connection }) => connection)).size).toBe(4) // no connection is shared

    // What they left behind is a floor for the next: a manifest they had accepted is known, a newer one is taken.
    await repository.publish({ hosts: hosts(pinned.pin) })
    const later = await run(['--import', 'tsx', program], { ...more, KIND: 'none' })
    expect([later.exitCode, later.stderr]).toEqual([0, ''])
    expect(later.stdout).toMatch(/^first 200 [12]\n$/)
  },
)

test('a client cannot be sent to another thread: its policy would stay behind', () => {
  const client = testClient({ pins: { 'api.example.com': [pinned.pin, pinned.pin] } })
  const { port1, port2 } = new MessageChannel()
  onTestFinished(() => [port1, port2].forEach((port) => void port.close()))
  expect(() => structuredClone(client)).toThrow(expect.objectContaining({ name: 'DataCloneError' }))
  expect(() => port1.postMessage(client)).toThrow(expect.objectContaining({ name: 'DataCloneError' }))
  expect(() => structuredClone(client.fetch)).toThrow(expect.objectContaining({ name: 'DataCloneError' }))
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { API, backup, ca, hosts, pinned, type Stage, startStage } from './stage.ts'

const DAY = 86_400_000
const clocks = ['both clocks', 'the wall clock alone', 'the monotonic clock alone'] as const // the last: the wall clock was set back

describe.skipIf(process.platform === 'win32')('F67: a process that was stopped and goes on', () => {
  test.each(clocks.slice(0, 2))(
    'past the end of its manifest, %s ahead: asks for today’s before its first request',
    async (kind) => {
      const { stage, child } = await frozen(15 * DAY, kind)
      const asked = stage.server.requestsFor('status.json')
      await stage.repository.publishStatus({ now: Date.now() + 15 * DAY })
      await child.thaw()
      expect(await child.get()).toBe(200)
      expect(stage.server.requestsFor('status.json')).toBeGreaterThan(asked)
    },
  )

  test.each(clocks)(
    'past the end of its manifest, %s ahead, without a source: refused, nothing is sent: ERR_TRUST_PINSET_EXPIRED',
    async (kind) => {
      const { stage, child } = await frozen(15 * DAY, kind)
      stage.server.respond('*', { status: 503 })
      await child.thaw()
      expect(await child.get()).toBe('ERR_TRUST_PINSET_EXPIRED')
      expect(stage.api.requests.length).toBe(1) // the one before
    },
  )

  test('while pins were rotated: the connection it kept is not used, and the key that went is refused: ERR_TRUST_PIN_MISMATCH', async () => {
    const { stage, child } = await frozen(15 * DAY, 'both clocks')
    await stage.repository.publish({ hosts: hosts(backup.pin), now: Date.now() + 15 * DAY })
    await child.thaw()
    expect(await child.get()).toBe('ERR_TRUST_PIN_MISMATCH')
    expect(stage.api.requests.length).toBe(1)
    stage.api.setIdentity(backup)
    expect(await child.get()).toBe(200)
    expect(stage.api.requests.map(({ connection }) => connection)).toEqual([0, stage.api.connections.length - 1])
  })

  test('past the end of the server’s certificate: the connection it kept is not used: ERR_TRUST_CERT_EXPIRED', async () => {
    const short = ca.issue({ names: [API], key: pinned.key, notAfter: Date.now() + DAY / 2 })
    const { stage, child } = await frozen(DAY, 'both clocks', short)
    await child.thaw()
    expect(await child.get()).toBe('ERR_TRUST_CERT_EXPIRED')
    expect(stage.api.requests.length).toBe(1)
  })

  test('within the life of everything: goes on over the connection it kept', async () => {
    const { stage, child } = await frozen(60_000, 'both clocks')
    await child.thaw()
    expect(await child.get()).toBe(200)
    expect(stage.api.requests.map(({ connection }) => connection)).toEqual([0, 0])
  })
})

type Clocks = (typeof clocks)[number]

/** A process that made one request, is stopped by the system, and finds its clocks moved when it goes on. */
async function frozen(ms: number, kind: Clocks, identity = pinned): Promise<{ stage: Stage; child: Child }> {
  const stage = await startStage(identity)
  const child = await startChild(stage)
  expect(await child.get()).toBe(200)
  await child.freeze()
  child.move({
    wall: kind === 'the monotonic clock alone' ? 0 : ms,
    monotonic: kind === 'the wall clock alone' ? 0 : ms,
  })
  return { stage, child }
}

type Child = Awaited<ReturnType<typeof startChild>>

async function startChild({ env }: Stage) {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-thaw-'))
  const file = join(folder, 'clocks.json')
  const move = (clocks: { wall: number; monotonic: number }): void => writeFileSync(file, JSON.stringify(clocks))
  move({ wall: 0, monotonic: 0 })
  const program = fileURLToPath(new URL('./sleeper.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    env: { ...process.env, ...env, CLOCKS: file, NODE_OPTIONS: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  })
  await once(child, 'message') // it listens
  return {
    move,
    get: async (): Promise<unknown> => {
      child.send('get')
      const [answer] = await once(child, 'message')
      return answer
    },
    freeze: async () => {
      child.kill('SIGSTOP')
      await expect.poll(() => stateOf(child)).toBe('T')
    },
    thaw: async () => {
      child.kill('SIGCONT')
      await expect.poll(() => stateOf(child)).not.toBe('T')
    },
  }
}

/** proc(5): the letter behind the name. Elsewhere the signal is trusted. */
function stateOf({ pid, signalCode }: ChildProcess): string {
  if (process.platform !== 'linux') return signalCode ?? 'T'
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return text[text.lastIndexOf(')') + 2] ?? ''
}

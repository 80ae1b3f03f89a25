import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createClient } from 'redis'
import { build } from 'tsup'
import { beforeAll, expect, test } from 'vitest'
import { redisServer, startRedis } from '../support/redis.ts'
import { isFull } from '../support/tier.ts'

if (redisServer === undefined)
  process.stderr.write('not run: eight processes and one refresh token, as no redis-server is installed\n')

const PROCESSES = 8
const SOURCE = fileURLToPath(new URL('token-worker.ts', import.meta.url))
/** Below node_modules, so that it finds its packages. */
const BUILT = fileURLToPath(new URL('../../node_modules/.cache/token-worker', import.meta.url))

/** Once for all of them: reading the sources costs a process a second of CPU. */
beforeAll(async () => {
  if (redisServer === undefined) return
  const how = { format: 'esm', config: false, silent: true, dts: false, skipNodeModulesBundle: true } as const
  await build({ entry: { worker: SOURCE }, outDir: BUILT, ...how })
})

interface Outcome {
  /** Requests to the token endpoint, and how many of them it granted. */
  readonly calls: number
  readonly granted: number
  /** When each token was issued. */
  readonly issuedAt: readonly number[]
  /** Processes killed while they had a request under way whose refresh token was spent by it. */
  readonly killedAfter: number
  readonly killed: number
  /** Sessions that ended, at the server. */
  readonly lost: number
  readonly said: readonly string[]
}

interface Task {
  readonly rounds: number
  readonly kills: number
  readonly lifetimeMs: number
  readonly timeoutMs: number
  /** How long the server still takes the refresh token that was spent last. Default: not at all. */
  readonly graceMs?: number
}

/** Eight processes share one rotating refresh token, whose server ends the session when a spent one comes again. */
async function share({ rounds, kills, lifetimeMs, timeoutMs, graceMs = 0 }: Task): Promise<Outcome> {
  await using redis = await startRedis()
  const spent = new Set<string>()
  let last = { token: '', until: 0 }
  const issuedAt: number[] = []
  const said: string[] = []
  const children = new Map<number, ChildProcess>()
  let [calls, lost, killed, killedAfter, session] = [0, 0, 0, 0, 0]
  let good = 'refresh-0-0'
  let isDone = false
  let failed: Error | undefined

  const endSession = (): void => {
    lost += 1
    session += 1
    good = `refresh-${session}-0`
  }
  const server = createServer(async (request, response) => {
    if (request.url === '/initial') return void response.end(good)
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const { refreshToken, pid } = JSON.parse(text) as { refreshToken: string; pid: number }
    calls += 1
    const kill =
      killed < kills && issuedAt.length > 0 && calls % 2 === 0 ? ['before', 'between', 'after'][killed % 3] : undefined
    const end = (): void => {
      killed += 1
      if (kill !== 'before') killedAfter += 1
      children.get(pid)?.kill('SIGKILL')
    }
    if (kill === 'before') return end()
    const isInGrace = refreshToken === last.token && performance.now() < last.until
    if (refreshToken !== good && !isInGrace) {
      if (spent.has(refreshToken)) endSession()
      response.statusCode = 400
      return void response.end('{}')
    }
    spent.add(refreshToken)
    if (!isInGrace) last = { token: refreshToken, until: performance.now() + graceMs }
    issuedAt.push(performance.now())
    good = `refresh-${session}-${issuedAt.length}`
    if (kill === 'between') return end()
    response.end(JSON.stringify({ accessToken: `access-${issuedAt.length}`, refreshToken: good, lifetimeMs }))
    if (kill === 'after') setTimeout(end, (killed * 7) % 5)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const start = (): void => {
    const args = [`${BUILT}/worker.js`, url, redis.url, `${timeoutMs}`]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    if (child.pid !== undefined) children.set(child.pid, child)
    child.stdout.on('data', (chunk) => void said.push(...String(chunk).trim().split('\n')))
    child.once('exit', (status) => {
      if (child.pid !== undefined) children.delete(child.pid)
      if (isDone) return
      if (status !== null) failed = new Error(`a worker ended by itself, with status ${status}`)
      if (failed !== undefined) return
      start()
      if (!isFull) void endLeases(redis.url)
    })
  }
  for (let n = 0; n < PROCESSES; n += 1) start()
  while (failed === undefined && (issuedAt.length < rounds || killed < kills))
    await new Promise((resolve) => setTimeout(resolve, 50))
  const newest = `token access-${issuedAt.length}`
  for (let waited = 0; waited < 200 && said.filter((line) => line === newest).length === 0; waited += 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
  isDone = true
  const gone = [...children.values()].map((child) => once(child, 'exit'))
  for (const child of children.values()) child.kill('SIGKILL')
  await Promise.all(gone)
  server.close()
  server.closeAllConnections()
  if (failed !== undefined) throw failed
  return { calls, granted: issuedAt.length, issuedAt, killed, killedAfter, lost, said }
}

/** As if the time of a dead holder were up, which is the most of what this would take. */
async function endLeases(url: string): Promise<void> {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  for (const key of await client.keys('*:lease')) await client.pExpire(key, 100)
  client.destroy()
}

/** A machine under load is slower than the deadline of the store: then nothing is sent, and a caller asks again. */
const IS_BUSY = /^error StoreError: token store: did not answer /

test.runIf(redisServer !== undefined)(
  'eight processes share one rotating refresh token: one request an expiry, no session lost (TOK-32)',
  async () => {
    const lifetimeMs = isFull ? 2_000 : 1_000
    const outcome = await share({ rounds: isFull ? 200 : 4, kills: 0, lifetimeMs, timeoutMs: 10_000 })
    expect(outcome.calls).toBe(outcome.granted)
    expect(outcome.lost).toBe(0)
    expect(outcome.said.filter((line) => !line.startsWith('token ') && !IS_BUSY.test(line))).toEqual([])
    for (const [index, at] of outcome.issuedAt.entries())
      if (index > 0) expect(at - (outcome.issuedAt[index - 1] ?? 0)).toBeGreaterThan(lifetimeMs * 0.7)
  },
  isFull ? 1_200_000 : 120_000,
)

test.runIf(redisServer !== undefined)(
  'whose holder is killed: a session is lost only where the answer was not stored yet, and says lost_rotation (TOK-26, TOK-33)',
  async () => {
    const outcome = await share({ rounds: 3, kills: isFull ? 30 : 3, lifetimeMs: 1_000, timeoutMs: 3_000 })
    expect(outcome.killed).toBeGreaterThanOrEqual(isFull ? 30 : 3)
    expect(outcome.lost).toBeLessThanOrEqual(outcome.killedAfter)
    const ends = outcome.said.filter((line) => line.startsWith('ended '))
    expect(new Set(ends)).toEqual(outcome.lost === 0 ? new Set() : new Set(['ended lost_rotation']))
  },
  isFull ? 1_200_000 : 180_000,
)

test.runIf(redisServer !== undefined)(
  'whose holder is killed, at a server with a grace window: no session is lost (TOK-30)',
  async () => {
    const kills = isFull ? 30 : 2
    const outcome = await share({ rounds: 3, kills, lifetimeMs: 1_000, timeoutMs: 3_000, graceMs: 60_000 })
    expect(outcome.killed).toBeGreaterThanOrEqual(kills)
    expect(outcome.lost).toBe(0)
    expect(outcome.killedAfter).toBeGreaterThan(0)
    expect(outcome.said.filter((line) => line.startsWith('ended '))).toEqual([])
  },
  isFull ? 1_200_000 : 180_000,
)

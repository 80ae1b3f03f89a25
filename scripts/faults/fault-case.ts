import { setTimeout as sleep } from 'node:timers/promises'
import { createWorld, type World } from './world.ts'

/** One fault and what has to come of it. */
export interface FaultCase {
  readonly id: `F${number}`
  /** What is injected, in words. */
  readonly fault: string
  readonly required: Required
  readonly run: (world: World) => Promise<void>
}

export interface Required {
  /** Of each call in order: status and body, or the code it rejects with. */
  readonly calls: readonly string[]
  /** TCP connections that reached a server; two numbers are the least and the most. Default 1. */
  readonly attempts?: number | readonly [number, number]
  /** Decrypted bytes that reached a server. Default: any number. */
  readonly applicationBytes?: number
  /** Requests that a server read to their end. Default: any number. */
  readonly requests?: number
  /** What the last error says of the request. */
  readonly requestSent?: 'no' | 'maybe' | 'yes'
  /** All events, in order, but those that tell of success. Default none. */
  readonly events?: readonly string[]
  /** For the slowest call, on a machine that is busy. Default 5 000. */
  readonly withinMs?: number
}

export interface FaultReport {
  readonly id: string
  readonly fault: string
  readonly outcome: string
  readonly attempts: number
  readonly applicationBytes: number
  readonly elapsedMs: number
  readonly events: string
  /** Connections that the client left open, and sockets of this process. */
  readonly left: number
  /** What did not hold. */
  readonly problems: readonly string[]
}

/** Runs a case and compares everything that can be seen of it. */
export async function runCase({ id, fault, required, run }: FaultCase): Promise<FaultReport> {
  const problems: string[] = []
  const onRejection = (reason: unknown): void => void problems.push(`unhandled rejection: ${String(reason)}`)
  process.on('unhandledRejection', onRejection)
  const before = openSockets()
  const world = createWorld()
  try {
    await Promise.race([run(world), tooLong()])
  } catch (error) {
    problems.push(`the case itself failed: ${String(error)}`)
  }
  await Promise.race([world.closeClients(), sleep(CLOSE_MS, undefined, { ref: false })])
  await until(() => world.open() === 0, GONE_MS) // shorter than any idle connection lives
  const stillOpen = world.open()
  const seen = world.seen()
  await world.closeServers()
  await until(() => openSockets() <= before)
  const left = stillOpen + Math.max(0, openSockets() - before)
  process.off('unhandledRejection', onRejection)

  const { calls, attempts = 1, applicationBytes, requests, requestSent, events = [], withinMs = 5_000 } = required
  const [least, most] = typeof attempts === 'number' ? [attempts, attempts] : attempts
  const expected = (what: string, wanted: unknown, found: unknown): void => {
    if (String(wanted) !== String(found)) problems.push(`${what}: expected ${wanted}, got ${found}`)
  }
  expected('calls', calls.join(', '), seen.calls.join(', '))
  expected('events', events.join(', '), seen.events.join(', '))
  if (requestSent !== undefined) expected('requestSent', requestSent, seen.requestSent)
  if (applicationBytes !== undefined) expected('application bytes', applicationBytes, seen.applicationBytes)
  if (requests !== undefined) expected('requests', requests, seen.requests)
  if (seen.attempts < least || seen.attempts > most) {
    problems.push(`attempts: expected ${least} to ${most}, got ${seen.attempts}`)
  }
  if (seen.elapsedMs > withinMs) problems.push(`elapsed: expected at most ${withinMs} ms, got ${seen.elapsedMs}`)
  expected('handles left', 0, left)
  problems.push(...seen.complaints)
  return {
    id,
    fault,
    outcome: seen.calls.join(', '),
    attempts: seen.attempts,
    applicationBytes: seen.applicationBytes,
    elapsedMs: seen.elapsedMs,
    events: seen.events.join(', '),
    left,
    problems,
  }
}

/** Generous: what is waited for comes at once or never. */
export async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !condition() && performance.now() < end; ) await sleep(10)
}

async function tooLong(): Promise<never> {
  await sleep(CASE_MS, undefined, { ref: false })
  throw new Error(`not over after ${CASE_MS} ms`)
}

const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((resource) => /^(TCP|TLS|GetAddrInfo)/.test(resource)).length
const CLOSE_MS = 20_000
const GONE_MS = 3_000
const CASE_MS = 240_000

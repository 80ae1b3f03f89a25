import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  checkIssuances,
  type IssuanceEvent,
  type IssuanceOptions,
  type IssuanceSource,
  type UnexpectedIssuance,
  watchIssuances,
} from 'pinfetch/monitor'
import { createTestRuntime, startIssuanceServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, vi } from 'vitest'
import type { WatchOptions } from '../../../src/monitor/issuance/options.ts'
import { testClient, until } from '../../support/client.ts'

/** A CA, a server that tells of its certificates, and a client that is pinned to the server. */
export async function issuanceStage(options: { readonly pageSize?: number } = {}) {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const server = await until(startIssuanceServer({ identity, ...options }))
  const client = testClient({ pins: { localhost: [identity.pin, ca.issue().pin] }, anchors: ca.anchorPem })
  const own = ca.issue({ names: ['www.example.com'] })
  const backup = ca.issue({ names: ['www.example.com'] })
  const known: Pick<IssuanceOptions, 'domains' | 'pins' | 'fetch'> = {
    domains: ['example.com'],
    pins: [own.pin, backup.pin],
    fetch: client.fetch,
  }
  return { ca, server, client, own, backup, known, rogue: () => ca.issue({ names: ['login.example.com'] }) }
}

/** One pass, and what was told meanwhile. */
export async function check(options: IssuanceOptions) {
  const events: IssuanceEvent[] = []
  const report = await checkIssuances({
    ...options,
    onEvent: async (event) => {
      events.push(event)
      await options.onEvent?.(event)
    },
  })
  expect(report.unexpected).toHaveLength(events.filter(({ type }) => type === 'ct.unexpected').length)
  return { ...report, events }
}

/** A watch whose clock the test moves, and what it told. It ends with the test. */
export function startWatch(options: WatchOptions) {
  const runtime = createTestRuntime({ now: Date.now() })
  const events: IssuanceEvent[] = []
  let [begun, passes] = [0, 0]
  const counted = (source: IssuanceSource): IssuanceSource => ({
    ...source,
    read: async function* (pass) {
      begun += 1
      try {
        yield* source.read(pass)
      } finally {
        passes += 1
      }
    },
  })
  const watch = watchIssuances({ runtime, ...options, sources: (options.sources ?? []).map(counted) })
  /** So many passes have ended, and each source waits for its next. */
  const rested = (count: number) =>
    eventually(() => {
      expect(passes).toBe(count)
      expect(runtime.pendingTimers).toBe(options.sources?.length)
    })
  watch.on('ct.unexpected', (event) => void events.push(event))
  watch.on('ct.watchFailed', (event) => void events.push(event))
  onTestFinished(() => watch.close())
  const of = <Type extends IssuanceEvent['type']>(type: Type) =>
    events.filter((event): event is Extract<IssuanceEvent, { type: Type }> => event.type === type)
  /** Moves the clock until the next pass begins, and no further: what is asked for has its own time. @returns Milliseconds. */
  const nextPass = async (withinMs: number): Promise<number> => {
    const before = begun
    for (let passed = 0; passed < withinMs; passed += STEP_MS) {
      await runtime.advance(STEP_MS)
      if (begun > before) return passed + STEP_MS
    }
    return expect.fail(`no pass within ${withinMs} ms`)
  }
  return { runtime, watch, events, of, rested, nextPass }
}

export async function folder(): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-ct-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return (name) => join(directory, name)
}

export const eventually = <T>(condition: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(condition, { timeout: 20_000, interval: 10 })

export const namesIn = (unexpected: readonly UnexpectedIssuance[]): readonly string[] =>
  unexpected.flatMap(({ names }) => names)

const STEP_MS = 5_000

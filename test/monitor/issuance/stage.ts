import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  checkIssuances,
  type IssuanceEvent,
  type IssuanceOptions,
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
  const watch = watchIssuances({ runtime, ...options })
  watch.on('ct.unexpected', (event) => void events.push(event))
  watch.on('ct.watchFailed', (event) => void events.push(event))
  onTestFinished(() => watch.close())
  const of = <Type extends IssuanceEvent['type']>(type: Type) =>
    events.filter((event): event is Extract<IssuanceEvent, { type: Type }> => event.type === type)
  return { runtime, watch, events, of }
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

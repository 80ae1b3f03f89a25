import { hash } from 'node:crypto'
import * as z from 'zod'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import { parseOptions } from '../../encoding/options.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Outlet } from './delivery.ts'
import { post } from './http.ts'
import { isNetworkError, networkErrorReport } from './network-error.ts'
import {
  CollectorUrl,
  carry,
  checkRoad,
  Fetch,
  hostOf,
  type OutletOptions,
  OutletShape,
  type Watched,
} from './outlet.ts'
import { isPinViolation, pinViolationReport } from './pin-violation.ts'
import type { ToldEvent } from './record.ts'

/** Where reports of pin violations go (RFC 7469 §3). */
export interface ReportOptions extends Omit<OutletOptions, 'events'> {
  /** https. */
  readonly url: string
  /** Of a client with a policy of its own. */
  readonly fetch: typeof globalThis.fetch
  /**
   * `rfc7469`: violated pins, as RFC 7469 §3 has them, one a request. `network-error`: all connections that failed, as Network Error
   * Logging has them, up to 20 a request as `application/reports+json`. Default `rfc7469`.
   */
  readonly format?: 'rfc7469' | 'network-error'
  /** However much fails. Default 60. */
  readonly maxPerHour?: number
}

/**
 * Reports to whoever operates a host what goes wrong with it. The same of the same host and the same certificates is reported once an
 * hour; the collector itself is never reported about.
 *
 * @throws ConfigurationError
 */
export function violationReports(client: Watched, options: ReportOptions): Outlet {
  const {
    url,
    fetch,
    format = 'rfc7469',
    maxPerHour = 60,
    ...rest
  } = parseOptions('violationReports', Options, options)
  checkRoad('violationReports', client, fetch)
  const { clock } = rest.runtime ?? systemRuntime
  const isNew = createFilter(maxPerHour)
  const isReported = format === 'rfc7469' ? isPinViolation : isNetworkError
  const select = ({ event, at }: ToldEvent): Violation | undefined =>
    event.type === 'tls.handshake' && isReported(event) && isNew(event, at) ? event : undefined
  const send = (body: unknown, type: string, signal: AbortSignal): Promise<void> =>
    post(fetch, url, { body: JSON.stringify(body), headers: { 'content-type': type }, signal })

  return carry<Violation, readonly Violation[]>(
    client,
    { ...rest, events: undefined },
    {
      name: `reports ${new URL(url).origin}`,
      host: hostOf(url),
      wanted: ['tls.handshake'],
      select,
      batchSize: format === 'rfc7469' ? 1 : MAX_REPORTS,
      prepare: (violations) => violations,
      deliver: (violations, signal) => {
        const [first] = violations
        if (format === 'rfc7469' && first !== undefined)
          return send(pinViolationReport(first, expiryOf(client)), 'application/json', signal)
        const now = clock.now()
        return send(
          violations.map((one) => networkErrorReport(one, now)),
          'application/reports+json',
          signal,
        )
      },
    },
  )
}

/** A handshake that has a code. */
export type Violation = HandshakeEvent & { readonly code: ErrorCode }

function createFilter(maxPerHour: number): (violation: Violation, at: UnixMs) => boolean {
  const seen = new BoundedMap<string, UnixMs>(MAX_SEEN)
  let sent: { readonly since: UnixMs; count: number } | undefined
  return ({ host, code, presented }, at) => {
    if (sent === undefined || !isWithinHour(sent.since, at)) sent = { since: at, count: 0 }
    if (sent.count >= maxPerHour) return false
    const key = [host, code, ...presented.slice(0, MAX_CHAIN).map((der) => hash('sha256', der, 'base64'))].join(' ')
    const before = seen.get(key)
    if (before !== undefined && isWithinHour(before, at)) return false
    seen.set(key, at)
    sent.count += 1
    return true
  }
}

/** A clock that was set back does not keep anybody quiet. */
const isWithinHour = (before: UnixMs, at: UnixMs): boolean => at >= before && at - before < HOUR_MS

/** Pins of a manifest end with it; those in code have no end. */
const expiryOf = (client: Watched): number | undefined => client.health?.().manifest?.expiresAt

const MAX_REPORTS = 20
const MAX_SEEN = 1_000
const MAX_CHAIN = 20
const HOUR_MS = 3_600_000

const { events: _, ...Shape } = OutletShape
const Options = z.strictObject({
  ...Shape,
  url: CollectorUrl,
  fetch: Fetch,
  format: z.enum(['rfc7469', 'network-error']).optional(),
  maxPerHour: z.int().min(1).max(10_000).optional(),
})

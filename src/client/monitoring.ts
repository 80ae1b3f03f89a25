import * as z from 'zod'
import type { Emitter } from '../events/emitter.ts'
import type { ClientEvent, EventOf } from '../events/events.ts'
import type { Expiring } from '../events/monitor-events.ts'
import type { AddressOf } from '../monitor/addresses.ts'
import { createAnomalies } from '../monitor/anomalies.ts'
import { createExpiryAlarms, createSeenCertificates, type Expiry, expiriesOf } from '../monitor/expiry.ts'
import { createSilenceWatch } from '../monitor/silence.ts'
import { createTimingWatch } from '../monitor/timing.ts'
import { createTrafficWatch } from '../monitor/traffic.ts'
import type { Cancel, Runtime } from '../ports/runtime.ts'

/** What a client watches by itself. */
export interface MonitorOptions {
  /** `tls.timing`: whether origins answer at the pace they used to. Default true. */
  readonly timing?: boolean
  /** `traffic.anomaly`: whether what is exchanged is as much as it used to be, and whether anything is. Default true. */
  readonly traffic?: boolean
  /**
   * What an address is one of, for `address-moved` of `tls.anomaly`: the number of its network, its country. Asked in the midst of a
   * connection, so it has to answer from memory; an empty text is not compared. Default: blocks of /16 for IPv4, /32 for IPv6.
   */
  readonly addressOf?: (address: string) => string
}

export type ResolvedMonitor = z.infer<typeof MonitorSchema>

export const MonitorSchema = z
  .union([
    z.literal(false),
    z.strictObject({
      timing: z.boolean().default(true),
      traffic: z.boolean().default(true),
      addressOf: z.custom<AddressOf>((value) => typeof value === 'function', 'expected a function').optional(),
    }),
  ])
  .default({ timing: true, traffic: true })

/** The shape alone; a function has no place in a file. */
export const MonitorInFile = z.union([
  z.literal(false),
  z.strictObject({ timing: z.boolean().exactOptional(), traffic: z.boolean().exactOptional() }),
])

export interface Monitoring {
  /** The soonest first. */
  readonly expiries: () => readonly Expiry[]
  readonly close: () => void
}

/** Feeds the watchers with what a client tells of itself, and tells what they say. One timer: dates and silent origins are looked at once an hour. */
export function startMonitoring(
  option: ResolvedMonitor,
  {
    runtime: { clock, schedule },
    emitter: { emit, follow },
    expiring,
  }: {
    readonly runtime: Pick<Runtime, 'clock' | 'schedule'>
    readonly emitter: Emitter
    readonly expiring: () => readonly Expiring[]
  },
): Monitoring {
  const seen = createSeenCertificates()
  const all = (): readonly Expiring[] => [...expiring(), ...seen.all(clock.now())]
  const expiries = (): readonly Expiry[] => expiriesOf(all(), clock.now())
  if (option === false) return { expiries, close: () => {} }

  const anomaliesOf = createAnomalies(option)
  const timing = option.timing ? createTimingWatch() : undefined
  const trafficOf = option.traffic ? createTrafficWatch() : undefined
  const silence = createSilenceWatch()
  const alarm = createExpiryAlarms()
  let cancel: Cancel = () => {}
  let isClosed = false

  const tell = (events: readonly ClientEvent[]): void => {
    for (const event of events) emit(event)
  }
  const look = (): void => {
    if (isClosed) return
    cancel()
    tell(alarm(all(), clock.now()))
    tell(silence.look(clock.monotonic()))
    cancel = schedule(HOUR_MS, look)
  }
  const lookSoon = (): void => queueMicrotask(look)

  const subscriptions = [
    follow('tls.handshake', (event) => {
      const certificate = seen.note(event)
      if (certificate !== undefined) tell(alarm([certificate], clock.now()))
      if (timing !== undefined) tell(timing.handshake(event))
    }),
    follow('tls.handshake', (event) => tell(anomaliesOf(event))), // apart: `addressOf` is not ours, and may throw
    follow('manifest.activated', lookSoon),
    follow('manifest.root', lookSoon),
    follow('certificate.loaded', lookSoon),
    follow('revocation.refreshed', lookSoon),
  ]
  if (timing !== undefined) subscriptions.push(follow('http.exchange', (event) => tell(timing.exchange(event))))
  if (trafficOf !== undefined) {
    const onExchange = (event: EventOf<'http.exchange'>): void => {
      silence.exchange(event.host, clock.monotonic())
      tell(trafficOf(event))
    }
    subscriptions.push(follow('http.exchange', onExchange))
  }
  lookSoon() // whoever listens was added in the tick that made the client
  return {
    expiries,
    close: () => {
      isClosed = true
      cancel()
      for (const end of subscriptions) end()
    },
  }
}

const HOUR_MS = 3_600_000

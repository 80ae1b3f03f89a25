import type { Attributes, Meter, Observable, ObservableResult } from '@opentelemetry/api'
import type { Emitter } from '../events/emitter.ts'
import type { EventOf } from '../events/events.ts'
import type { ExpiringThing } from '../events/monitor-events.ts'
import { ATTRIBUTE, METRIC } from './names.ts'
import { createServers } from './servers.ts'
import { errorType, protocolOf, statusAttributes } from './values.ts'

export interface MetricsSetup {
  readonly meter: Meter
  readonly on: Emitter['on']
  readonly health: () => HealthForGauges
  /** Unix milliseconds. */
  readonly now: () => number
  readonly maxServers: number
  /** Whether the duration of a request is ours to tell. */
  readonly isOurs: () => boolean
}

/** What the gauges read of `client.health()`. */
export interface HealthForGauges {
  readonly manifest?: { readonly manifestVersion: number }
  readonly manifests?: readonly { readonly manifestVersion: number }[]
  readonly expiries: readonly Expiry[]
  readonly connections?: readonly { readonly host: string; readonly active: number; readonly idle: number }[]
}

interface Expiry {
  readonly what: ExpiringThing
  readonly subject: string
  readonly notAfter: number
}

/** Returns the function that ends it. */
export function recordMetrics({ meter, on, health, now, maxServers, isOurs }: MetricsSetup): () => void {
  const serverOf = createServers(maxServers)
  const requestDuration = meter.createHistogram(METRIC.requestDuration, {
    ...SECONDS,
    description: 'Duration of HTTP client requests.',
  })
  const handshakeDuration = meter.createHistogram(METRIC.handshakeDuration, {
    ...SECONDS,
    description: 'Duration of TLS handshakes, the verdict included.',
  })
  const validationDuration = meter.createHistogram(METRIC.validationDuration, {
    description: 'Duration of the verdict about a peer.',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1] },
  })
  const counter = (name: string, unit: string, description: string) => meter.createCounter(name, { unit, description })
  const validations = counter(METRIC.pinValidations, '{validation}', 'Verdicts about peers, by result and mode.')
  const manifestRefreshes = counter(METRIC.manifestRefreshes, '{refresh}', 'Polls of the sources of the manifest.')
  const tokenRefreshes = counter(METRIC.tokenRefreshes, '{refresh}', 'Renewals of access tokens.')
  const retries = counter(METRIC.retries, '{retry}', 'Requests that were sent again.')
  const rateWaits = counter(METRIC.rateWaits, '{wait}', 'Requests that waited for a limit.')

  const onHandshake = (event: EventOf<'tls.handshake'>): void => {
    const { host, outcome, code, policy, timings, cut } = event
    const server = serverOf(host)
    const result = { [ATTRIBUTE.result]: outcome, ...errorType(code) }
    if (outcome !== 'failed') validations.add(1, { ...server, ...result, [ATTRIBUTE.mode]: policy.mode })
    if (cut === true) return
    const { tlsMs, verdictMs } = timings
    if (tlsMs !== undefined) handshakeDuration.record(tlsMs / 1_000, { ...server, ...result, ...tlsOf(event) })
    if (verdictMs !== undefined) validationDuration.record(verdictMs / 1_000, { ...server, ...result })
  }
  const onExchange = (event: EventOf<'http.exchange'>): void => {
    if (!isOurs()) return
    const { host, method, status, code, totalMs } = event
    requestDuration.record(totalMs / 1_000, {
      [ATTRIBUTE.method]: method,
      ...serverOf(host),
      ...protocolOf(event),
      ...statusAttributes(status),
      ...errorType(code),
    })
  }
  const listening = [
    on('tls.handshake', onHandshake),
    on('http.exchange', onExchange),
    on('manifest.poll', ({ result }) => manifestRefreshes.add(1, { [ATTRIBUTE.result]: result })),
    on('token.refresh', ({ result, trigger, code }) =>
      tokenRefreshes.add(1, { [ATTRIBUTE.result]: result, [ATTRIBUTE.trigger]: trigger, ...errorType(code) }),
    ),
    on('retry.scheduled', ({ host, cause }) => {
      const why = typeof cause === 'number' ? statusAttributes(cause) : errorType(cause)
      retries.add(1, { ...serverOf(host), ...why })
    }),
    on('rate.waited', ({ host }) => rateWaits.add(1, serverOf(host))),
  ]

  const observed = (made: Observable, read: (result: ObservableResult) => void) => {
    made.addCallback(read)
    return () => made.removeCallback(read)
  }
  const gauge = (name: string, unit: string, description: string, read: (result: ObservableResult) => void) =>
    observed(meter.createObservableGauge(name, { unit, description }), read)
  const observe = (result: ObservableResult, attributesOf: (expiry: Expiry) => Attributes | undefined): void => {
    const soonest = new Map<string, readonly [number, Attributes]>()
    for (const expiry of health().expiries) {
      const attributes = attributesOf(expiry)
      const key = JSON.stringify(attributes) // `_other` is many
      if (attributes !== undefined && expiry.notAfter < (soonest.get(key)?.[0] ?? Number.POSITIVE_INFINITY))
        soonest.set(key, [expiry.notAfter, attributes])
    }
    for (const [notAfter, attributes] of soonest.values()) result.observe((notAfter - now()) / 1_000, attributes)
  }
  const gauges = [
    gauge(METRIC.certificateExpiry, 's', 'Seconds until a certificate ends, negative once it has.', (result) =>
      observe(result, ({ what, subject }) => {
        if (what === 'client certificate') return { [ATTRIBUTE.certificateKind]: 'client' }
        return what === 'server certificate'
          ? { [ATTRIBUTE.certificateKind]: 'server', ...serverOf(subject) }
          : undefined
      }),
    ),
    gauge(METRIC.manifestExpiry, 's', 'Seconds until a document of the manifest ends.', (result) =>
      observe(result, ({ what }) => (DOCUMENTS.has(what) ? { [ATTRIBUTE.document]: what } : undefined)),
    ),
    ...SOONEST.map(([of, name, description]) =>
      gauge(name, 's', description, (result) => observe(result, ({ what }) => (what === of ? {} : undefined))),
    ),
    gauge(METRIC.manifestVersion, '{version}', 'Version of the manifest in force, of several the lowest.', (result) => {
      const { manifest, manifests = manifest === undefined ? [] : [manifest] } = health()
      const versions = manifests.map(({ manifestVersion }) => manifestVersion)
      if (versions.length > 0) result.observe(Math.min(...versions))
    }),
  ]
  const connections = meter.createObservableUpDownCounter(METRIC.openConnections, {
    unit: '{connection}',
    description: 'Open connections, and whether they carry a request now.',
  })
  const seen = new Set<Attributes>()
  const onConnections = (result: ObservableResult): void => {
    const counted = new Map([...seen].map((server) => [server, { active: 0, idle: 0 }])) // an SDK repeats what it is not told anew
    for (const { host, active, idle } of health().connections ?? []) {
      const server = serverOf(host)
      const before = counted.get(server) ?? { active: 0, idle: 0 } // `_other` is many
      counted.set(server, { active: before.active + active, idle: before.idle + idle })
      seen.add(server)
    }
    for (const [server, states] of counted)
      for (const [state, count] of Object.entries(states))
        result.observe(count, { [ATTRIBUTE.connectionState]: state, ...server })
  }
  const observing = [...gauges, observed(connections, onConnections)]
  return () => {
    for (const end of [...listening, ...observing]) end()
  }
}

function tlsOf({ connection }: EventOf<'tls.handshake'>): Attributes {
  if (connection === undefined) return {}
  const { protocol, resumed } = connection
  return { [ATTRIBUTE.tlsProtocolVersion]: protocol.slice('TLSv'.length), [ATTRIBUTE.tlsResumed]: resumed }
}

const DOCUMENTS: ReadonlySet<ExpiringThing> = new Set(['manifest', 'status', 'root'])
/** Of several the one that ends first: who is told of it asks `health()` which it is. */
const SOONEST = [
  ['pin', METRIC.pinExpiry, 'Seconds until the first pin ends, of those in code and in the manifest.'],
  ['revocation list', METRIC.revocationListExpiry, 'Seconds until the first list of revoked certificates ends.'],
  ['log list', METRIC.logListExpiry, 'Seconds until the list of transparency logs is too old to judge by.'],
  ['legacy host', METRIC.legacyHostExpiry, 'Seconds until the first legacy host is refused.'],
] as const satisfies readonly (readonly [ExpiringThing, string, string])[]
/** The boundaries that the conventions advise. */
const SECONDS = {
  unit: 's',
  advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
}

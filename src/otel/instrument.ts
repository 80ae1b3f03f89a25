import { context, type MeterProvider, metrics, type Tracer, type TracerProvider, trace } from '@opentelemetry/api'
import { ConfigurationError } from '../errors/errors.ts'
import type { Emitter } from '../events/emitter.ts'
import { systemRuntime } from '../ports/system.ts'
import { type HealthForGauges, recordMetrics } from './metrics.ts'
import { isSeenElsewhere, type Spans, spanRequests } from './request-spans.ts'
import { recordSpans } from './spans.ts'

/** A client, as far as it is looked at. */
export interface InstrumentedClient {
  readonly on: Emitter['on']
  readonly health: () => HealthForGauges
}

export interface InstrumentOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider
  /** In place of one of the provider. */
  readonly tracer?: Tracer
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider
  /**
   * Whether `client.fetch` gets a span here, and tells the server of it (`traceparent`). Default `auto`: unless something listens to
   * undici’s channel of requests, as its own instrumentation does; that is asked at every request.
   */
  readonly spans?: Spans
  /** The same for `http.client.request.duration`, which that instrumentation records too. Default `auto`. */
  readonly durations?: Spans
  /** How many servers are told apart by metrics; all others together are `_other`. 0 to 1,000. Default 100. */
  readonly maxServers?: number
}

export interface Instrumentation {
  /** Ends it; what was recorded stays with its providers. */
  readonly close: () => void
}

/**
 * Metrics and spans of one client, from its events. Names are those of OpenTelemetry’s semantic conventions where they have one.
 *
 * @throws ConfigurationError
 *
 * @example
 * const instrumentation = instrument(client)   // after the SDK was started
 */
export function instrument(client: InstrumentedClient, options: InstrumentOptions = {}): Instrumentation {
  const { spans = 'auto', durations = 'auto', maxServers = 100 } = options
  if (!Number.isInteger(maxServers) || maxServers < 0 || maxServers > MAX_SERVERS)
    throw invalid(`maxServers: expected 0 to ${MAX_SERVERS}, got ${String(maxServers)}`)
  for (const [name, value] of Object.entries({ spans, durations }))
    if (value !== 'auto' && typeof value !== 'boolean') throw invalid(`${name}: expected 'auto', true or false`)
  const { on, health } = client
  const now = (): number => systemRuntime.clock.now()
  const tracer = options.tracer ?? (options.tracerProvider ?? trace).getTracer(NAME)
  const meter = (options.meterProvider ?? metrics).getMeter(NAME)
  const requests = spanRequests(tracer, client, spans)
  const parent = () => {
    const span = requests.current()
    return { span, context: span === undefined ? context.active() : trace.setSpan(context.active(), span) }
  }
  const isOurs = (): boolean => (durations === 'auto' ? !isSeenElsewhere() : durations)
  const ends = [
    recordSpans({ tracer, on, now, parent }),
    recordMetrics({ meter, on, health, now, maxServers, isOurs }),
    requests.close,
  ]
  return {
    close: () => {
      for (const end of ends.splice(0)) end()
    },
  }
}

function invalid(what: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `instrument: ${what}`)
}

const NAME = 'pinfetch'
const MAX_SERVERS = 1_000

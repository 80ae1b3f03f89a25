import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { context, propagation, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { type RequestTrace, TRACES } from '../events/tracing.ts'
import { ATTRIBUTE } from './names.ts'
import { serverOf } from './servers.ts'
import { errorType, statusAttributes } from './values.ts'

/** Which requests get a span here. `auto`: those that OpenTelemetry's instrumentation of undici does not see. */
export type Spans = 'auto' | boolean

/**
 * OpenTelemetry's instrumentation of undici listens to this channel, on which every request of a client is told. Whatever else listens
 * there is taken for it: no span is better than two.
 */
export const isSeenElsewhere = (): boolean => CREATED.hasSubscribers

export interface RequestSpans {
  /** Of the request that the code at hand runs for. */
  readonly current: () => Span | undefined
  readonly close: () => void
}

/** One span for each `client.fetch`, its redirects and retries included; ended when the head of the answer is there. */
export function spanRequests(tracer: Tracer, client: object, spans: Spans): RequestSpans {
  const storage = new AsyncLocalStorage<Span | undefined>()
  const open = new WeakMap<RequestTrace, Span>()
  const begin = (request: RequestTrace): Span | undefined => {
    const before = storage.getStore() // a request of another client, which this one is made for
    const isOurs = request.client === client && spans !== false && !(spans === 'auto' && isSeenElsewhere())
    if (!isOurs) return before
    const { method, url, setHeader } = request
    const host = URL.canParse(url) ? new URL(url).host : ''
    const attributes = { [ATTRIBUTE.method]: method, [ATTRIBUTE.url]: url, ...(host !== '' && serverOf(host)) }
    const around = before === undefined ? context.active() : trace.setSpan(context.active(), before)
    const span = tracer.startSpan(method === '_OTHER' ? 'HTTP' : method, { kind: SpanKind.CLIENT, attributes }, around)
    open.set(request, span)
    propagation.inject(trace.setSpan(around, span), setHeader, { set: (set, name, value) => set(name, value) })
    return span
  }
  const end = (request: RequestTrace): void => {
    const span = open.get(request)
    if (span === undefined) return
    const { status, code, error } = request
    span.setAttributes({ ...statusAttributes(status), ...errorType(code) })
    if (code !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, ...(error && { message: error.message }) })
    else if (status !== undefined && status >= 400) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end()
  }
  const { start, asyncEnd } = TRACES.request
  const onEnd = (request: unknown): void => end(request as RequestTrace)
  start.bindStore(storage, begin as (request: unknown) => Span | undefined)
  asyncEnd.subscribe(onEnd)
  return {
    current: () => storage.getStore(),
    close: () => {
      start.unbindStore(storage)
      asyncEnd.unsubscribe(onEnd)
    },
  }
}

const CREATED = channel('undici:request:create')

import { createHash } from 'node:crypto'
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api'
import type { Emitter } from '../events/emitter.ts'
import type { EventOf } from '../events/events.ts'
import { ATTRIBUTE } from './names.ts'
import { serverOf } from './servers.ts'
import { errorType } from './values.ts'

export interface SpansSetup {
  readonly tracer: Tracer
  readonly on: Emitter['on']
  /** Unix milliseconds. */
  readonly now: () => number
  /** Of the request that something is done for, where there is one. */
  readonly parent: () => { readonly context: Context; readonly span: Span | undefined }
}

/** Spans of what ended, each with the time it took; and what happens to a request, as events of its span. */
export function recordSpans({ tracer, on, now, parent }: SpansSetup): () => void {
  /** @param tell What happened in it, before it ends. */
  const ended = (
    name: string,
    ms: number,
    attributes: Attributes,
    kind: SpanKind,
    context: Context,
    tell?: (span: Span) => void,
  ): void => {
    const end = now() // read once, or the time between two readings would be part of the span
    const span = tracer.startSpan(name, { kind, startTime: new Date(end - ms), attributes }, context)
    if (attributes[ATTRIBUTE.errorType] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR })
    tell?.(span)
    span.end(new Date(end))
  }
  const onHandshake = (event: EventOf<'tls.handshake'>): void => {
    if (event.cut === true) {
      violations(event, parent().span)
      return
    }
    const { timings } = event
    const attributes = connectAttributes(event)
    const tell = (span: Span): void => violations(event, span)
    ended('pinfetch.connect', timings.totalMs, attributes, SpanKind.CLIENT, parent().context, tell)
  }
  const listening = [
    on('tls.handshake', onHandshake),
    on('manifest.poll', ({ ms, result }) => {
      const attributes = { [ATTRIBUTE.result]: result, ...(result === 'failed' && errorType('')) }
      ended('pinfetch.manifest.refresh', ms, attributes, SpanKind.INTERNAL, ROOT_CONTEXT)
    }),
    on('token.refresh', ({ ms, result, trigger, code }) => {
      const attributes = { [ATTRIBUTE.result]: result, [ATTRIBUTE.trigger]: trigger, ...errorType(code) }
      const { context } = parent()
      ended('pinfetch.token.refresh', ms, attributes, SpanKind.INTERNAL, context)
    }),
    on('retry.scheduled', ({ attempt, cause }) => {
      const why = typeof cause === 'number' ? { [ATTRIBUTE.status]: cause } : errorType(cause)
      parent().span?.addEvent('pinfetch.retry', { [ATTRIBUTE.resendCount]: attempt - 1, ...why })
    }),
    on('rate.waited', ({ ms }) => void parent().span?.addEvent('pinfetch.ratelimit.wait', { [ATTRIBUTE.waitMs]: ms })),
    on('token.refused', ({ code }) => void parent().span?.addEvent('pinfetch.token.refused', errorType(code))),
    on('tls.interception', ({ spki, outcome }) => {
      parent().span?.addEvent('pinfetch.interception', { [ATTRIBUTE.spki]: spki, [ATTRIBUTE.result]: outcome })
    }),
    on('verify.result', ({ outcome, code }) => {
      if (outcome === 'refused') parent().span?.addEvent('pinfetch.response.refused', errorType(code))
    }),
  ]
  return () => {
    for (const end of listening) end()
  }
}

/** What broke the policy, one event each, in order. */
function violations({ findings, policy }: EventOf<'tls.handshake'>, span: Span | undefined): void {
  for (const { code, certificateIndex, message } of findings) {
    span?.addEvent('pinfetch.violation', {
      ...errorType(code),
      ...(certificateIndex !== null && { [ATTRIBUTE.certificateIndex]: certificateIndex }),
      [ATTRIBUTE.message]: message,
      [ATTRIBUTE.mode]: policy.mode,
      [ATTRIBUTE.manifestVersion]: policy.manifestVersion,
    })
  }
}

function connectAttributes(event: EventOf<'tls.handshake'>): Attributes {
  const { host, outcome, code, address, proxy, connection } = event
  return {
    ...serverOf(host),
    [ATTRIBUTE.result]: outcome,
    [ATTRIBUTE.tlsEstablished]: connection !== undefined,
    ...(address !== undefined && { [ATTRIBUTE.peerAddress]: address }),
    ...(proxy !== undefined && { [ATTRIBUTE.proxy]: proxy }),
    ...(connection !== undefined && {
      [ATTRIBUTE.tlsProtocolName]: 'tls',
      [ATTRIBUTE.tlsProtocolVersion]: connection.protocol.slice('TLSv'.length),
      [ATTRIBUTE.tlsCipher]: connection.cipher,
      [ATTRIBUTE.tlsResumed]: connection.resumed,
      ...(connection.group !== undefined && { [ATTRIBUTE.tlsCurve]: connection.group }),
    }),
    ...certificateAttributes(event),
    ...errorType(code),
  }
}

function certificateAttributes({ presented, chain }: EventOf<'tls.handshake'>): Attributes {
  const [der] = presented
  const [endEntity, issuer] = chain
  return {
    ...(der !== undefined && {
      [ATTRIBUTE.tlsServerSha256]: createHash('sha256').update(der).digest('hex').toUpperCase(),
    }),
    ...(endEntity !== undefined && {
      [ATTRIBUTE.tlsServerSubject]: endEntity.subject,
      [ATTRIBUTE.tlsServerNotAfter]: new Date(endEntity.notAfter).toISOString(),
    }),
    ...(issuer !== undefined && { [ATTRIBUTE.tlsServerIssuer]: issuer.subject }),
  }
}

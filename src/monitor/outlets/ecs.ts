import { isIP } from 'node:net'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { type Meaning, meaningOf, type Severity } from './meaning.ts'
import { bounded, detailsOf, endpointOf, factsOf, PRODUCT, type ToldEvent } from './record.ts'

/** A document of the Elastic Common Schema, ready for `JSON.stringify`. */
export type EcsRecord = Readonly<Record<string, unknown>>

/**
 * A document of the Elastic Common Schema. What it has no field for stands below `pinfetch`.
 *
 * @see https://www.elastic.co/docs/reference/ecs
 */
export function ecsRecord({ event, at }: ToldEvent): EcsRecord | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  const { severity, title, outcome, code, host } = meaning
  const { category, type, kind } = classificationOf(meaning)
  const isHandshake = event.type === 'tls.handshake'
  return {
    '@timestamp': new Date(isHandshake ? event.at : at).toISOString(),
    ecs: { version: '8.17.0' },
    message: title,
    event: {
      kind,
      category,
      type,
      outcome,
      action: event.type,
      severity: SEVERITIES[severity],
      module: PRODUCT.name,
      dataset: `${PRODUCT.name}.${meaning.kind}`,
      ...(code === undefined ? {} : { code }),
      ...(isHandshake ? { duration: Math.round(event.timings.totalMs * NS_PER_MS) } : {}),
    },
    observer: { vendor: PRODUCT.vendor, product: PRODUCT.name, version: PRODUCT.version },
    ...(host === undefined ? {} : { destination: destinationOf(host, isHandshake ? event : undefined) }),
    ...(meaning.kind === 'detection' ? { rule: { name: code ?? event.type, category: event.type } } : {}),
    ...(code === undefined ? {} : { error: { code } }),
    ...(isHandshake ? { tls: tlsOf(event), pinfetch: pinningOf(event) } : { pinfetch: detailsOf(event) }),
  }
}

function classificationOf({ kind, action, outcome, severity }: Meaning): {
  readonly category: readonly string[]
  readonly type: readonly string[]
  readonly kind: 'alert' | 'event'
} {
  const decision = action === 'observed' ? [] : [action]
  if (kind === 'connection')
    return {
      kind: 'event',
      category: ['network'],
      type: ['connection', ...decision, outcome === 'success' ? 'start' : 'end'],
    }
  if (kind === 'detection')
    return {
      kind: severity === 'informational' || severity === 'low' ? 'event' : 'alert',
      category: ['network', 'intrusion_detection'],
      type: decision.length === 0 ? ['info'] : decision,
    }
  if (kind === 'authentication') return { kind: 'event', category: ['authentication'], type: ['info'] }
  return { kind: 'event', category: ['configuration'], type: ['info'] }
}

function destinationOf(host: string, handshake: HandshakeEvent | undefined): EcsRecord {
  const { host: name, port } = endpointOf(host)
  const address = handshake?.proxy === undefined ? handshake?.address : undefined
  const ip = address ?? (isIP(name) === 0 ? undefined : name)
  return { address: name, ...(isIP(name) === 0 ? { domain: name } : {}), ...(ip === undefined ? {} : { ip }), port }
}

function tlsOf({ host, outcome, presented, connection }: HandshakeEvent): EcsRecord {
  const name = endpointOf(host).host
  const [first] = presented
  const facts = first === undefined ? undefined : factsOf(first)
  return {
    established: outcome === 'accepted' || outcome === 'reported',
    ...(isIP(name) === 0 ? { client: { server_name: name } } : {}),
    ...(connection === undefined
      ? {}
      : {
          version: connection.protocol.slice('TLSv'.length),
          version_protocol: 'tls',
          cipher: connection.cipher,
          resumed: connection.resumed,
          ...(connection.group === undefined ? {} : { curve: connection.group }),
        }),
    ...(facts === undefined ? {} : { server: serverOf(facts) }),
  }
}

function serverOf({ sha256, parsed }: ReturnType<typeof factsOf>): EcsRecord {
  const hash = { sha256: sha256.toUpperCase() }
  if (parsed === undefined) return { hash }
  const [notBefore, notAfter] = [parsed.notBefore, parsed.notAfter].map((at) => new Date(at).toISOString())
  return {
    hash,
    subject: parsed.subject,
    issuer: parsed.issuer,
    not_before: notBefore,
    not_after: notAfter,
    x509: {
      version_number: String(parsed.version),
      serial_number: parsed.serial,
      subject: { distinguished_name: parsed.subject },
      issuer: { distinguished_name: parsed.issuer },
      not_before: notBefore,
      not_after: notAfter,
      alternative_names: parsed.names.map(({ name }) => name),
    },
  }
}

/** What a reader of the verdict needs, without the timings and addresses that stand elsewhere. */
function pinningOf({ outcome, findings, pins, policy, revocation, transparency, proxy }: HandshakeEvent): EcsRecord {
  return {
    outcome,
    findings: findings.slice(0, MAX_ENTRIES).map(({ code }) => code),
    pins: bounded(pins),
    policy: { ...policy },
    ...(revocation === undefined ? {} : { revocation: { status: revocation.status } }),
    ...(transparency === undefined ? {} : { transparency: { status: transparency.status } }),
    ...(proxy === undefined ? {} : { proxy }),
  }
}

const SEVERITIES: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 8, critical: 10 }
const NS_PER_MS = 1_000_000
const MAX_ENTRIES = 20

import { hostname } from 'node:os'
import { toUSVString } from 'node:util'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { type Meaning, meaningOf, type Severity } from './meaning.ts'
import { bounded, detailsOf, endpointOf, factsOf, PRODUCT, type ToldEvent } from './record.ts'

/** A log record of the OpenTelemetry Protocol, as its JSON has it. */
export type OtlpLogRecord = Readonly<Record<string, unknown>>

/** Attributes of what the records come from; `service.name` first of all. */
export type OtlpResource = Readonly<Record<string, string>>

/**
 * A log record of the OpenTelemetry Protocol. Attributes have the names of the semantic conventions; what they have no name for begins
 * with `pinfetch.`, and is named as metrics and spans name it, or as the event does.
 *
 * @see https://opentelemetry.io/docs/specs/otel/logs/data-model/
 */
export function otlpLogRecord({ event, at }: ToldEvent): OtlpLogRecord | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  const { severity, title } = meaning
  const isHandshake = event.type === 'tls.handshake'
  return {
    timeUnixNano: nanoseconds(isHandshake ? event.at : at),
    observedTimeUnixNano: nanoseconds(at),
    severityNumber: SEVERITIES[severity],
    severityText: severity,
    eventName: `${PRODUCT.name}.${event.type}`,
    body: anyValue(title),
    attributes: keyValues({
      ...(isHandshake ? ofHandshake(event) : ofDetails(detailsOf(event))),
      ...ofMeaning(meaning),
    }),
  }
}

/** What a collector takes by POST to `/v1/logs`, or reads as a line of a file: records in JSON, and what they come from. */
export function otlpLogs(records: readonly string[], resource: OtlpResource = {}): string {
  const from = { 'service.name': 'unknown_service:node', 'host.name': hostname(), 'process.pid': process.pid }
  const attributes = JSON.stringify(keyValues({ ...from, ...resource }))
  const scopeLogs = `[{"scope":${SCOPE},"logRecords":[${records.join(',')}]}]`
  return `{"resourceLogs":[{"resource":{"attributes":${attributes}},"scopeLogs":${scopeLogs}}]}`
}

type Attributes = Readonly<Record<string, unknown>>

function ofMeaning({ kind, outcome, action, code, host }: Meaning): Attributes {
  const endpoint = host === undefined ? undefined : endpointOf(host)
  return {
    'server.address': endpoint?.host,
    'server.port': endpoint?.port,
    'error.type': code,
    'pinfetch.record.kind': kind,
    'pinfetch.record.outcome': outcome,
    'pinfetch.record.action': action,
  }
}

function ofHandshake(event: HandshakeEvent): Attributes {
  const { outcome, address, proxy, presented, connection, findings, pins, policy, revocation, transparency } = event
  const [first] = presented
  return {
    'network.peer.address': address,
    'tls.established': connection !== undefined,
    ...(connection !== undefined && {
      'tls.protocol.name': 'tls',
      'tls.protocol.version': connection.protocol.slice('TLSv'.length),
      'tls.cipher': connection.cipher,
      'tls.resumed': connection.resumed,
      'tls.curve': connection.group,
    }),
    ...(first !== undefined && ofCertificate(first)),
    'pinfetch.result': outcome,
    'pinfetch.mode': policy.mode,
    'pinfetch.manifest.version': policy.manifestVersion,
    'pinfetch.policy.source': policy.source,
    'pinfetch.policy.generation': policy.generation,
    'pinfetch.proxy': proxy,
    'pinfetch.findings': findings.slice(0, MAX_ENTRIES).map(({ code }) => code),
    'pinfetch.pins.considered': bounded(pins.considered),
    'pinfetch.pins.matched': bounded(pins.matched),
    'pinfetch.revocation.status': revocation?.status,
    'pinfetch.transparency.status': transparency?.status,
  }
}

function ofCertificate(der: Uint8Array): Attributes {
  const { sha256, parsed } = factsOf(der)
  return {
    'tls.server.hash.sha256': sha256.toUpperCase(),
    ...(parsed !== undefined && {
      'tls.server.subject': parsed.subject,
      'tls.server.issuer': parsed.issuer,
      'tls.server.not_before': new Date(parsed.notBefore).toISOString(),
      'tls.server.not_after': new Date(parsed.notAfter).toISOString(),
    }),
  }
}

/** Host and code have a name of the conventions. */
function ofDetails({ host: _, code: __, ...rest }: Attributes): Attributes {
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [`${PRODUCT.name}.${name}`, value]))
}

const keyValues = (values: object): readonly object[] =>
  Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: anyValue(value) }]))

/** `null` is a value that is empty. Protobuf's text is well-formed, and a decoder may refuse a whole request for what is not. */
function anyValue(value: unknown): object {
  if (typeof value === 'string') return { stringValue: toUSVString(value) }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { intValue: `${value}` } : { doubleValue: value }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } }
  return value === null ? {} : { kvlistValue: { values: keyValues(value as object) } }
}

/** Protobuf's JSON has integers of 64 bits as text. */
const nanoseconds = (ms: number): string => String(BigInt(Math.round(ms)) * 1_000_000n)

const SCOPE = JSON.stringify({ name: PRODUCT.name, version: PRODUCT.version })
/** INFO, INFO2, WARN, ERROR and ERROR2: what the data model's appendix has for the severities that syslog gets. */
const SEVERITIES: Readonly<Record<Severity, number>> = {
  informational: 9,
  low: 10,
  medium: 13,
  high: 17,
  critical: 18,
}
const MAX_ENTRIES = 20

import { isIP } from 'node:net'
import type { ChainEntry } from '../../errors/errors.ts'
import type { ClientEvent, EventOf } from '../../events/events.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { type Meaning, meaningOf, type Severity } from './meaning.ts'
import { bounded, type CertificateFacts, detailsOf, endpointOf, factsOf, PRODUCT, type ToldEvent } from './record.ts'

/** A record of the Open Cybersecurity Schema Framework, as JSON has it. */
export type OcsfRecord = Readonly<Record<string, unknown>>

/**
 * Handshakes are Network Activity (4001), what somebody should look at is a Detection Finding (2004), tokens are Authentication
 * (3002); other events have no class here. Instants are Unix milliseconds.
 *
 * @see https://schema.ocsf.io/1.6.0/
 */
export function ocsfRecord({ event, at }: ToldEvent): OcsfRecord | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  if (event.type === 'tls.handshake') return networkActivity(event, meaning)
  if (meaning.kind === 'detection') return detectionFinding({ event, at }, meaning)
  return meaning.kind === 'authentication' ? authentication({ event, at }, meaning) : undefined
}

function networkActivity(event: HandshakeEvent, meaning: Meaning): OcsfRecord {
  const { host, at, outcome, address, proxy, connection, policy, timings } = event
  const isOpen = meaning.outcome === 'success'
  return {
    ...classOf(4001, 4, isOpen ? { id: 1, name: 'Open' } : { id: 4, name: 'Fail' }),
    ...baseOf(event, meaning, at),
    ...controlOf(meaning),
    ...statusOf(meaning),
    duration: Math.round(timings.totalMs),
    dst_endpoint: endpointRecord(host, proxy === undefined ? address : undefined),
    connection_info: { direction_id: 2, direction: 'Outbound', protocol_num: 6, protocol_name: 'tcp' },
    policy: { name: policy.source, uid: policy.generation, version: String(policy.manifestVersion) },
    tls: tlsOf(event),
    unmapped: unmappedOf(event, { outcome, ...(proxy === undefined ? {} : { proxy }), connection }),
  }
}

/** `version` is required, and nobody knows it of a peer that was refused before the handshake was finished. */
function tlsOf({ host, presented, connection, timings }: HandshakeEvent): OcsfRecord {
  const { tlsMs } = timings
  const chain = presented.slice(0, MAX_CHAIN).map(factsOf)
  const [endEntity] = chain
  return {
    sni: endpointOf(host).host,
    version: connection?.protocol.slice('TLSv'.length) ?? 'unknown',
    ...(connection === undefined ? {} : { cipher: connection.cipher }),
    ...(tlsMs === undefined ? {} : { handshake_dur: Math.round(tlsMs) }),
    ...(endEntity?.parsed === undefined ? {} : { certificate: certificateOf(endEntity, endEntity.parsed) }),
    ...(chain.length === 0 ? {} : { certificate_chain: chain.map(({ parsed, sha256 }) => parsed?.serial ?? sha256) }),
  }
}

function certificateOf({ sha256 }: CertificateFacts, parsed: Required<CertificateFacts>['parsed']): OcsfRecord {
  return {
    version: String(parsed.version),
    subject: parsed.subject,
    issuer: parsed.issuer,
    serial_number: parsed.serial,
    fingerprints: [{ algorithm_id: 3, algorithm: 'SHA-256', value: sha256 }],
    created_time: parsed.notBefore,
    expiration_time: parsed.notAfter,
    is_self_signed: parsed.isSelfIssued,
    sans: parsed.names.map(({ type, name }) => ({ type, name })),
  }
}

function unmappedOf(
  { code, pins, findings, revocation, transparency }: HandshakeEvent,
  more: Readonly<Record<string, unknown>>,
): OcsfRecord {
  return {
    ...more,
    ...(code === undefined ? {} : { code }),
    pins_considered: bounded(pins.considered),
    pins_matched: bounded(pins.matched),
    findings: findings.slice(0, MAX_CHAIN).map((finding) => finding.code),
    ...(revocation === undefined ? {} : { revocation_status: revocation.status }),
    ...(transparency === undefined ? {} : { transparency_status: transparency.status }),
  }
}

function detectionFinding({ event, at }: ToldEvent, meaning: Meaning): OcsfRecord {
  const { host, code, title, ends = false } = meaning
  const rule = code ?? event.type
  return {
    ...classOf(2004, 2, ends ? { id: 3, name: 'Close' } : { id: 1, name: 'Create' }),
    ...baseOf(event, meaning, at),
    ...controlOf(meaning),
    ...(ends ? { status_id: 4, status: 'Resolved' } : { status_id: 1, status: 'New' }),
    ...CONFIDENCE[STATISTICAL.has(event.type) ? 'low' : 'high'],
    is_alert: !ends && ALERTS.has(meaning.severity),
    finding_info: {
      uid: findingOf(event, rule, host),
      title,
      created_time: at,
      types: [event.type],
      analytic: {
        uid: rule,
        name: rule,
        ...(STATISTICAL.has(event.type) ? { type_id: 3, type: 'Statistical' } : { type_id: 1, type: 'Rule' }),
      },
    },
    evidences: [
      {
        ...(host === undefined ? {} : { dst_endpoint: endpointRecord(host) }),
        data: detailsOf(event),
      },
    ],
  }
}

/** The same for what belongs together, so that a SIEM can count, and close what was opened. */
function findingOf(event: ClientEvent, rule: string, host: string | undefined): string {
  if (event.type === 'containment.begun' || event.type === 'containment.ended') return `${rule}/${event.scope}`
  const chain = (event as { readonly chain?: readonly ChainEntry[] }).chain?.[0]?.spki
  return [event.type, rule, host, chain].filter((part) => part !== undefined).join('/')
}

/** Kerberos’ words for what a client does with tokens: a first one is a logon, a renewed one a ticket renewed. */
function authentication({ event, at }: ToldEvent, meaning: Meaning): OcsfRecord {
  const { host, title } = meaning
  const { tenantHash } = event as Partial<EventOf<'token.refresh'>>
  return {
    ...classOf(3002, 3, activityOf(event)),
    ...baseOf(event, meaning, at),
    ...statusOf(meaning),
    auth_protocol_id: 6,
    auth_protocol: 'OAUTH 2.0',
    is_remote: true,
    user: { name: tenantHash ?? 'client', type_id: 3, type: 'System' },
    service: { name: host ?? 'authorization server' },
    ...(host === undefined ? {} : { dst_endpoint: endpointRecord(host) }),
    unmapped: { title, ...detailsOf(event) },
  }
}

function activityOf(event: ClientEvent): { readonly id: number; readonly name: string } {
  if (event.type === 'token.refresh')
    return event.trigger === 'first' ? { id: 1, name: 'Logon' } : { id: 5, name: 'Service Ticket Renew' }
  if (event.type === 'token.revoked' || event.type === 'token.reauthRequired') return { id: 2, name: 'Logoff' }
  if (event.type === 'token.refused') return { id: 1, name: 'Logon' }
  return { id: 99, name: event.type }
}

function classOf(uid: number, category: number, activity: { readonly id: number; readonly name: string }): OcsfRecord {
  return {
    class_uid: uid,
    class_name: CLASSES[uid],
    category_uid: category,
    category_name: CATEGORIES[category],
    activity_id: activity.id,
    activity_name: activity.name,
    type_uid: uid * 100 + activity.id,
  }
}

function baseOf(event: ClientEvent, { severity, title, kind }: Meaning, at: number): OcsfRecord {
  return {
    time: at,
    severity_id: SEVERITIES[severity],
    severity: `${severity.charAt(0).toUpperCase()}${severity.slice(1)}`,
    message: title,
    metadata: {
      version: '1.6.0',
      product: { name: PRODUCT.name, vendor_name: PRODUCT.vendor, version: PRODUCT.version },
      event_code: event.type,
      ...(kind === 'authentication' ? {} : { profiles: ['security_control'] }),
    },
  }
}

function endpointRecord(text: string, address?: string): OcsfRecord {
  const { host, port } = endpointOf(text)
  const ip = address ?? (isIP(host) === 0 ? undefined : host)
  return { ...(isIP(host) === 0 ? { hostname: host } : {}), ...(ip === undefined ? {} : { ip }), port }
}

const statusOf = ({ outcome, code }: Meaning): OcsfRecord => ({
  ...STATUSES[outcome],
  ...(code === undefined ? {} : { status_code: code }),
})

/** The security_control profile: what the client did about it. */
const controlOf = ({ action }: Meaning): OcsfRecord => CONTROLS[action]

const CONTROLS = {
  allowed: { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' },
  denied: { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' },
  observed: { action_id: 3, action: 'Observed', disposition_id: 17, disposition: 'Logged' },
} as const
const STATUSES = {
  unknown: { status_id: 0, status: 'Unknown' },
  success: { status_id: 1, status: 'Success' },
  failure: { status_id: 2, status: 'Failure' },
} as const
const CONFIDENCE = {
  low: { confidence_id: 1, confidence: 'Low' },
  high: { confidence_id: 3, confidence: 'High' },
} as const
const SEVERITIES = { informational: 1, low: 2, medium: 3, high: 4, critical: 5 } as const
const CLASSES: Readonly<Record<number, string>> = {
  2004: 'Detection Finding',
  3002: 'Authentication',
  4001: 'Network Activity',
}
const CATEGORIES: Readonly<Record<number, string>> = {
  2: 'Findings',
  3: 'Identity & Access Management',
  4: 'Network Activity',
}
const ALERTS: ReadonlySet<Severity> = new Set(['medium', 'high', 'critical'])
const STATISTICAL: ReadonlySet<ClientEvent['type']> = new Set(['tls.timing', 'traffic.anomaly'])
const MAX_CHAIN = 20

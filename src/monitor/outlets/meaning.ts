import type { ErrorCode } from '../../errors/codes.ts'
import type { ClientEvent, EventOf } from '../../events/events.ts'

/** What an event means to somebody who watches many programs. Every record, whatever its format, is written from it. */
export interface Meaning {
  /**
   * `connection`: a handshake. `detection`: somebody should look at it. `authentication`: the life of a token. `operation`: what
   * keeps the client at work, or will stop doing so.
   */
  readonly kind: 'connection' | 'detection' | 'authentication' | 'operation'
  readonly severity: Severity
  /** One line. */
  readonly title: string
  readonly outcome: 'success' | 'failure' | 'unknown'
  /** What the client did about it; `observed`: it told. */
  readonly action: 'allowed' | 'denied' | 'observed'
  readonly code?: ErrorCode
  /** Canonical host, with the port where it is not 443. */
  readonly host?: string
  /** It ends what an earlier event of the same subject began. */
  readonly ends?: true
}

export type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical'

type Type = ClientEvent['type']

/**
 * `undefined` for what no record is made of: the pace of requests, and what another event tells as well. One violation is one
 * detection: a refused peer is `tls.rejected`, whatever `tls.handshake` and `tls.interception` say of the same attempt.
 */
export function meaningOf(event: ClientEvent): Meaning | undefined {
  const read = MEANINGS[event.type] as ((event: ClientEvent) => Meaning | undefined) | undefined
  const meaning = read?.(event)
  return meaning === undefined || meaning.title.length <= MAX_LENGTH
    ? meaning
    : { ...meaning, title: shortened(meaning.title) }
}

/** No text in a record is longer. */
export const shortened = (text: string): string =>
  text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`

const MAX_LENGTH = 500

const MEANINGS: { readonly [T in Type]?: (event: EventOf<T>) => Meaning | undefined } = {
  'tls.handshake': ({ host, outcome, code }) => ({
    kind: 'connection',
    severity: outcome === 'failed' ? 'low' : 'informational',
    title: `TLS connection to ${host} ${HANDSHAKES[outcome]}`,
    outcome: outcome === 'accepted' || outcome === 'reported' ? 'success' : 'failure',
    action: outcome === 'refused' ? 'denied' : outcome === 'failed' ? 'observed' : 'allowed',
    host,
    ...given(code),
  }),
  'tls.rejected': ({ host, code }) =>
    detection(`${host}: the peer was refused`, { severity: severityOf(code), action: 'denied', host, code }),
  'tls.reported': ({ host, code }) =>
    detection(`${host}: report mode let a peer pass`, { severity: severityOf(code), action: 'allowed', host, code }),
  'tls.interception': ({ host, outcome }) =>
    outcome === 'refused' // told by tls.rejected, which holds the finding
      ? undefined
      : detection(`${host}: the key of an interception product was accepted`, {
          severity: 'high',
          action: 'allowed',
          host,
          code: 'ERR_TRUST_INTERCEPTION',
        }),
  'tls.keyChanged': ({ host }) =>
    detection(`${host}: another end-entity key`, { severity: 'low', action: 'allowed', host }),
  'tls.anomaly': ({ host, kind }) =>
    kind === 'key-changed' // told by tls.keyChanged
      ? undefined
      : detection(`${host}: ${kind.replaceAll('-', ' ')}`, {
          severity: ANOMALIES.has(kind) ? 'medium' : 'low',
          action: 'allowed',
          host,
        }),
  'tls.timing': ({ host, phase }) =>
    detection(`${host}: the times of ${phase} shifted`, { severity: 'low', action: 'allowed', host }),
  'traffic.anomaly': ({ host, measure }) =>
    detection(`${host}: unusual ${measure.replace('-', ' ')}`, { severity: 'medium', action: 'allowed', host }),
  'tls.retired': ({ host, code }) =>
    detection(`${host}: live connections were closed`, { severity: severityOf(code), action: 'denied', host, code }),
  'dns.mismatch': ({ host }) =>
    detection(`${host}: two resolvers name different addresses`, { severity: 'medium', host }),
  'verify.result': ({ host, outcome, code }) =>
    outcome === 'refused'
      ? detection(`${host}: the signature of a response was refused`, {
          severity: 'high',
          action: 'denied',
          host,
          ...given(code),
        })
      : undefined,
  'ct.unexpected': ({ names }) =>
    detection(`${names[0] ?? 'a watched name'}: a certificate was issued with a key that is no pin`, {
      severity: 'high',
      ...(names[0] === undefined ? {} : { host: names[0] }),
    }),
  'containment.begun': ({ scope }) =>
    detection(`${scope}: containment began`, { severity: 'critical', action: 'denied', code: 'ERR_POLICY_CONTAINED' }),
  'containment.ended': ({ scope }) => ({
    ...detection(`${scope}: containment ended`, { severity: 'informational', code: 'ERR_POLICY_CONTAINED' }),
    ends: true,
  }),
  'manifest.security': () => detection('no source confirmed the newest root for a week', { severity: 'high' }),
  'manifest.rejected': ({ code, kind }) =>
    kind === 'security'
      ? detection('a manifest was refused', { severity: 'high', action: 'denied', code })
      : operation('a manifest was refused', 'low', code),
  posture: ({ subject }) => detection(`${subject}: something weakens TLS`, { severity: 'low' }),

  'token.refresh': ({ result, code }) =>
    authentication(result === 'failed' ? 'a token was not renewed' : 'a token was renewed', result !== 'failed', code),
  'token.refused': ({ host, code }) => ({ ...authentication(`${host}: a token was refused`, false, code), host }),
  'token.reauthRequired': ({ reason }) =>
    authentication(`a session ended: ${reason}`, false, 'ERR_AUTH_REAUTH_REQUIRED'),
  'token.revoked': ({ result, code }) =>
    authentication(
      result === 'revoked' ? 'a token was revoked' : 'a token was not revoked',
      result === 'revoked',
      code,
    ),
  'token.revealed': () => authentication('the application asked for the text of a token', true),

  'manifest.activated': ({ to }) => operation(`manifest ${to} is in force`, 'informational'),
  'manifest.stale': ({ version }) => operation(`manifest ${version} is stale`, 'medium', 'ERR_MANIFEST_STATUS_EXPIRED'),
  'manifest.expired': ({ version }) => operation(`manifest ${version} has expired`, 'high', 'ERR_MANIFEST_EXPIRED'),
  'manifest.wouldBreak': ({ version }) => operation(`manifest ${version} refuses peers that were accepted`, 'high'),
  'manifest.deny': () => operation('the list of denied keys changed', 'medium'),
  'manifest.expiring': ({ document, percent }) =>
    operation(`${percent} % of the life of the ${document} are over`, percent === 90 ? 'medium' : 'low'),
  'expiry.near': ({ what, subject, daysLeft }) =>
    operation(`${what} ${subject} ends in ${daysLeft} days`, daysLeft <= 1 ? 'high' : daysLeft <= 7 ? 'medium' : 'low'),
  'certificate.expiring': ({ subject }) => operation(`client certificate ${subject} is about to expire`, 'medium'),
  'certificate.expired': ({ subject }) =>
    operation(`client certificate ${subject} has expired`, 'high', 'ERR_CONFIG_CERTIFICATE_EXPIRED'),
  'certificate.rejected': ({ code }) => operation('a client certificate was refused', 'medium', code),
  'anchors.changed': () => operation('trust anchors were read again', 'low'),
  'anchors.rejected': ({ code }) => operation('trust anchors were refused', 'medium', code),
  'secret.rejected': ({ name, code }) => operation(`${name} could not be read again`, 'medium', code),
  'ct.watchFailed': ({ source, code }) => operation(`${source} could not be asked for issuances`, 'low', code),
  'breaker.opened': ({ host }) => ({ ...operation(`${host} failed too often`, 'low', 'ERR_RATE_CIRCUIT_OPEN'), host }),
  'outlet.failed': ({ outlet }) => operation(`${outlet} loses records`, 'medium'),
  'outlet.recovered': ({ outlet, dropped }) => operation(`${outlet} takes records again; ${dropped} were lost`, 'low'),
}

/** All that records are made of, in the order of the table. */
export const RECORDED = Object.freeze(Object.keys(MEANINGS)) as readonly Type[]

type Details = Pick<Meaning, 'severity'> & Partial<Pick<Meaning, 'action' | 'host' | 'code'>>

function detection(title: string, { action = 'observed', ...rest }: Details): Meaning {
  return { kind: 'detection', title, outcome: action === 'denied' ? 'failure' : 'unknown', action, ...rest }
}

function authentication(title: string, isSuccess: boolean, code?: ErrorCode): Meaning {
  const outcome = isSuccess ? 'success' : 'failure'
  const severity = isSuccess ? 'informational' : 'medium'
  return { kind: 'authentication', severity, title, outcome, action: 'observed', ...given(code) }
}

function operation(title: string, severity: Severity, code?: ErrorCode): Meaning {
  return { kind: 'operation', severity, title, outcome: 'unknown', action: 'observed', ...given(code) }
}

const given = (code: ErrorCode | undefined): { readonly code?: ErrorCode } => (code === undefined ? {} : { code })

const severityOf = (code: ErrorCode): Severity => (ATTACKS.has(code) ? 'high' : 'medium')

/** An operator's mistake looks like these as well; nobody may take them for one unseen. */
const ATTACKS: ReadonlySet<ErrorCode> = new Set([
  'ERR_TRUST_PIN_MISMATCH',
  'ERR_TRUST_PIN_DENIED',
  'ERR_TRUST_INTERCEPTION',
  'ERR_TRUST_CA_DISTRUSTED',
  'ERR_TRUST_CERT_REVOKED',
  'ERR_TRUST_UNKNOWN_ISSUER',
  'ERR_TRUST_SIGNATURE_INVALID',
  'ERR_TRUST_NAME_MISMATCH',
] satisfies ErrorCode[])

const ANOMALIES: ReadonlySet<EventOf<'tls.anomaly'>['kind']> = new Set([
  'issuer-changed',
  'anchor-changed',
  'sct-missing',
  'key-shared',
] satisfies EventOf<'tls.anomaly'>['kind'][])

const HANDSHAKES = {
  accepted: 'was opened',
  reported: 'was opened by report mode alone',
  refused: 'was refused',
  failed: 'failed',
} as const

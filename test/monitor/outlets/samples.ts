import type { ClientEvent } from 'pinfetch'
import { testCa } from 'pinfetch/testing'
import type { HandshakeEvent } from '../../../src/events/handshake.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'

export const HOST = 'api.example.com'
const at = toUnixMs(Date.UTC(2026, 0, 1, 12))
const ca = testCa()
export const server = ca.issue({ names: [HOST], ips: ['192.0.2.7'] })
const chain = [{ position: 'endEntity', spki: server.pin, subject: 'CN=api.example.com', notAfter: at }] as const
const finding = {
  code: 'ERR_TRUST_PIN_MISMATCH',
  certificateIndex: null,
  message: `${HOST}: no pinned key on the verified path`,
} as const

export function handshake(more: Partial<HandshakeEvent> = {}): HandshakeEvent {
  return {
    type: 'tls.handshake',
    host: HOST,
    at,
    outcome: 'accepted',
    findings: [],
    chain,
    presented: [server.der, ca.issuer.der],
    pins: { considered: [server.pin], matched: [server.pin] },
    policy: { generation: 'g1', source: 'manifest', mode: 'enforce', manifestVersion: 7 },
    address: '192.0.2.7',
    addresses: ['192.0.2.7'],
    connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'X25519MLKEM768', resumed: false },
    timings: { lookupMs: 1, connectMs: 2, tlsMs: 3.4, totalMs: 6.6 },
    ...more,
  }
}

/** As the connector tells a pin mismatch of a known interception product. */
export const mismatch: readonly ClientEvent[] = [
  { type: 'tls.interception', host: HOST, spki: server.pin, verified: true, outcome: 'refused', manifestVersion: 7 },
  { type: 'tls.rejected', host: HOST, code: finding.code, findings: [finding], chain, manifestVersion: 7 },
  refused(),
]

export function refused(more: Partial<HandshakeEvent> = {}): HandshakeEvent {
  const { connection: _, ...rest } = handshake()
  return {
    ...rest,
    outcome: 'refused',
    code: finding.code,
    findings: [finding],
    pins: { considered: ['sha256/AA=='], matched: [] },
    ...more,
  }
}

/** One at least of every type that records are made of. */
export const samples: readonly ClientEvent[] = [
  handshake(),
  handshake({ host: '[2001:db8::1]:8443', address: '2001:db8::1', proxy: 'http://proxy.example:8080' }),
  handshake({ outcome: 'reported', code: finding.code, revocation: { status: 'good', causes: [] } }),
  { ...refused(), outcome: 'failed', code: 'ERR_TRANSPORT_TIMEOUT', presented: [] },
  { ...refused(), presented: [new Uint8Array([0x30, 0x80, 1, 2, 3])] },
  ...mismatch,
  { type: 'tls.reported', host: HOST, code: finding.code, findings: [finding], chain, manifestVersion: 7 },
  { type: 'tls.interception', host: HOST, spki: server.pin, verified: false, outcome: 'accepted', manifestVersion: 7 },
  { type: 'tls.keyChanged', host: HOST, before: 'sha256/A', after: 'sha256/B', manifestVersion: 7 },
  { type: 'tls.anomaly', host: HOST, kind: 'key-changed', before: 'sha256/A', after: 'sha256/B', manifestVersion: 7 },
  { type: 'tls.anomaly', host: HOST, kind: 'issuer-changed', before: 'CN=a', after: 'CN=b', manifestVersion: 7 },
  { type: 'tls.timing', host: HOST, phase: 'tls', usualMs: 10, seenMs: 90, samples: 50 },
  { type: 'traffic.anomaly', host: HOST, measure: 'octets-sent', usual: 1, seen: 99 },
  { type: 'tls.retired', host: HOST, connections: 2, code: 'ERR_TRUST_PIN_DENIED' },
  { type: 'dns.mismatch', host: HOST, first: ['192.0.2.1'], second: ['192.0.2.2'] },
  { type: 'verify.result', host: HOST, outcome: 'refused', code: 'ERR_VERIFY_FAILED' },
  {
    type: 'ct.unexpected',
    names: [HOST],
    spki: 'sha256/A',
    issuer: 'CN=CA',
    notBefore: at,
    notAfter: at,
    source: 'certspotter',
  },
  { type: 'containment.begun', scope: '*', reason: 'drill', by: 'call', requests: 1 },
  { type: 'containment.ended', scope: '*', reason: 'drill', closedBecause: 'over' },
  { type: 'manifest.security', message: 'no root' },
  { type: 'manifest.rejected', code: 'ERR_MANIFEST_ROLLBACK', kind: 'security', message: 'older' },
  { type: 'manifest.rejected', code: 'ERR_MANIFEST_FETCH_TIMEOUT', kind: 'transient', message: 'slow' },
  { type: 'posture', subject: 'NODE_TLS_REJECT_UNAUTHORIZED', effect: 'ignored' },
  { type: 'token.refresh', result: 'renewed', trigger: 'first', waiters: 1, ms: 5 },
  {
    type: 'token.refresh',
    result: 'failed',
    trigger: 'expired',
    waiters: 1,
    ms: 5,
    code: 'ERR_AUTH_CLIENT_REJECTED',
    tenantHash: 'a1',
  },
  { type: 'token.refused', host: HOST, code: 'ERR_AUTH_TOKEN_REJECTED' },
  { type: 'token.reauthRequired', reason: 'revoked' },
  { type: 'token.revoked', hint: 'access_token', result: 'failed', code: 'ERR_AUTH_TOKEN_TIMEOUT' },
  { type: 'token.revealed' },
  {
    type: 'manifest.activated',
    from: 1,
    to: 2,
    rootVersion: 1,
    canary: false,
    added: [],
    removed: [],
    changed: [],
    shrunk: [],
  },
  { type: 'manifest.stale', version: 2 },
  { type: 'manifest.expired', version: 2 },
  { type: 'manifest.wouldBreak', version: 3, hosts: [{ host: HOST, code: finding.code }] },
  { type: 'manifest.deny', added: ['sha256/A'], cleared: [] },
  { type: 'manifest.expiring', document: 'root', version: 1, percent: 90, expiresAt: at },
  { type: 'expiry.near', what: 'pin', subject: HOST, notAfter: at, daysLeft: 7 },
  { type: 'certificate.expiring', subject: 'CN=us', serial: '01', notAfter: at },
  { type: 'certificate.expired', subject: 'CN=us', serial: '01', notAfter: at },
  { type: 'certificate.rejected', code: 'ERR_CONFIG_CERTIFICATE', message: 'none' },
  { type: 'anchors.changed', files: ['ca.pem'] },
  { type: 'anchors.rejected', code: 'ERR_CONFIG_FILE', message: 'gone' },
  { type: 'secret.rejected', name: 'apiKey', code: 'ERR_KEY_SOURCE_MISSING', message: 'gone' },
  { type: 'ct.watchFailed', source: 'crtsh', code: 'ERR_TRANSPORT_TIMEOUT', message: 'slow', retryAfterMs: 1 },
  { type: 'breaker.opened', host: HOST, ms: 1 },
  { type: 'outlet.failed', outlet: 'file x', dropped: 0, message: 'full' },
  { type: 'outlet.recovered', outlet: 'file x', dropped: 3, message: 'again' },
]

import type { ClientEvent } from 'pinfetch'
import { type TestCertificate, testCa } from 'pinfetch/testing'
import type { HandshakeEvent } from '../../src/events/handshake.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

export const DAY_MS = 86_400_000
export const NOW = Date.UTC(2026, 0, 1)
export const ca = testCa({ now: NOW })

/** Valid since a day before `NOW`, for so many days. */
export const lasting = (days: number, options: Parameters<typeof ca.issue>[0] = {}): TestCertificate =>
  ca.issue({ names: ['api.example.com'], notBefore: NOW - DAY_MS, notAfter: NOW + (days - 1) * DAY_MS, ...options })

/** An accepted handshake in which a host showed this. */
export function shown(certificate: TestCertificate, given: Partial<HandshakeEvent> = {}): HandshakeEvent {
  let top = certificate
  while (top.issuer !== undefined) top = top.issuer
  return {
    type: 'tls.handshake',
    host: 'api.example.com',
    at: toUnixMs(NOW),
    outcome: 'accepted',
    findings: [],
    chain: [{ position: 'anchor', spki: top.pin, subject: 'CN=Root', notAfter: NOW + 3650 * DAY_MS }],
    presented: certificate.chain,
    pins: { considered: [certificate.pin], matched: [certificate.pin] },
    policy: { generation: 'one', source: 'code', mode: 'enforce', manifestVersion: 0 },
    address: '192.0.2.1',
    addresses: ['192.0.2.1'],
    connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: false },
    timings: { lookupMs: 1, connectMs: 20, tlsMs: 25, verdictMs: 1, totalMs: 47 },
    ...given,
  }
}

export const kindsOf = (events: readonly ClientEvent[]): readonly string[] =>
  events.map((event) => (event.type === 'tls.anomaly' ? event.kind : event.type))

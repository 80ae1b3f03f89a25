import type { HandshakeEvent } from '../../../src/events/handshake.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'

/** A record of a handshake as a client tells it, of what never was. */
export function handshakeOf(more: Partial<HandshakeEvent> = {}): HandshakeEvent {
  return {
    type: 'tls.handshake',
    host: 'api.example.com',
    at: toUnixMs(Date.UTC(2026, 0, 1)),
    outcome: 'accepted',
    findings: [],
    chain: [{ position: 'endEntity', spki: `sha256/${'A'.repeat(43)}=`, subject: 'CN=api.example.com', notAfter: 0 }],
    presented: [Uint8Array.of(1, 2, 3)],
    pins: { considered: [`sha256/${'A'.repeat(43)}=`], matched: [`sha256/${'A'.repeat(43)}=`] },
    policy: { generation: 'g1', source: 'code', mode: 'enforce', manifestVersion: 0 },
    addresses: ['127.0.0.1'],
    address: '127.0.0.1',
    timings: { lookupMs: 0.25, connectMs: 1, tlsMs: 2.123456, verdictMs: 0.5, totalMs: 4 },
    ...more,
  } as HandshakeEvent
}

import type { EventOf } from 'pinfetch'
import { toUnixMs } from '../../src/ports/runtime.ts'

/** A handshake that went well, changed as wanted. */
export function handshake(changes: Partial<EventOf<'tls.handshake'>> = {}): EventOf<'tls.handshake'> {
  return {
    type: 'tls.handshake',
    host: 'api.example.com',
    at: toUnixMs(1_800_000_000_000),
    outcome: 'accepted',
    findings: [],
    chain: [
      { position: 'endEntity', spki: 'sha256/one', subject: 'CN=api.example.com', notAfter: 1_900_000_000_000 },
      { position: 'anchor', spki: 'sha256/two', subject: 'CN=Root', notAfter: 2_000_000_000_000 },
    ],
    presented: [new Uint8Array([1, 2, 3])],
    pins: { considered: ['sha256/one'], matched: ['sha256/one'] },
    policy: { generation: 'g', source: 'manifest', mode: 'enforce', manifestVersion: 7 },
    address: '192.0.2.1',
    addresses: ['192.0.2.1'],
    connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: 'X25519MLKEM768', resumed: false },
    timings: { lookupMs: 1, connectMs: 10, tlsMs: 20, verdictMs: 2, totalMs: 31 },
    ...changes,
  }
}

export const refused = (changes: Partial<EventOf<'tls.handshake'>> = {}): EventOf<'tls.handshake'> => {
  const { connection: _, ...sample } = handshake()
  const message = 'api.example.com: no pinned key on the verified path'
  return {
    ...sample,
    outcome: 'refused',
    code: 'ERR_TRUST_PIN_MISMATCH',
    findings: [{ code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: 0, message }],
    ...changes,
  }
}

export function exchange(changes: Partial<EventOf<'http.exchange'>> = {}): EventOf<'http.exchange'> {
  const at = toUnixMs(1_800_000_000_000)
  const counted = { sent: 0, received: 2, firstByteMs: 90, totalMs: 100 }
  return {
    type: 'http.exchange',
    host: 'api.example.com',
    at,
    method: 'GET',
    version: '2',
    status: 200,
    ...counted,
    ...changes,
  }
}

import type { FaultCase, Required } from './fault-case.ts'
import { PATIENCE_MS, POST, type ScriptedCase, scripted } from './scripted.ts'

const refused = (code: string): Required => ({
  calls: [code],
  attempts: 1,
  applicationBytes: 0,
  requestSent: 'no',
})
const tlsMs = { timeouts: { tlsMs: PATIENCE_MS } }
const CLOSED = refused('ERR_TRANSPORT_CLOSED')
const TIMEOUT = refused('ERR_TRANSPORT_TIMEOUT')
const HANDSHAKE = refused('ERR_TLS_HANDSHAKE')
const HANDSHAKE_FAILURE = Uint8Array.of(21, 3, 3, 0, 2, 2, 40) // RFC 8446 §6

const SCRIPTED: readonly ScriptedCase[] = [
  { id: 'F02', fault: 'RST at accept', script: [{ at: 'accept', fault: 'reset' }], required: CLOSED },
  { id: 'F03', fault: 'FIN at accept', script: [{ at: 'accept', fault: 'close' }], required: CLOSED },
  {
    id: 'F04',
    fault: 'silence at accept',
    script: [{ at: 'accept', fault: 'stall' }],
    client: tlsMs,
    required: TIMEOUT,
  },
  {
    id: 'F04',
    fault: 'silence in place of the ServerHello',
    script: [{ at: 'tls', fault: 'stall' }],
    client: tlsMs,
    required: TIMEOUT,
  },
  {
    id: 'F04',
    fault: 'silence in the middle of the certificates',
    script: [{ at: 'tls', fault: 'stall', after: 600 }],
    client: tlsMs,
    required: TIMEOUT,
  },
  {
    id: 'F05',
    fault: 'garbage in place of the ServerHello',
    script: [{ at: 'tls', fault: 'garbage' }],
    required: HANDSHAKE,
  },
  { id: 'F05', fault: 'garbage at accept', script: [{ at: 'accept', fault: 'garbage' }], required: HANDSHAKE },
  {
    id: 'F06',
    fault: 'plain HTTP on the TLS port',
    script: [{ at: 'tls', fault: 'bytes', bytes: 'HTTP/1.1 400 Bad Request\r\n\r\n' }],
    required: HANDSHAKE,
  },
  {
    id: 'F07',
    fault: 'a fatal alert',
    script: [{ at: 'tls', fault: 'bytes', bytes: HANDSHAKE_FAILURE }],
    required: HANDSHAKE,
  },
  {
    id: 'F08',
    fault: 'FIN in the middle of a record',
    script: [{ at: 'tls', fault: 'close', after: 60 }],
    required: CLOSED,
  },
  {
    id: 'F08',
    fault: 'RST in the middle of a record',
    script: [{ at: 'tls', fault: 'reset', after: 600 }],
    required: CLOSED,
  },
  {
    id: 'F08',
    fault: 'the whole connection in single octets',
    script: [{ at: 'accept', fault: 'slice', bytes: 1 }],
    required: { calls: ['200 ok'], requests: 1 },
  },
  {
    id: 'F09',
    fault: 'FIN right after the handshake, GET',
    script: [{ at: 'request', fault: 'close' }],
    required: { calls: ['ERR_TRANSPORT_CLOSED'], requests: 0, requestSent: 'maybe' }, // the caller may, and alone knows
  },
  {
    id: 'F09',
    fault: 'FIN right after the handshake, POST',
    script: [{ at: 'request', fault: 'close' }],
    init: [POST],
    required: { calls: ['ERR_TRANSPORT_CLOSED'], requests: 0 },
  },
]

/** What is in the way before a request can be sent. */
export const handshakeCases: readonly FaultCase[] = [
  {
    id: 'F01',
    fault: 'connection refused',
    required: { calls: ['ERR_TRANSPORT_CONNECT', '200 ok'], requests: 1, requestSent: 'no' },
    run: async (world) => {
      const gone = await world.serve()
      await gone.close()
      const client = world.client()
      await world.call(client, gone)
      await world.call(client, await world.serve()) // what failed is forgotten
    },
  },
  ...SCRIPTED.map(scripted),
]

import { gzipSync } from 'node:zlib'
import type { FaultScript, Octets, ScriptedFault } from '../../src/testing/index.ts'
import { type FaultCase, type Required, until } from './fault-case.ts'
import { startRevocationHost } from './revocation-host.ts'
import { PATIENCE_MS, POST, type ScriptedCase, scripted } from './scripted.ts'

const bytes = (octets: Octets | Iterable<Octets>, request = 0): ScriptedFault => ({
  at: 'response',
  fault: 'bytes',
  bytes: octets,
  request,
})
const ending = (fault: 'stall' | 'close' | 'cut' | 'reset'): ScriptedFault => ({ at: 'response', fault, after: 'end' })
const refused = (code: string): Required => ({ calls: [code], requests: 1 })
const patient = { timeouts: { headersMs: PATIENCE_MS, bodyMs: PATIENCE_MS } }

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`
const GZIP = `${OK}content-encoding: gzip\r\n`
const EVIL = `${OK}content-length: 4\r\n\r\nevil`
const KEYED = { ...POST, headers: { 'idempotency-key': '7' } }
const TIMEOUT = refused('ERR_TRANSPORT_TIMEOUT')
const PROTOCOL = refused('ERR_TRANSPORT_PROTOCOL')
const CLOSED = refused('ERR_TRANSPORT_CLOSED')

/** 200 MiB in 200 KiB: made when a server comes to send it, once. */
const BOMB: Iterable<Octets> = {
  *[Symbol.iterator]() {
    const body = gzipSync(Buffer.alloc(200 * 1024 * 1024))
    yield `${GZIP}content-length: ${body.length}\r\n\r\n`
    yield body
  },
}
const INTERIM: Iterable<Octets> = {
  *[Symbol.iterator]() {
    for (;;) yield 'HTTP/1.1 103 Early Hints\r\n\r\n'
  },
}
const HALF = gzipSync(Buffer.from('x'.repeat(100_000))).subarray(0, 60)

const SCRIPTED: readonly ScriptedCase[] = [
  {
    id: 'F10',
    fault: 'FIN after the request, POST',
    script: [{ at: 'response', fault: 'close' }],
    init: [POST],
    required: { calls: ['ERR_TRANSPORT_CLOSED'], requests: 1, requestSent: 'maybe' },
  },
  {
    id: 'F10',
    fault: 'FIN after the second request of a connection, POST',
    script: [{ at: 'response', fault: 'close', request: 1 }],
    init: [POST],
    required: { calls: ['200 ok', 'ERR_TRANSPORT_CLOSED'], requests: 2, requestSent: 'maybe' },
  },
  {
    id: 'F10',
    fault: 'FIN after the second request of a connection, POST with an Idempotency-Key',
    script: [{ at: 'response', fault: 'close', request: 1 }],
    init: [KEYED],
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 3 },
  },
  {
    id: 'F11',
    fault: 'no response',
    script: [{ at: 'response', fault: 'stall' }],
    client: patient,
    required: TIMEOUT,
  },
  {
    id: 'F12',
    fault: 'half a status line, then silence',
    script: [{ at: 'response', fault: 'stall', after: 7 }],
    client: patient,
    required: TIMEOUT,
  },
  {
    id: 'F12',
    fault: 'half a status line, then FIN',
    script: [{ at: 'response', fault: 'close', after: 7 }],
    required: CLOSED,
  },
  {
    id: 'F13',
    fault: 'bytes that are not HTTP',
    script: [{ at: 'response', fault: 'garbage' }],
    required: { ...PROTOCOL, requestSent: 'yes' },
  },
  {
    id: 'F14',
    fault: 'silence in the body',
    script: [[bytes(`${OK}content-length: 10\r\n\r\nabc`), ending('stall')]],
    client: patient,
    required: { ...TIMEOUT, requestSent: 'yes' },
  },
  {
    id: 'F15',
    fault: 'a body shorter than its length',
    script: [[bytes(`${OK}content-length: 10\r\n\r\nabc`), ending('close')]],
    required: { ...refused('terminated by ERR_TRANSPORT_CLOSED'), requestSent: 'yes' },
  },
  {
    id: 'F16',
    fault: 'RST in the body',
    script: [[bytes(`${OK}content-length: 10\r\n\r\nabc`), ending('reset')]],
    required: { ...refused('terminated by ERR_TRANSPORT_CLOSED'), requestSent: 'yes' },
  },
  {
    id: 'F17',
    fault: 'a chunk of a bad size',
    script: [bytes(`${CHUNKED}3\r\nabc\r\nxyz\r\n`)],
    required: refused('terminated by ERR_TRANSPORT_PROTOCOL'),
  },
  {
    id: 'F18',
    fault: 'chunks without the last one',
    script: [[bytes(`${CHUNKED}3\r\nabc\r\n`), ending('close')]],
    required: refused('terminated by ERR_TRANSPORT_CLOSED'),
  },
  {
    id: 'F18',
    fault: 'chunks cut off by somebody on the path',
    script: [[bytes(`${CHUNKED}3\r\nabc\r\n`), ending('cut')]],
    required: refused('terminated by ERR_TRANSPORT_CLOSED'),
  },
  {
    id: 'F19',
    fault: 'Content-Length and Transfer-Encoding together',
    script: [bytes(`${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)],
    required: PROTOCOL,
  },
  {
    id: 'F20',
    fault: 'two lengths',
    script: [bytes(`${OK}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`)],
    required: PROTOCOL,
  },
  {
    id: 'F21',
    fault: '32 KiB of headers',
    script: [bytes(`${OK}${'x-filler: 0123456789\r\n'.repeat(1_600)}content-length: 2\r\n\r\nok`)],
    required: refused('ERR_TRANSPORT_HEADERS_TOO_LARGE'),
  },
  {
    id: 'F22',
    fault: 'interim responses without end',
    script: [bytes(INTERIM)],
    required: refused('ERR_TRANSPORT_HEADERS_TOO_LARGE'),
  },
  {
    id: 'F22',
    fault: 'interim responses without end, slowly',
    script: [[bytes(INTERIM), { at: 'response', fault: 'throttle', bytesPerSecond: 500 }]],
    client: patient,
    required: TIMEOUT,
  },
  {
    id: 'F23',
    fault: 'a body that is not the gzip it says it is',
    script: [bytes(`${GZIP}content-length: 10\r\n\r\n0123456789`)],
    required: refused('terminated by ERR_TRANSPORT_PROTOCOL'),
  },
  {
    id: 'F23',
    fault: 'half of a gzip body under its own length, which curl and fetch unpack as far as it goes',
    script: [bytes([`${GZIP}content-length: 60\r\n\r\n`, HALF])],
    required: { calls: [`200 ${'x'.repeat(40)}`], requests: 1 },
  },
  {
    id: 'F24',
    fault: '200 MiB in 200 KiB of gzip',
    script: [bytes(BOMB)],
    required: refused('ERR_TRANSPORT_BODY_TOO_LARGE'),
  },
  {
    id: 'F26',
    fault: 'a second response behind the first',
    script: [bytes(`${OK}content-length: 2\r\n\r\nok${EVIL}`)],
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 2 },
  },
  {
    id: 'F27',
    fault: 'a redirect to itself',
    script: () => bytes('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'),
    required: { ...refused('ERR_POLICY_REDIRECT'), requestSent: 'yes' },
  },
  {
    id: 'F28',
    fault: 'a body that drips',
    script: [
      [
        bytes(`${OK}content-length: 100\r\n\r\n${'x'.repeat(100)}`),
        { at: 'response', fault: 'throttle', bytesPerSecond: 45 },
      ],
    ],
    client: { timeouts: { totalMs: 1_500, bodyMs: 1_000 } },
    required: TIMEOUT,
  },
  {
    id: 'F28',
    fault: 'headers that drip',
    script: [[bytes(`${OK}x: ${'x'.repeat(100)}\r\n\r\n`), { at: 'response', fault: 'throttle', bytesPerSecond: 20 }]],
    client: { timeouts: { totalMs: 1_000 } },
    required: TIMEOUT,
  },
  {
    id: 'F29',
    fault: 'a server that is done after its response, and reads on',
    script: [ending('close')],
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 2 },
  },
  {
    id: 'F30',
    fault: 'RST at the first octet of the second request, GET',
    script: [{ at: 'request', fault: 'reset', request: 1, after: 1 }],
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 2 },
  },
  {
    id: 'F30',
    fault: 'RST at the first octet of the second request, and of its repetition, GET',
    script: [
      { at: 'request', fault: 'reset', request: 1, after: 1 },
      { at: 'request', fault: 'reset', after: 1 },
    ],
    required: { calls: ['200 ok', 'ERR_TRANSPORT_CLOSED'], attempts: 2, requests: 1, requestSent: 'maybe' },
  },
  {
    id: 'F30',
    fault: 'RST at the first octet of the second request, POST',
    script: [{ at: 'request', fault: 'reset', request: 1, after: 1 }],
    init: [POST],
    required: { calls: ['200 ok', 'ERR_TRANSPORT_CLOSED'], attempts: 1, requests: 1, requestSent: 'maybe' },
  },
]

/** What a server does to a request, or in place of an answer. */
export const httpCases: readonly FaultCase[] = [
  ...SCRIPTED.map(scripted),
  {
    id: 'F25',
    fault: 'a response before the request, while the client looks at its certificate',
    required: {
      calls: ['ERR_TRANSPORT_UNSOLICITED'],
      applicationBytes: 0,
      requestSent: 'no',
      events: ['revocation.failed ERR_TRUST_FETCH_TIMEOUT'],
    },
    run: async (world) => {
      const host = await startRevocationHost(world, 'ocsp', () => () => undefined) // keeps the client waiting
      const script: FaultScript = [{ at: 'request', fault: 'bytes', bytes: EVIL }]
      const peer = await world.serve({ script, identity: host.certificate })
      await world.call(world.client(host.options('soft-fail')), peer, POST)
    },
  },
  {
    id: 'F25',
    fault: 'a response on a connection that waits for its next request',
    required: { calls: ['200 ok', '200 ok'], attempts: 2, requests: 2 },
    run: async (world) => {
      const peer = await world.serve({ script: [{ at: 'request', fault: 'bytes', bytes: EVIL, request: 1 }] })
      const client = world.client()
      await world.call(client, peer)
      await until(() => peer.open === 0)
      await world.call(client, peer)
    },
  },
]

import type { RequestListener } from 'node:http'
import { crl, extension, ocspResponse, type TestCertificate } from '../../src/testing/index.ts'
import { type FaultCase, until } from './fault-case.ts'
import { type RevocationHost, startRevocationHost } from './revocation-host.ts'
import { POST } from './scripted.ts'
import { ca, HOST, server } from './world.ts'

interface Trouble {
  readonly id: FaultCase['id']
  readonly kind: 'ocsp' | 'crl'
  readonly fault: string
  /** Of `revocation.failed`; none: the host says good. */
  readonly code?: string
  readonly answer: (certificate: TestCertificate) => RequestListener
  readonly prepare?: (host: RevocationHost) => Promise<void>
}

const sends =
  (bytesFor: (certificate: TestCertificate) => Uint8Array) =>
  (certificate: TestCertificate): RequestListener => {
    const bytes = bytesFor(certificate)
    return (_, response) => void response.end(bytes)
  }
const sayNothing = (): RequestListener => () => undefined
const goOn = (): RequestListener => (_, response) => {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536))) {}
  }
  response.writeHead(200, { 'content-length': 500_000_000 }).on('drain', more)
  more()
}
const list = (more: Partial<Parameters<typeof crl>[0]> = {}): Uint8Array => crl({ issuer: ca.issuer, ...more })
const HOUR_MS = 3_600_000
const MANY = Array.from({ length: 4_000 }, (_, index) => Uint8Array.of(1, index >> 8, index & 255, 9, 9, 9, 9, 9))

const TROUBLES: readonly Trouble[] = [
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP responder is well (the control)',
    answer: sends((certificate) => ocspResponse({ certificate })),
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP responder is down',
    code: 'ERR_TRUST_FETCH_NETWORK',
    answer: sayNothing,
    prepare: (host) => host.close(),
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP responder says nothing',
    code: 'ERR_TRUST_FETCH_TIMEOUT',
    answer: sayNothing,
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP responder answers with garbage',
    code: 'ERR_TRUST_OCSP_MALFORMED',
    answer: sends(() => Buffer.from('<!doctype html>')),
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP responder does not come to an end',
    code: 'ERR_TRUST_FETCH_TOO_LARGE',
    answer: goOn,
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP response is signed by another customer of the CA',
    code: 'ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED',
    answer: sends((certificate) => ocspResponse({ certificate, responder: ca.issue({ subject: 'Somebody' }) })),
  },
  {
    id: 'F41',
    kind: 'ocsp',
    fault: 'the OCSP response has a bad signature',
    code: 'ERR_TRUST_OCSP_BAD_SIGNATURE',
    answer: sends((certificate) => ocspResponse({ certificate, signature: 'garbage' })),
  },
  { id: 'F42', kind: 'crl', fault: 'the CRL is well (the control)', answer: sends(() => list()) },
  {
    id: 'F42',
    kind: 'crl',
    fault: 'the CRL has expired',
    code: 'ERR_TRUST_CRL_EXPIRED',
    answer: sends((certificate) => {
      const { now = 0 } = certificate.options
      return list({ thisUpdate: now - 3 * HOUR_MS, nextUpdate: now - HOUR_MS })
    }),
  },
  {
    id: 'F42',
    kind: 'crl',
    fault: 'the CRL is forged',
    code: 'ERR_TRUST_CRL_BAD_SIGNATURE',
    answer: sends(() => list({ signature: 'garbage' })),
  },
  {
    id: 'F42',
    kind: 'crl',
    fault: 'the CRL is genuine and longer than the limit',
    code: 'ERR_TRUST_FETCH_TOO_LARGE',
    answer: sends(() => list({ revoked: MANY })),
  },
  {
    id: 'F42',
    kind: 'crl',
    fault: 'in place of the CRL, 500 MB of zeros',
    code: 'ERR_TRUST_CRL_MALFORMED',
    answer: goOn,
  },
]

/** By mode: what cannot be found out passes under `soft-fail`, and does not under `hard-fail`. */
function byMode({ id, kind, fault, code, answer, prepare }: Trouble): readonly FaultCase[] {
  return (['soft-fail', 'hard-fail'] as const).map((mode) => {
    const failed = code === undefined ? [] : [`revocation.failed ${code}`]
    const isRefused = mode === 'hard-fail' && code !== undefined
    return {
      id,
      fault: `${fault}, ${mode}`,
      required: isRefused
        ? {
            calls: ['ERR_TRUST_REVOCATION_UNDETERMINED'],
            applicationBytes: 0,
            requestSent: 'no',
            events: [...failed, 'tls.rejected ERR_TRUST_REVOCATION_UNDETERMINED'],
          }
        : { calls: ['200 ok'], requests: 1, events: failed },
      run: async (world) => {
        const host = await startRevocationHost(world, kind, answer)
        await prepare?.(host)
        const peer = await world.serve({ identity: host.certificate })
        await world.call(world.client(host.options(mode)), peer, POST)
      },
    }
  })
}

/** What the CA's own hosts do, on which nobody should have to depend. */
export const revocationCases: readonly FaultCase[] = [
  ...TROUBLES.flatMap(byMode),
  {
    id: 'F43',
    fault: 'the CRL is on the very host that is pinned',
    required: {
      calls: ['ERR_TRUST_REVOCATION_UNDETERMINED'],
      attempts: 2, // one for the request, one for the list
      applicationBytes: 0,
      events: ['revocation.failed ERR_TRUST_FETCH_NETWORK', 'tls.rejected ERR_TRUST_REVOCATION_UNDETERMINED'],
    },
    run: async (world) => {
      const peer = await world.serve()
      const points = extension.crlDistributionPoints([`https://${HOST}:${peer.port}/1.crl`])
      peer.setIdentity(ca.issue({ names: [HOST], key: server.key, extensions: [points] }))
      const client = world.client({
        revocation: { mode: 'hard-fail', sources: ['cache', 'crl'], fetch: 'blocking' },
        revocationNetwork: { ports: [peer.port], allowPrivateHosts: [HOST] },
      })
      await world.call(client, peer)
      await until(() => peer.attempts > 2, 300) // nobody comes back
    },
  },
]

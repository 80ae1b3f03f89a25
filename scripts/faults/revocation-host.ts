import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RevocationOptions } from '../../src/client/revocation.ts'
import type { ClientOptions } from '../../src/index.ts'
import { extension, type TestCertificate } from '../../src/testing/index.ts'
import { ca, HOST, server, type World } from './world.ts'

export interface RevocationHost {
  readonly certificate: TestCertificate
  /** Under `soft-fail` what cannot be found out passes, under `hard-fail` it does not; both wait for the host here. */
  readonly options: (mode: 'soft-fail' | 'hard-fail', waitMs?: number) => Partial<ClientOptions>
  readonly close: () => Promise<void>
}

/** A plain HTTP host of the CA, and a certificate of the pinned key that names it as `kind`. */
export async function startRevocationHost(
  world: World,
  kind: 'ocsp' | 'crl',
  answer: (certificate: TestCertificate) => RequestListener,
): Promise<RevocationHost> {
  let listener: RequestListener | undefined
  const http = createServer((request, response) => listener?.(request, response))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const url = `http://ca.test:${port}/x`
  const names = kind === 'ocsp' ? extension.authorityInfoAccess({ ocsp: url }) : extension.crlDistributionPoints([url])
  const certificate = ca.issue({ names: [HOST], key: server.key, extensions: [names] })
  listener = answer(certificate)
  const sources: RevocationOptions['sources'] = kind === 'ocsp' ? ['cache', 'ocsp'] : ['cache', 'crl']
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      http.close(() => resolve())
      http.closeAllConnections()
    })
  world.keep({ close })
  return {
    certificate,
    options: (mode, waitMs = WAIT_MS) => ({
      revocation: { mode, sources, fetch: 'blocking' },
      revocationNetwork: {
        ports: [port],
        allowPrivateHosts: ['ca.test'],
        maxBytes: MAX_BYTES,
        timeoutMs: waitMs,
        budgetMs: 20 * waitMs,
      },
    }),
    close,
  }
}

export const MAX_BYTES = 65_536
const WAIT_MS = 400

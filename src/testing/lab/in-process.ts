import { createHash, X509Certificate } from 'node:crypto'
import type { LookupFunction } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { createClient } from '../../client/create-client.ts'
import { Agent, ProxyAgent, fetch as undiciFetch } from '../../transport/undici.ts'
import type { Given, OpenClient } from './contenders.ts'

/** A client of the lab in the process that calls this. */
export async function openLabClient(given: Given, kind: 'pinfetch' | 'undici'): Promise<OpenClient> {
  return kind === 'pinfetch' ? pinfetch(given) : undici(given)
}

function pinfetch({ anchors, pins, certificate, proxy, resolve, pinfetch: more }: Given): OpenClient {
  const client = createClient({
    anchors,
    pins,
    ...(proxy === undefined ? {} : { proxy }),
    ...(certificate === undefined ? {} : { certificate }),
    resolver: async (host) => resolve?.(host) ?? LOOPBACK_ONLY,
    ...more,
  })
  return { fetch: client.fetch, client, close: () => client.close() }
}

/**
 * Pinning as the documentation of Node has it for `checkServerIdentity`, in an Agent of undici: the ordinary name check, then a
 * walk up the issuers, looking for a key.
 */
function undici({ anchors: ca, pins, certificate, proxy, resolve }: Given): OpenClient {
  const connect = {
    ca,
    ...certificate,
    lookup: lookupBy(resolve),
    checkServerIdentity: (host: string, peer: PeerCertificate) =>
      checkServerIdentity(host, peer) ?? pinErrorOf(host, peer, pins),
  }
  const dispatcher =
    proxy === undefined ? new Agent({ connect }) : new ProxyAgent({ uri: proxy, requestTls: connect, connect })
  const fetch = (input: string, init: object) => undiciFetch(input, { ...init, dispatcher })
  return { fetch: fetch as unknown as typeof globalThis.fetch, close: () => dispatcher.destroy() }
}

function pinErrorOf(host: string, peer: PeerCertificate, pins: Given['pins']): Error | undefined {
  const pinned = pins[host] ?? []
  const seen = new Set<PeerCertificate>()
  for (let at: PeerCertificate | undefined = peer; at?.raw !== undefined && !seen.has(at); at = issuerOf(at)) {
    seen.add(at)
    const spki = new X509Certificate(at.raw).publicKey.export({ type: 'spki', format: 'der' })
    if (pinned.includes(`sha256/${createHash('sha256').update(spki).digest('base64')}`)) return undefined
  }
  return Object.assign(new Error(`${host}: no pinned key`), { code: 'PIN_MISMATCH' })
}

const issuerOf = (certificate: PeerCertificate): PeerCertificate | undefined =>
  (certificate as { issuerCertificate?: PeerCertificate }).issuerCertificate

function lookupBy(resolve: Given['resolve']): LookupFunction {
  return (host, { all }, done) => {
    const find = async () => (await (resolve?.(host) ?? LOOPBACK_ONLY)).map(withFamily) // in a process of its own it is asked for
    find().then(([first, ...others]) => {
      if (first === undefined) done(Object.assign(new Error(`no ${host}`), { code: 'ENOTFOUND' }), '')
      else if (all === true) done(null, [first, ...others])
      else done(null, first.address, first.family)
    })
  }
}

const withFamily = (address: string) => ({ address, family: address.includes(':') ? 6 : 4 })
const LOOPBACK_ONLY = ['127.0.0.1']

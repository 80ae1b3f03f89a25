import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { parseCertificate } from '../x509/certificate.ts'
import type { TestCertificate } from './ca.ts'
import { type ServerIdentity, startTlsServer, type TestTlsServer } from './tls-server.ts'

/**
 * Stands in for public sources of issuances, in the shapes that they document: the Cert Spotter API (`/v1/issuances`) and crt.sh
 * (`/?q=…&output=json`, `/?d=…`). It knows what it is told by `issue`, and misbehaves when told to.
 */
export async function startIssuanceServer(options: {
  readonly identity: ServerIdentity
  /** Issuances in one answer of Cert Spotter. Default 100. */
  readonly pageSize?: number
}): Promise<IssuanceServer> {
  const { identity, pageSize = 100 } = options
  const issued: Issued[] = []
  const faults: IssuanceFault[] = []

  const server = await startTlsServer({
    identity,
    handler: (request, response) => {
      const url = new URL(request.path, 'https://localhost/')
      const fault = faults.find(({ path, times = 1 }) => times > 0 && (path === undefined || path === url.pathname))
      if (fault === undefined) answer(url, response)
      else {
        faults.splice(faults.indexOf(fault), 1, { ...fault, times: (fault.times ?? 1) - 1 })
        response.writeHead(fault.status ?? 200, { ...fault.headers }).end(fault.body ?? '')
      }
    },
  })
  const answer = (url: URL, response: ServerResponse): void => {
    const { searchParams: asked } = url
    const id = asked.get('d')
    if (url.pathname === '/v1/issuances') sendJson(response, certSpotterPage(issued, asked, pageSize))
    else if (id === null) sendJson(response, crtShListing(issued, asked.get('q') ?? ''))
    else sendPem(response, issued.flatMap(shownIn).find((one) => String(one.id) === id)?.certificate)
  }
  return Object.assign(server, {
    url: `${server.origin}/`,
    issue: (certificate: TestCertificate, more: { readonly precertificate?: TestCertificate } = {}): void => {
      issued.push({ id: issued.length + 1, certificate, ...more })
    },
    misbehave: (fault: IssuanceFault): void => void faults.push(fault),
  })
}

/** A server that speaks as Cert Spotter and as crt.sh do. */
export interface IssuanceServer extends TestTlsServer {
  /** What both sources take as their base URL. */
  readonly url: string
  /** A certificate is logged, and its precertificate as well where there is one. */
  readonly issue: (certificate: TestCertificate, more?: { readonly precertificate?: TestCertificate }) => void
  /** The next answer is another one. Several wait for their turn. */
  readonly misbehave: (fault: IssuanceFault) => void
}

/** An answer in place of the next one. */
export interface IssuanceFault {
  /** `/v1/issuances` or `/`. Default: whichever is asked for next. */
  readonly path?: string
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Default once. */
  readonly times?: number
}

interface Issued {
  readonly id: number
  readonly certificate: TestCertificate
  readonly precertificate?: TestCertificate
}

function certSpotterPage(issued: readonly Issued[], asked: URLSearchParams, pageSize: number): readonly object[] {
  const domain = asked.get('domain') ?? ''
  const after = Number(asked.get('after') ?? 0)
  const expand = asked.getAll('expand')
  return issued
    .filter(({ id, certificate }) => id > after && namesOf(certificate).some((name) => concerns(name, domain, asked)))
    .slice(0, pageSize)
    .map(({ id, certificate, precertificate }) => {
      const { notBefore, notAfter, issuer, spkiSha256, tbs } = parseCertificate(certificate.der)
      const shown = precertificate ?? certificate
      return {
        id: String(id),
        tbs_sha256: createHash('sha256').update(tbs).digest('hex'),
        pubkey_sha256: spkiSha256,
        ...(expand.includes('dns_names') ? { dns_names: namesOf(certificate) } : {}),
        ...(expand.includes('issuer') ? { issuer: { name: issuer.text, pubkey_sha256: '' } } : {}),
        not_before: rfc3339(notBefore),
        not_after: rfc3339(notAfter),
        ...(expand.includes('cert')
          ? {
              cert: {
                type: precertificate === undefined ? 'cert' : 'precert',
                sha256: createHash('sha256').update(shown.der).digest('hex'),
                data: Buffer.from(shown.der).toString('base64'),
              },
            }
          : {}),
      }
    })
}

function crtShListing(issued: readonly Issued[], query: string): readonly object[] {
  const matches = (name: string): boolean =>
    query.startsWith('%.') ? name.endsWith(query.slice(1)) : name === query || name.endsWith(`.${query}`)
  return issued
    .filter(({ certificate }) => namesOf(certificate).some(matches))
    .flatMap(shownIn)
    .map(({ id, certificate }) => {
      const { notBefore, notAfter, issuer, serialNumber } = parseCertificate(certificate.der)
      const names = namesOf(certificate)
      return {
        issuer_ca_id: 1,
        issuer_name: issuer.text,
        common_name: names[0],
        name_value: names.join('\n'),
        id,
        entry_timestamp: rfc3339(notBefore).slice(0, -1),
        not_before: rfc3339(notBefore).slice(0, -1),
        not_after: rfc3339(notAfter).slice(0, -1),
        serial_number: Buffer.from(serialNumber).toString('hex'),
      }
    })
}

const shownIn = ({ id, certificate, precertificate }: Issued) => [
  ...(precertificate === undefined ? [] : [{ id: id * 2 - 1, certificate: precertificate }]),
  { id: id * 2, certificate },
]

function concerns(name: string, domain: string, asked: URLSearchParams): boolean {
  const [, parent = ''] = /^[^.]*\.(.*)$/.exec(domain) ?? []
  if (name === domain || (asked.get('match_wildcards') === 'true' && name === `*.${parent}`)) return true
  return asked.get('include_subdomains') === 'true' && name.endsWith(`.${domain}`)
}

const namesOf = ({ options }: TestCertificate): readonly string[] => [
  ...(options.names ?? []),
  ...(options.san ?? []).flatMap((name) => ('dns' in name ? [name.dns] : [])),
]

const rfc3339 = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z')

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function sendPem(response: ServerResponse, certificate: TestCertificate | undefined): void {
  if (certificate === undefined) response.writeHead(404).end()
  else response.writeHead(200, { 'content-type': 'application/pkix-cert' }).end(certificate.pem)
}

import { hash } from 'node:crypto'
import * as z from 'zod'
import { decodeBase64 } from '../../encoding/base64.ts'
import { type OpenSecret, openSecret, type SecretSource } from '../../keys/secret-source.ts'
import { systemRuntime } from '../../ports/system.ts'
import { ask, jsonOf, malformed } from './ask.ts'
import { concerns, type Issuance, issuanceOf } from './issuance.ts'
import { readCertificate } from './read-certificate.ts'
import { type Batch, baseUrlOf, type IssuanceSource, type Pass, readPosition } from './source.ts'

/** The API of Cert Spotter, as a source of issuances. */
export interface CertSpotterOptions {
  /** Default `https://api.certspotter.com/`. */
  readonly baseUrl?: string
  /** Of an account, which may ask more often. It is sent to `baseUrl` and nowhere else. */
  readonly token?: string | SecretSource
}

/**
 * The Cert Spotter API (SSLMate CT Search API v1): the issuances of unexpired certificates, in the order in which it saw them.
 *
 * @throws ConfigurationError `ERR_CONFIG_URL`, `ERR_CONFIG_INVALID`; KeyError for a token that cannot be had.
 */
export function certSpotter(options: CertSpotterOptions = {}): IssuanceSource {
  const base = baseUrlOf(options.baseUrl ?? 'https://api.certspotter.com/', 'certSpotter.baseUrl')
  const secret = options.token === undefined ? undefined : openToken(options.token)
  return Object.freeze({
    name: NAME,
    place: `${NAME} ${base.href}`,
    read: (pass: Pass) => readAll(base, secret, pass),
    close: () => secret?.close(),
  })
}

async function* readAll(base: URL, secret: OpenSecret | undefined, pass: Pass): AsyncGenerator<Batch> {
  const reached: Record<string, string> = { ...readPosition(Position, pass.position, NAME) }
  for (const domain of pass.domains) {
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const after = reached[domain]
      const token = secret && (await secret.current()).secret.reveal()
      const url = urlOf(base, domain, after, pass)
      const bytes = await ask(url, { source: NAME, maxBytes: MAX_BYTES, token }, pass)
      const issuances = Issuances.safeParse(jsonOf(bytes ?? new Uint8Array(), NAME))
      if (!issuances.success) throw malformed(NAME, `not a list of issuances (${pathOf(issuances.error)})`)
      const last = issuances.data.at(-1)
      if (last === undefined) break
      if (last.id === after) throw malformed(NAME, 'the same issuances once more')
      reached[domain] = last.id
      const ours = issuances.data.map(toIssuance).filter((one) => concerns(one, pass.matches))
      yield { issuances: ours, position: { ...reached } }
    }
  }
}

function urlOf(base: URL, domain: string, after: string | undefined, { includeSubdomains }: Pass): URL {
  const url = new URL('v1/issuances', base)
  url.searchParams.set('domain', domain)
  url.searchParams.set('include_subdomains', String(includeSubdomains))
  url.searchParams.set('match_wildcards', 'true')
  for (const field of ['dns_names', 'issuer', 'cert']) url.searchParams.append('expand', field)
  if (after !== undefined) url.searchParams.set('after', after)
  return url
}

function toIssuance(told: z.infer<typeof ToldIssuance>): Issuance {
  const text = told.cert?.data ?? told.cert_der
  const der = text === undefined ? undefined : decodeBase64(text)
  return issuanceOf(NAME, der && readCertificate(der), {
    names: told.dns_names ?? [],
    spkiSha256: told.pubkey_sha256,
    issuer: told.issuer?.name ?? '',
    ...(der === undefined ? {} : { sha256: hash('sha256', der) }),
    notBefore: instantOf(told.not_before),
    notAfter: instantOf(told.not_after),
  })
}

const instantOf = (text: string): number => Date.parse(text) || 0

function openToken(token: string | SecretSource): OpenSecret {
  const source = typeof token === 'string' ? { value: token } : token
  return openSecret(source, { name: 'certSpotter token', runtime: systemRuntime, emit: () => {} })
}

const pathOf = ({ issues }: z.ZodError): string => (issues[0]?.path ?? []).map(String).join('.').slice(0, 100)

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const Id = z.string().min(1).max(200)
const Position = z.record(z.string(), Id)

/** Members that are not read are not looked at. */
const ToldIssuance = z.object({
  id: Id,
  pubkey_sha256: Sha256,
  dns_names: z.array(z.string().max(2_000)).max(10_000).optional(),
  issuer: z.object({ name: z.string().max(4_000).optional() }).nullish(),
  not_before: z.string().max(64),
  not_after: z.string().max(64),
  cert: z.object({ data: z.string().max(400_000).optional() }).nullish(),
  cert_der: z.string().max(400_000).optional(),
})
const Issuances = z.array(ToldIssuance).max(10_000)

const NAME = 'certspotter'
const MAX_BYTES = 16 * 1024 * 1024
const MAX_PAGES = 500 // the rest with the next pass

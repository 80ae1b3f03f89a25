import { hash } from 'node:crypto'
import * as z from 'zod'
import { PinfetchError } from '../../errors/errors.ts'
import { DerError } from '../../x509/der.ts'
import { certificatesOfPem } from '../../x509/pem.ts'
import { ask, jsonOf, malformed } from './ask.ts'
import { concerns, type Issuance, issuanceOf } from './issuance.ts'
import { readCertificate } from './read-certificate.ts'
import { type Batch, baseUrlOf, type IssuanceSource, type Pass, readPosition } from './source.ts'

/** crt.sh, as a source of issuances. */
export interface CrtShOptions {
  /** Default `https://crt.sh/`. */
  readonly baseUrl?: string
}

/**
 * crt.sh: free, often overloaded, and without the key in its answers, so that each certificate that was not seen before is
 * downloaded. It is not asked for wildcards above a watched name: watch the registered domain.
 *
 * @throws ConfigurationError `ERR_CONFIG_URL`
 */
export function crtSh({ baseUrl = 'https://crt.sh/' }: CrtShOptions = {}): IssuanceSource {
  const base = baseUrlOf(baseUrl, 'crtSh.baseUrl')
  return Object.freeze({ name: NAME, place: `${NAME} ${base.href}`, read: (pass: Pass) => readAll(base, pass) })
}

/** The ids do not arrive in order, so what was seen is kept, as long as it is in the answers. */
async function* readAll(base: URL, pass: Pass): AsyncGenerator<Batch> {
  const listed = await list(base, pass)
  const seen = new Set((readPosition(Position, pass.position, NAME) ?? []).filter((id) => listed.has(id)))
  const fresh = [...listed.values()].filter(({ id }) => !seen.has(id)).sort((a, b) => a.id - b.id)
  let failure: unknown
  for (const one of fresh.slice(0, MAX_DOWNLOADS)) {
    try {
      const issuance = await download(base, one, pass)
      seen.add(one.id)
      yield { issuances: concerns(issuance, pass.matches) ? [issuance] : [], position: [...seen] }
    } catch (error) {
      if (!(error instanceof PinfetchError)) throw error
      failure ??= error // it is asked for again with the next pass; the others are not kept waiting
      if (error.code !== 'ERR_MONITOR_SOURCE_MALFORMED' && error.code !== 'ERR_MONITOR_SOURCE_STATUS') break
    }
  }
  if (failure !== undefined) throw failure
  if (fresh.length === 0) yield { issuances: [], position: [...seen] } // what is no longer listed is forgotten
}

async function list(base: URL, pass: Pass): Promise<ReadonlyMap<number, Listed>> {
  const found = new Map<number, Listed>()
  const queries = pass.domains.flatMap((domain) => (pass.includeSubdomains ? [domain, `%.${domain}`] : [domain]))
  for (const query of queries) {
    const url = new URL(base)
    url.searchParams.set('q', query)
    url.searchParams.set('output', 'json')
    url.searchParams.set('exclude', 'expired')
    const bytes = await ask(url, { source: NAME, maxBytes: MAX_LIST_BYTES }, pass)
    const answer = Listing.safeParse(jsonOf(bytes ?? new Uint8Array(), NAME))
    if (!answer.success) throw malformed(NAME, 'not a list of certificates')
    for (const one of answer.data) found.set(one.id, one)
  }
  return found
}

async function download(base: URL, listed: Listed, pass: Pass): Promise<Issuance> {
  const { id, issuer_name: issuer, name_value: names } = listed
  const url = new URL(base)
  url.searchParams.set('d', String(id))
  const pem = await ask(url, { source: NAME, maxBytes: MAX_CERTIFICATE_BYTES }, pass)
  const der = certificateOf(pem ?? new Uint8Array(), id)
  const sha256 = hash('sha256', der)
  return issuanceOf(NAME, readCertificate(der), { sha256, issuer, names: names.split('\n') })
}

function certificateOf(pem: Uint8Array, id: number): Uint8Array {
  try {
    const [der] = certificatesOfPem(Buffer.from(pem).toString('latin1'))
    if (der !== undefined) return der
  } catch (error) {
    if (!(error instanceof DerError)) throw error
  }
  throw malformed(NAME, `the download of ${id} is no certificate`)
}

type Listed = z.infer<typeof Listed>

const Id = z.int().min(1)
const Position = z.array(Id)
/** Members that are not read are not looked at. */
const Listed = z.object({
  id: Id,
  issuer_name: z.string().max(4_000),
  name_value: z.string().max(1_000_000),
})
const Listing = z.array(Listed).max(100_000)

const NAME = 'crtsh'
const MAX_LIST_BYTES = 32 * 1024 * 1024
const MAX_CERTIFICATE_BYTES = 1024 * 1024
const MAX_DOWNLOADS = 500 // the rest with the next pass: it allows few a minute

import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { parseSctList, type Sct } from '../transparency/sct.ts'
import { EMBEDDED_SCTS } from '../transparency/signed-entry.ts'
import { type CrliteFilter, readCrliteFilter } from './crlite-filter.ts'
import { attempt, type Evidence, EvidenceError, type EvidenceLimits } from './evidence.ts'

/**
 * What CRLite filters say about a certificate. One that says revoked is enough, however old it is; otherwise one that says it is not,
 * and was built within `maxAgeMs`. The certificate's embedded SCTs say which filters know it, and the CA signed those with it;
 * SCTs that came another way could lead past a filter.
 *
 * @param filters Files whose origin and integrity the application vouches for: nobody signs them.
 * @see https://c2sp.org/upki-revocation, "Revocation check procedure"
 */
export function checkCrlite(
  filters: readonly Uint8Array[],
  { certificate, issuer }: { readonly certificate: Certificate; readonly issuer: Certificate },
  now: UnixMs,
  { maxAgeMs, clockSkewMs }: Pick<EvidenceLimits, 'maxAgeMs' | 'clockSkewMs'>,
): readonly Evidence[] {
  if (filters.length === 0) return [undetermined('ERR_TRUST_CRLITE_NONE', 'no filter is at hand')]
  const scts = embeddedScts(certificate)
  const unread: Evidence[] = []
  let builtAt: number | undefined
  let isCovered = false
  for (const bytes of filters) {
    const filter = readOnce(bytes)
    if (filter instanceof EvidenceError) {
      unread.push(undetermined(filter.code, filter.message))
      continue
    }
    if (!scts.some((sct) => covers(filter, sct))) continue
    isCovered = true
    const answer = filter.isRevoked(issuer.spkiSha256, certificate.serialNumber)
    const until = endOf(filter)
    if (answer === true) return [{ status: 'revoked', thisUpdate: until, validUntil: FOREVER, revokedAt: until }]
    if (answer === false) builtAt = Math.max(until, builtAt ?? until)
  }
  if (unread.length > 0) return unread // it might have said revoked
  if (builtAt === undefined) return [isCovered ? NOT_ENROLLED : NOT_COVERED]
  const validUntil = builtAt + maxAgeMs
  if (validUntil > now && builtAt <= now + clockSkewMs) return [{ status: 'good', thisUpdate: builtAt, validUntil }]
  const message = `the filters reach until ${new Date(builtAt).toISOString()}`
  return [undetermined('ERR_TRUST_CRLITE_TOO_OLD', message)]
}

function covers({ coverage }: CrliteFilter, { logId, timestamp }: Sct): boolean {
  const interval = coverage.get(logId)
  return interval !== undefined && interval.low <= timestamp && timestamp <= interval.high
}

/** A filter has no date. It was built after the last certificate that it knows was logged. */
const endOf = ({ coverage }: CrliteFilter): number => {
  const ends = [...coverage.values()].map(({ high }) => high)
  return Math.min(Math.max(...ends), MAX_DATE_MS)
}

function embeddedScts({ extensions }: Certificate): readonly Sct[] {
  const extension = extensions.get(EMBEDDED_SCTS)
  const list = extension === undefined ? [] : parseSctList(extension.value)
  return 'code' in list ? [] : list.flatMap((one) => ('sct' in one ? [one.sct] : []))
}

function readOnce(bytes: Uint8Array): CrliteFilter | EvidenceError {
  const known = read.get(bytes) ?? attempt(() => readCrliteFilter(bytes))
  read.set(bytes, known)
  return known
}

function undetermined(code: EvidenceError['code'], message: string): Extract<Evidence, { status: 'undetermined' }> {
  return { status: 'undetermined', code, message }
}

const NOT_COVERED = undetermined('ERR_TRUST_CRLITE_NOT_COVERED', 'no filter covers an SCT of the certificate')
const NOT_ENROLLED = undetermined('ERR_TRUST_CRLITE_NOT_ENROLLED', 'the filters were built without data of its issuer')

const read = new WeakMap<Uint8Array, CrliteFilter | EvidenceError>()
const FOREVER = Number.MAX_SAFE_INTEGER
const MAX_DATE_MS = 8_640_000_000_000_000 // ECMA-262 §21.4.1.1

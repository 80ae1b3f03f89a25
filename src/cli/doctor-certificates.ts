import type { CertificationPath } from '../trust/path/path.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { Diagnosis } from './doctor.ts'
import { counted, keyText } from './text.ts'

/**
 * Pure: whether the certificate of a server lives longer than it should, as it was issued. What its CA may not issue browsers refuse; a
 * private CA is bound by nobody but those who made it, and 825 days is what Apple's platforms still take of one.
 *
 * @see CA/Browser Forum, Baseline Requirements for TLS server certificates, §6.3.2
 */
export function examineLifetime({ notBefore, notAfter }: Certificate, isPublic: boolean): Diagnosis {
  const days = Math.ceil((notAfter - notBefore + 1_000) / DAY_MS) // the last second counts, and any part of a day
  const [, limit] = (isPublic ? LIMITS : []).find(([from]) => notBefore >= from) ?? [0, PRIVATE_DAYS]
  const line = { id: 'SERVER-LIFETIME', subject: 'validity period' } as const
  const message = `issued for ${counted(days, 'day')} by a ${isPublic ? 'public' : 'private'} CA`
  if (days <= limit) return { ...line, severity: 'ok', message }
  const fix = 'Have it renewed by a program (ACME, RFC 8555): a stolen key is worth as long as its certificate lives.'
  return { ...line, severity: 'warning', message: `${message}, where ${limit} is the most`, fix }
}

/**
 * Pure: whether RSA keys are long enough for as long as their certificates say: 2048 bits are 112 bits of security, which NIST
 * allows until 2030. Below 2048 no path is found at all. Of a CA it is told, since nobody but the CA can change it.
 *
 * @see NIST SP 800-57 Part 1 Rev. 5, tables 2 and 4
 */
export function examineKeys({ certificates }: CertificationPath): readonly Diagnosis[] {
  return certificates.flatMap(({ keyInfo, notAfter, subject }, index): Diagnosis[] => {
    const isRsa = keyInfo.kind === 'rsa' || keyInfo.kind === 'rsa-pss'
    const line = { id: 'SERVER-KEY', subject: `key of ${subject.text}` } as const
    const isEndEntity = index === 0
    if (!isRsa || keyInfo.bits >= STRONG_RSA_BITS || notAfter < WEAK_FROM) {
      return isEndEntity
        ? [{ ...line, severity: 'ok', message: `${keyText(keyInfo)}, for as long as it is valid` }]
        : []
    }
    const message = `${keyText(keyInfo)} in a certificate that is valid beyond 2030`
    if (!isEndEntity) return [{ ...line, severity: 'info', message: `${message}, of a CA` }]
    const fix = 'Have it issued for a P-256 key, or for RSA with 3072 bits. Pin the new key before it is shown.'
    return [{ ...line, severity: 'warning', message, fix }]
  })
}

const DAY_MS = 86_400_000
/** Issued from then on: at most so many days. The newest first. */
const LIMITS: readonly (readonly [from: number, days: number])[] = [
  [Date.UTC(2029, 2, 15), 47],
  [Date.UTC(2027, 2, 15), 100],
  [Date.UTC(2026, 2, 15), 200],
  [Date.UTC(2020, 8, 1), 398],
]
const PRIVATE_DAYS = 825
const STRONG_RSA_BITS = 3_072
const WEAK_FROM = Date.UTC(2031, 0, 1)

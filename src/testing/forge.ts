import { systemRuntime } from '../ports/system.ts'
import { certificatePem, type IssueOptions, type PresentedCertificate, selfSigned, type TestCertificate } from './ca.ts'

/**
 * Certificates as an attacker makes them, and look-alikes an honest operator has: the material of the pinning tests.
 * OpenSSL and Node link certificates by name and key identifier; each of these breaks code that stops there.
 */

/**
 * A CA of the attacker's own key with another CA's subject and subject key identifier.
 */
export function impostorOf(
  original: PresentedCertificate,
  {
    issuer,
    ...options
  }: IssueOptions & {
    /** Who signs it, for an intermediate of that look. Default: itself, a root. */
    readonly issuer?: TestCertificate
  } = {},
): TestCertificate {
  const { subject, subjectKeyIdentifier } = original
  const look: IssueOptions = { ca: true, subject, subjectKeyIdentifier, ...options }
  return issuer === undefined ? selfSigned(look) : issuer.issue(look)
}

/** The same subject, key identifier and public key under a signature that does not verify: anyone can write it. */
export function forgedTwinOf(original: TestCertificate, options: IssueOptions = {}): PresentedCertificate {
  return twinOf(original, { signature: 'garbage', ...options })
}

/** The same key, subject and issuer, validly signed, over since yesterday: an old certificate of a key still in use. */
export function expiredTwinOf(original: TestCertificate, options: IssueOptions = {}): TestCertificate {
  const end = (original.options.now ?? systemRuntime.clock.now()) - DAY_MS
  return twinOf(original, { notBefore: end - 365 * DAY_MS, notAfter: end, ...options })
}

/** The same subject and key under another CA, as cross-signing does. */
export function crossSign(original: TestCertificate, by: TestCertificate, options: IssueOptions = {}): TestCertificate {
  const { subject, subjectKeyIdentifier } = original
  return by.issue({ ...original.options, subject, subjectKeyIdentifier, ...options })
}

/** The certificate with the last bit of its signature turned. */
export function tampered(original: PresentedCertificate): PresentedCertificate {
  const der = Uint8Array.from(original.der)
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
  return { ...original, der, pem: certificatePem(der) }
}

function twinOf(original: TestCertificate, options: IssueOptions): TestCertificate {
  const { subject, subjectKeyIdentifier } = original
  const same: IssueOptions = { ...original.options, subject, subjectKeyIdentifier, ...options }
  return original.issuer === undefined ? selfSigned(same) : original.issuer.issue(same)
}

const DAY_MS = 86_400_000

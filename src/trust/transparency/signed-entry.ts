import type { Certificate } from '../../x509/certificate.ts'
import { contextConstructed, type DerElement, DerReader, encodingOf, oidOf, openElement, TAG } from '../../x509/der.ts'
import { EXTENSION } from '../../x509/extensions.ts'
import type { Sct } from './sct.ts'

/** How an SCT came: inside the certificate it is about the precertificate, beside it about the certificate. */
export type SctSource = 'certificate' | 'ocsp'

/** What the log signed: the digitally-signed struct of RFC 6962 §3.2. */
export function signedDataOf(sct: Sct, source: SctSource, certificate: Certificate, issuer: Certificate): Uint8Array {
  const entry = source === 'ocsp' ? x509Entry(certificate) : precertificateEntry(certificate, issuer)
  return Buffer.concat([VERSION_AND_TYPE, sct.timestampOctets, ...entry, sct.extensions])
}

const x509Entry = ({ der }: Certificate): readonly Uint8Array[] => [X509_ENTRY, uint24(der.length), der]

/** The issuer is the certificate's own, also where another key of the CA signed the precertificate. */
function precertificateEntry(certificate: Certificate, issuer: Certificate): readonly Uint8Array[] {
  const tbs = precertificateTbs(certificate)
  return [PRECERT_ENTRY, Buffer.from(issuer.spkiSha256, 'hex'), uint24(tbs.length), tbs]
}

/** Made once a certificate. */
function precertificateTbs(certificate: Certificate): Uint8Array {
  const tbs = precertificates.get(certificate) ?? withoutTransparency(certificate.tbs)
  precertificates.set(certificate, tbs)
  return tbs
}

/**
 * TBSCertificate without the extensions that came after, or only before, the log saw it. Slices under new lengths: a
 * second encoding of the rest need not be the one that was signed.
 */
function withoutTransparency(tbs: Uint8Array): Uint8Array {
  const outer = new DerReader(tbs).read(TAG.sequence)
  const fields = openElement(outer)
  let last = fields.read()
  while (!fields.atEnd) last = fields.read()
  if (last.tag !== EXTENSIONS) return tbs
  const list = openElement(last).enter()
  const kept: Uint8Array[] = []
  while (!list.atEnd) {
    const extension = list.read(TAG.sequence)
    if (!NOT_SIGNED.has(identifierOf(extension))) kept.push(encodingOf(extension))
  }
  const before = tbs.subarray(outer.contentStart, last.start)
  return wrap(TAG.sequence, [before, wrap(EXTENSIONS, [wrap(TAG.sequence, kept)])])
}

const identifierOf = (extension: DerElement): string => oidOf(openElement(extension).read(TAG.oid))

function wrap(tag: number, contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0)
  return Buffer.concat([Uint8Array.of(tag, ...lengthOctets(length)), ...contents])
}

/** X.690 §10.1: the shortest form. */
function lengthOctets(length: number): readonly number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return [0x80 | octets.length, ...octets]
}

const uint24 = (value: number): Uint8Array => Uint8Array.of(value >>> 16, value >>> 8, value)

const precertificates = new WeakMap<Certificate, Uint8Array>()

const VERSION_AND_TYPE = Uint8Array.of(0, 0) // v1, certificate_timestamp
const X509_ENTRY = Uint8Array.of(0, 0)
const PRECERT_ENTRY = Uint8Array.of(0, 1)

const EXTENSIONS = contextConstructed(3)
export const EMBEDDED_SCTS = '1.3.6.1.4.1.11129.2.4.2'
const NOT_SIGNED: ReadonlySet<string> = new Set([EMBEDDED_SCTS, EXTENSION.precertificatePoison])

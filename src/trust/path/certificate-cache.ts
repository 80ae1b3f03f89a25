import { hash } from 'node:crypto'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import { type Certificate, parseCertificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'

/** Parses what a peer sent, or remembers having done so. A `DerError` is an answer here, not an exception. */
export function readCertificate(der: Uint8Array): Certificate | DerError {
  const sha256 = hash('sha256', der, 'hex')
  const known = parsed.get(sha256)
  if (known !== undefined) return known
  try {
    const certificate = parseCertificate(der, sha256)
    if (der.length <= MAX_CACHED_BYTES) parsed.set(sha256, certificate)
    return certificate
  } catch (error) {
    if (error instanceof DerError) return error
    throw error
  }
}

const parsed = new BoundedMap<string, Certificate>(256) // 1 to 2 MB; holds the chains of some hundred servers
const MAX_CACHED_BYTES = 8192 // real certificates have 1 to 3 kB; names by the thousand would fill the memory

import { hash } from 'node:crypto'
import type { Certificate } from './certificate.ts'
import { subjectPublicKeyOf } from './public-key.ts'

/**
 * An OCSPRequest about one certificate (RFC 6960 §4.1, in the form of RFC 5019 §2.1), with SHA-1 as CertID’s hash, which
 * is what every responder answers to. No nonce: responders serve from caches, and freshness is thisUpdate’s business.
 *
 * @returns DER.
 */
export function encodeOcspRequest({ serialNumber }: Certificate, issuer: Certificate): Uint8Array {
  const certId = sequence(
    SHA1_ALGORITHM,
    element(0x04, hash('sha1', issuer.subject.der, 'buffer')),
    element(0x04, hash('sha1', subjectPublicKeyOf(issuer.spki), 'buffer')),
    element(0x02, serialNumber),
  )
  return sequence(sequence(sequence(sequence(certId))))
}

const sequence = (...items: readonly Uint8Array[]): Uint8Array => element(0x30, Buffer.concat(items))

/** Two hashes and a serial number of 64 octets at most: lengths stay below 256. */
function element(tag: number, content: Uint8Array): Uint8Array {
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length]
  return Uint8Array.of(tag, ...length, ...content)
}

const SHA1_ALGORITHM = Uint8Array.of(0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00)

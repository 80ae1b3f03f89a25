import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { decodeBase64 } from '../encoding/base64.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { DerError } from './der.ts'
import type { PublicKeyInfo } from './public-key.ts'
import { type CertificateRequest, parseRequest, parseSpki } from './request.ts'

/** Something with a public key in it, as files hold them. */
export type Material =
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  | { readonly kind: 'request'; readonly request: CertificateRequest }
  /** Of a private key only the public half is kept. */
  | {
      readonly kind: 'public-key' | 'private-key'
      readonly spki: Uint8Array
      readonly keyInfo: PublicKeyInfo
    }

/**
 * Reads what a file holds: PEM with certificates, requests and keys in any order, or one of them in DER. A raw
 * SubjectPublicKeyInfo is taken as it is, byte for byte, since its digest is the pin.
 *
 * @returns Empty when there is nothing that carries a public key.
 * @throws DerError when something is there and cannot be read; PassphraseError for an encrypted private key.
 */
export function readMaterial(bytes: Uint8Array, passphrase?: string): readonly Material[] {
  if (bytes[0] === 0x30 && !looksLikeText(bytes)) return [readDer(bytes)]
  const text = Buffer.from(bytes).toString('latin1')
  return blocksOf(text).flatMap((block) => readBlock(block, passphrase) ?? [])
}

/** A private key is encrypted, and the passphrase is missing or wrong. */
export class PassphraseError extends Error {
  override readonly name = 'PassphraseError'
}

interface Block {
  readonly label: string
  /** The whole block with its boundaries. */
  readonly text: string
}

/** RFC 7468 §2. Text around the blocks is a comment. */
function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g)].map(([block, label = '']) => ({
    label,
    text: block,
  }))
}

function readBlock({ label, text }: Block, passphrase: string | undefined): Material | undefined {
  switch (label) {
    case 'CERTIFICATE':
    case 'X509 CERTIFICATE':
      return { kind: 'certificate', certificate: parseCertificate(bodyOf(text)) }
    case 'CERTIFICATE REQUEST':
    case 'NEW CERTIFICATE REQUEST':
      return { kind: 'request', request: parseRequest(bodyOf(text)) }
    case 'PUBLIC KEY': {
      const spki = bodyOf(text)
      return { kind: 'public-key', spki, keyInfo: parseSpki(spki) }
    }
    case 'RSA PUBLIC KEY':
      return publicHalf('public-key', () => createPublicKey(text))
    default:
      if (!label.endsWith('PRIVATE KEY')) return undefined // parameters, lists: nothing to pin
      return publicHalf('private-key', () => createPublicKey(openPrivateKey(text, passphrase)))
  }
}

/** @throws PassphraseError, or DerError when the text is no private key. */
export function openPrivateKey(pem: string, passphrase: string | undefined): KeyObject {
  const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem)
  if (encrypted && passphrase === undefined) throw new PassphraseError('the private key is encrypted')
  try {
    return twice(() => createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) }))
  } catch {
    // OpenSSL's own words name provider internals and differ from release to release.
    if (encrypted) throw new PassphraseError('the passphrase does not open the private key')
    throw new DerError('the private key cannot be read')
  }
}

/** Node 20 takes an error that something else has left behind in OpenSSL for one of the key, and removes it by saying so. */
function twice<T>(read: () => T): T {
  try {
    return read()
  } catch {
    return read()
  }
}

function readDer(bytes: Uint8Array): Material {
  const failures: string[] = []
  for (const read of DER_READERS) {
    try {
      return read(bytes)
    } catch (error) {
      if (!(error instanceof DerError)) throw error
      failures.push(error.message)
    }
  }
  throw new DerError(`not a certificate (${failures[0]}), a request, a public key or a private key`)
}

const DER_READERS: readonly ((der: Uint8Array) => Material)[] = [
  (der) => ({ kind: 'certificate', certificate: parseCertificate(der) }),
  (der) => ({ kind: 'request', request: parseRequest(der) }),
  (der) => ({ kind: 'public-key', spki: new Uint8Array(der), keyInfo: parseSpki(der) }),
  ...(['pkcs8', 'sec1', 'pkcs1'] as const).map((type) => (der: Uint8Array) => {
    const key = Buffer.from(der)
    return publicHalf('private-key', () => createPublicKey(createPrivateKey({ key, format: 'der', type })))
  }),
]

function publicHalf(kind: 'public-key' | 'private-key', open: () => KeyObject): Material {
  const spki = new Uint8Array(opened(open).export({ type: 'spki', format: 'der' }))
  return { kind, spki, keyInfo: parseSpki(spki) }
}

function opened(open: () => KeyObject): KeyObject {
  try {
    return open()
  } catch (error) {
    if (error instanceof DerError || error instanceof PassphraseError) throw error
    throw new DerError('not a key')
  }
}

function bodyOf(block: string): Uint8Array {
  const base64 = block.replace(/-----[^-]+-----/g, '').replace(/\s+/g, '')
  const der = decodeBase64(base64)
  if (der === undefined || der.length === 0) throw new DerError('a PEM block is not base64')
  return der
}

/** DER may start with 0x30 as the digit 0 does; a PEM file that does holds a comment and a boundary. */
const looksLikeText = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes('-----BEGIN ')

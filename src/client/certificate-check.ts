import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { decodeBase64 } from '../encoding/base64.ts'
import type { CodeIn } from '../errors/codes.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { ClientIdentity, KeyedCertificate } from '../transport/client-certificate.ts'
import { describe } from '../trust/path/describe.ts'
import { checkKey, verifySignature } from '../trust/path/signature.ts'
import { type Certificate, parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { openPrivateKey, PassphraseError } from '../x509/material.ts'
import { pemOf } from '../x509/pem.ts'

/** What messages call the two: the options, or the files. */
export interface Places {
  readonly cert: string
  readonly key: string
}

/**
 * Decides whether a server can be expected to accept a client certificate. Pure. What is refused here would otherwise be an alert
 * of every server, late and without a reason.
 *
 * @throws ConfigurationError with a code for each thing that somebody has to do.
 * @see RFC 5280 §4.2.1.3, §4.2.1.12 (usages), §6.1 (links), RFC 8446 §4.4.2 (order)
 */
export function checkIdentity(material: KeyedCertificate, places: Places, now: UnixMs): ClientIdentity {
  const chain = readChain(material.cert, places.cert)
  const [endEntity] = chain
  const key = 'key' in material ? keyBlockOf(material.key, places.key) : undefined
  if (key !== undefined) requirePair(chain, key, 'key' in material ? material.passphrase : undefined, places)
  for (const [index, certificate] of chain.entries()) requireStrength(certificate, index, places.cert)
  requireUsage(endEntity, places.cert)
  requireLinks(chain, places.cert)
  for (const certificate of chain) requireValidity(certificate, places.cert, now)
  const cert = chain.map(({ der }) => pemOf(der)).join('')
  const checked = key === undefined ? { ...material, cert } : { ...material, cert, key }
  requireContext(checked, places)
  const { notBefore, notAfter } = endEntity
  const serial = Buffer.from(endEntity.serialNumber).toString('hex')
  const thumbprint = createHash('sha256').update(endEntity.der).digest('base64url')
  return Object.freeze({ material: checked, subject: describe(endEntity), serial, thumbprint, notBefore, notAfter })
}

type Chain = readonly [Certificate, ...Certificate[]]

/** Keys may stand in the same file, as some servers want it; half a block, written just now, may not. */
function readChain(text: string, place: string): Chain {
  const blocks = blocksOf(text, place).filter(({ label }) => label === 'CERTIFICATE')
  if (blocks.length > MAX_CHAIN) {
    throw refusal(
      'ERR_CONFIG_CERTIFICATE_CHAIN',
      place,
      `expected at most ${MAX_CHAIN} certificates, found ${blocks.length}`,
    )
  }
  const [first, ...rest] = blocks.map(({ body }, index) => {
    try {
      return parseCertificate(decodeBase64(body) ?? new Uint8Array())
    } catch (cause) {
      if (!(cause instanceof DerError)) throw cause
      throw refusal('ERR_CONFIG_CERTIFICATE', place, `certificate ${index + 1} cannot be read: ${cause.message}`, cause)
    }
  })
  if (first === undefined) throw refusal('ERR_CONFIG_CERTIFICATE', place, 'expected PEM, found no certificate in it')
  return [first, ...rest]
}

function keyBlockOf(text: string, place: string): string {
  const keys = blocksOf(text, place).filter(({ label }) => label.endsWith('PRIVATE KEY'))
  const [key] = keys
  if (key !== undefined && keys.length === 1) return key.text
  throw refusal('ERR_CONFIG_CERTIFICATE', place, `expected one private key in PEM, found ${keys.length}`)
}

/** RFC 7468 §2; text around the blocks is a comment. */
function blocksOf(text: string, place: string): readonly { label: string; body: string; text: string }[] {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g)].map(
    ([block, label = '', body = '']) => ({ label, body: body.replace(/\s+/g, ''), text: `${block}\n` }),
  )
  if (text.split('-----BEGIN ').length - 1 === blocks.length) return blocks
  throw refusal('ERR_CONFIG_CERTIFICATE', place, 'a PEM block is cut short')
}

function requirePair(chain: Chain, key: string, passphrase: string | undefined, { cert, key: place }: Places): void {
  const privateKey = open(key, passphrase, place)
  const owner = chain.findIndex((certificate) => isKeyOf(certificate, privateKey))
  if (owner === 0) return
  if (owner > 0) {
    const message = `the key belongs to certificate ${owner + 1}; the client’s own comes first, its issuer next`
    throw refusal('ERR_CONFIG_CERTIFICATE_CHAIN', cert, message)
  }
  throw refusal('ERR_CONFIG_CERTIFICATE_MISMATCH', place, `not the key of ${describe(chain[0])} in ${cert}`)
}

function isKeyOf({ der }: Certificate, key: KeyObject): boolean {
  try {
    return new X509Certificate(der).checkPrivateKey(key)
  } catch {
    return false // OpenSSL cannot use what the certificate holds
  }
}

function open(key: string, passphrase: string | undefined, place: string): KeyObject {
  try {
    return openPrivateKey(key, passphrase)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'unreadable'
    if (cause instanceof PassphraseError) throw refusal('ERR_CONFIG_PASSPHRASE', place, message, cause)
    if (cause instanceof DerError) throw refusal('ERR_CONFIG_CERTIFICATE', place, message, cause)
    throw cause
  }
}

function requireStrength(certificate: Certificate, index: number, place: string): void {
  const finding = checkKey(certificate, index)
  if (finding !== undefined) throw refusal('ERR_CONFIG_CERTIFICATE_WEAK', place, finding.message)
}

function requireUsage(endEntity: Certificate, place: string): void {
  const { basicConstraints, keyUsage, extendedKeyUsage } = endEntity.decoded
  const refuse = (expected: string): never => {
    throw refusal('ERR_CONFIG_CERTIFICATE_USAGE', place, `${describe(endEntity)}: ${expected}`)
  }
  if (basicConstraints?.ca === true) refuse('expected an end entity, the first certificate is one of a CA')
  if (keyUsage?.has('digitalSignature') === false) refuse('its keyUsage lacks digitalSignature')
  if (extendedKeyUsage?.some((purpose) => purpose === CLIENT_AUTH || purpose === ANY_PURPOSE) === false) {
    refuse('its extendedKeyUsage lacks clientAuth')
  }
}

/** The server gets them in this order and may use nothing else to reach a root it trusts. */
function requireLinks(chain: Chain, place: string): void {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1]
    if (issuer === undefined) return
    const [one, other] = [describe(certificate), describe(issuer)]
    const refuse = (why: string): never => {
      throw refusal('ERR_CONFIG_CERTIFICATE_CHAIN', place, `certificate ${index + 2}, ${other}, ${why} ${one}`)
    }
    if (certificate.issuer.key !== issuer.subject.key) refuse('is not named as the issuer of')
    if (issuer.decoded.basicConstraints?.ca !== true) refuse('is no CA and cannot have issued')
    if (!verifySignature(certificate, issuer)) refuse('did not sign')
  }
}

function requireValidity(certificate: Certificate, place: string, now: UnixMs): void {
  const { notBefore, notAfter } = certificate
  const [from, until] = [notBefore, notAfter].map((time) => new Date(time).toISOString())
  if (now < notBefore) {
    throw refusal('ERR_CONFIG_CERTIFICATE_NOT_YET_VALID', place, `${describe(certificate)} is valid from ${from} on`)
  }
  if (now > notAfter) {
    throw refusal('ERR_CONFIG_CERTIFICATE_EXPIRED', place, `${describe(certificate)} was valid until ${until}`)
  }
}

/** The last word is OpenSSL's: an engine that has no such key, a signature it refuses to present. */
function requireContext(material: KeyedCertificate, { key }: Places): void {
  try {
    tls.createSecureContext({ ...material, ca: [] })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unknown reason'
    throw refusal('ERR_CONFIG_CERTIFICATE', key, `OpenSSL cannot use it: ${reason}`, cause)
  }
}

function refusal(code: CodeIn<'CONFIG'>, place: string, message: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError(code, `${place}: ${message}`, { cause })
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_PURPOSE = '2.5.29.37.0'
const MAX_CHAIN = 10

import { decodeBase64Url, encodeBase64Url } from '../../encoding/base64.ts'
import { canonicalJson, type JsonValue } from '../../encoding/canonical-json.ts'
import { MonitorError, SignError, VerifyError } from '../../errors/errors.ts'
import { fits, type SignatureAlgorithm } from '../../keys/algorithm.ts'
import type { Signer } from '../../keys/signer.ts'
import { type VerificationKey, verifySignature } from '../../keys/verification-key.ts'
import { type JsonObject, sha256 } from '../validation-record.ts'

/** What is written to a file: the evidence, the SHA-256 of its canonical JSON, and a signature over the same octets. */
export interface SealedEvidence {
  readonly evidence: JsonObject
  readonly sha256: string
  /** JWS in compact form without its payload (RFC 7515 appendix F); the payload is the canonical JSON (RFC 8785) of `evidence`. */
  readonly signature?: string
}

/** @throws SignError `ERR_SIGN_KEY_UNSUITABLE` for what no JWS can carry, and whatever the signer throws. */
export async function seal(
  evidence: JsonObject,
  signer: Signer | undefined,
  signal: AbortSignal,
): Promise<SealedEvidence> {
  const payload = Buffer.from(canonicalJson(evidence))
  const digest = sha256(payload)
  if (signer === undefined) return { evidence, sha256: digest }
  const header = { alg: ALGORITHMS[signer.algorithm], ...(signer.keyId === '' ? {} : { kid: signer.keyId }), typ: TYPE }
  const protectedHeader = encodeBase64Url(Buffer.from(canonicalJson(header)))
  const signature = await signer.sign(signingInput(protectedHeader, payload), { signal })
  if (!(signature instanceof Uint8Array)) {
    throw new SignError('ERR_SIGN_KEY_UNSUITABLE', 'evidence: expected the octets of a signature from the signer')
  }
  return { evidence, sha256: digest, signature: `${protectedHeader}..${encodeBase64Url(signature)}` }
}

export type SignatureCheck = 'verified' | 'unsigned' | 'unchecked'

/**
 * Whether a seal is unbroken.
 *
 * @throws MonitorError `ERR_MONITOR_EVIDENCE_ALTERED`; VerifyError `ERR_VERIFY_MISSING`, `ERR_VERIFY_MALFORMED`,
 *   `ERR_VERIFY_ALG_MISMATCH` or `ERR_VERIFY_FAILED` where a key is given.
 */
export function checkSeal(
  { evidence, sha256: digest, signature }: SealedEvidence,
  key: Pick<VerificationKey, 'key'> | undefined,
): SignatureCheck {
  const payload = Buffer.from(canonicalJson(evidence))
  const seen = sha256(payload)
  if (seen !== digest) {
    const message = `evidence: expected the SHA-256 ${digest}, saw ${seen}: it was changed after it was made`
    throw new MonitorError('ERR_MONITOR_EVIDENCE_ALTERED', message)
  }
  if (key === undefined) return signature === undefined ? 'unsigned' : 'unchecked'
  if (signature === undefined) throw new VerifyError('ERR_VERIFY_MISSING', 'evidence: expected a signature, saw none')
  const [protectedHeader = '', payloadPart, made = '', ...more] = signature.split('.')
  const octets = decodeBase64Url(made)
  const algorithm = algorithmOf(protectedHeader)
  if (payloadPart !== '' || more.length > 0 || octets === undefined || algorithm === undefined) {
    throw new VerifyError('ERR_VERIFY_MALFORMED', 'evidence: expected a JWS without its payload')
  }
  if (!fits(key.key, algorithm)) {
    throw new VerifyError(
      'ERR_VERIFY_ALG_MISMATCH',
      `evidence: signed with ${algorithm}, which is not for the key given`,
    )
  }
  const isOurs = verifySignature({ keyId: '', algorithm, key: key.key }, signingInput(protectedHeader, payload), octets)
  if (!isOurs) throw new VerifyError('ERR_VERIFY_FAILED', 'evidence: the signature is not one of the key given')
  return 'verified'
}

function algorithmOf(protectedHeader: string): SignatureAlgorithm | undefined {
  const bytes = decodeBase64Url(protectedHeader)
  const header = bytes === undefined ? undefined : parse(Buffer.from(bytes).toString('utf8'))
  if (typeof header !== 'object' || header === null || 'crit' in header || !('alg' in header)) return undefined
  if (!('typ' in header) || header.typ !== TYPE) return undefined // what the key signed elsewhere is no evidence
  const { alg } = header
  return NAMES.find((name) => ALGORITHMS[name] === alg)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function signingInput(protectedHeader: string, payload: Uint8Array): Buffer {
  return Buffer.from(`${protectedHeader}.${encodeBase64Url(payload)}`)
}

/** RFC 7518 §3.1, RFC 8037 §3.1. */
const ALGORITHMS: Readonly<Record<SignatureAlgorithm, string>> = {
  'hmac-sha256': 'HS256',
  ed25519: 'EdDSA',
  'ecdsa-p256-sha256': 'ES256',
  'ecdsa-p384-sha384': 'ES384',
  'rsa-pss-sha512': 'PS512',
  'rsa-v1_5-sha256': 'RS256',
}
const NAMES = Object.keys(ALGORITHMS) as readonly SignatureAlgorithm[]
const TYPE = 'pinfetch-evidence+jws'

export const sealedText = ({ evidence, sha256: digest, signature }: SealedEvidence): string =>
  `${canonicalJson({ evidence, sha256: digest, signature } satisfies JsonValue)}\n`

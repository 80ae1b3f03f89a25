import { createHash } from 'node:crypto'
import { errors, flattenedVerify, importJWK } from 'jose'
import * as z from 'zod'
import { decodeBase64Url } from '../encoding/base64.ts'
import { parseStrictJson } from '../encoding/json.ts'
import { refusal, type Where } from './refusal.ts'

/** A parsed, not yet verified document. `payload` are the bytes that the signatures cover; nothing else is ever parsed. */
export interface Envelope {
  readonly where: Where
  readonly payload: Uint8Array
  /**
   * SHA-256 of the payload, lower-case hex: the identity of the document. Not of the envelope, since ES256 signatures are
   * malleable (s and n−s both verify) and signers may add signatures later.
   */
  readonly sha256: string
  readonly payloadText: string
  readonly entries: readonly SignatureEntry[]
}

export interface SignatureEntry {
  readonly alg: string
  readonly kid: string
  readonly protected: string
  readonly signature: string
}

/** A signing key of a role, `kid` computed by us from the key material. */
export interface VerificationKey {
  readonly kid: string
  readonly alg: 'Ed25519' | 'ES256'
  /** Keys of one holder count once. */
  readonly holder: string | undefined
  readonly jwk: PublicJwk
}

export interface PublicJwk {
  readonly kty: 'OKP' | 'EC'
  readonly crv: 'Ed25519' | 'P-256'
  readonly x: string
  readonly y?: string
}

/**
 * Reads the closed envelope: JWS JSON General Serialization (RFC 7515 §7.2.1) with exactly `payload` and `signatures`, entries
 * with exactly `protected` and `signature`, headers with exactly `alg`, `kid` and `typ`. No header has an extension point,
 * so no `crit`, `b64`, embedded key or key URL can change what is verified or by what.
 *
 * @throws ManifestError ENVELOPE_*, SIG_HEADER_*, SIG_TYP_MISMATCH or SIG_DUPLICATE_KID.
 */
export function parseEnvelope(bytes: Uint8Array, where: Where): Envelope {
  const json = parseStrictJson(bytes)
  if (!json.ok && json.failure === 'utf8') throw refusal('ERR_MANIFEST_ENVELOPE_UTF8', where, 'not UTF-8 text')
  if (!json.ok && json.failure === 'json') throw refusal('ERR_MANIFEST_ENVELOPE_JSON', where, 'not JSON')
  const shape = EnvelopeShape.safeParse(json.ok ? json.value : undefined)
  if (!shape.success) {
    const message = 'expected {"payload", "signatures": 1 to 16 of {"protected", "signature"}}, all base64url'
    throw refusal('ERR_MANIFEST_ENVELOPE_SHAPE', where, message)
  }
  const { payload: payloadText, signatures } = shape.data
  const payload = decodeBase64Url(payloadText) ?? new Uint8Array()
  const entries = signatures.map((entry) => ({ ...entry, ...readHeader(entry.protected, where) }))
  if (new Set(entries.map(({ kid }) => kid)).size < entries.length) {
    throw refusal('ERR_MANIFEST_SIG_DUPLICATE_KID', where, 'one key signed twice')
  }
  return { where, payload, sha256: createHash('sha256').update(payload).digest('hex'), payloadText, entries }
}

/**
 * Requires good signatures of `threshold` distinct holders of the given keys. Signatures of other keys, and bad ones beside
 * a met threshold, are ignored (as TUF does): a document may carry signatures for readers that know other keys.
 * jose's generalVerify stops at the first good signature, so each entry is verified by itself and the counting is ours.
 *
 * @throws ManifestError SIG_ALG_MISMATCH or SIG_THRESHOLD.
 */
export async function verifyThreshold(
  { entries, payloadText, where }: Envelope,
  keys: readonly VerificationKey[],
  threshold: number,
): Promise<void> {
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  const known = entries.flatMap((entry) => {
    const key = byKid.get(entry.kid)
    return key === undefined ? [] : [{ entry, key }]
  })
  for (const { entry, key } of known) {
    // RFC 8725 §3.1: the algorithm belongs to the key. `EdDSA`, `none` and HS256 with a public key end here.
    if (entry.alg !== key.alg) {
      const message = `key ${key.kid} has alg ${key.alg}, its signature says ${JSON.stringify(entry.alg.slice(0, 20))}`
      throw refusal('ERR_MANIFEST_SIG_ALG_MISMATCH', where, message)
    }
  }
  const holders = new Set<string>()
  for (const { entry, key } of known) {
    if (await isSignedBy(payloadText, entry, key)) holders.add(holderOf(key))
    if (holders.size >= threshold) return
  }
  const message = `expected good signatures of ${threshold} of the role’s ${keys.length} keys, saw ${holders.size}`
  throw refusal('ERR_MANIFEST_SIG_THRESHOLD', where, message)
}

/** Keys that name the same holder are one vote; a key without holder is its own. */
export const holderOf = ({ kid, holder }: VerificationKey): string =>
  holder === undefined ? `kid ${kid}` : `holder ${holder}`

/** RFC 7638: over the required members alone, in order, so that a note in the JWK never changes a key's name. */
export function thumbprint({ kty, crv, x, y }: PublicJwk): string {
  const members = kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

function readHeader(encoded: string, where: Where): { alg: string; kid: string } {
  const json = parseStrictJson(decodeBase64Url(encoded) ?? new Uint8Array())
  const header = HeaderShape.safeParse(json.ok ? json.value : undefined)
  if (!header.success) {
    throw refusal('ERR_MANIFEST_SIG_HEADER_INVALID', where, 'a protected header is not {"alg", "kid", "typ"}')
  }
  const { alg, kid, typ, ...others } = header.data
  const [forbidden] = Object.keys(others)
  if (forbidden !== undefined) {
    const message = `a protected header has the member ${JSON.stringify(forbidden.slice(0, 20))}`
    throw refusal('ERR_MANIFEST_SIG_HEADER_FORBIDDEN', where, message)
  }
  // RFC 8725 §3.11: without this, a status key's signature over a manifest-shaped payload could pass as a manifest.
  const expected = `pinfetch-${where.document}+jws`
  if (typ !== expected) {
    const message = `expected typ ${expected}, saw ${JSON.stringify(typ.slice(0, 40))}`
    throw refusal('ERR_MANIFEST_SIG_TYP_MISMATCH', where, message)
  }
  return { alg, kid }
}

async function isSignedBy(payload: string, entry: SignatureEntry, { jwk, alg }: VerificationKey): Promise<boolean> {
  try {
    const key = await importJWK({ ...jwk, alg }, alg)
    const jws = { payload, protected: entry.protected, signature: entry.signature }
    // Stryker disable next-line ObjectLiteral: verifyThreshold compared the algorithms already; jose is told all the same
    await flattenedVerify(jws, key, { algorithms: [alg] })
    return true
  } catch (error) {
    if (error instanceof errors.JOSEError) return false
    throw error
  }
}

const Base64Url = z.string().refine((text) => decodeBase64Url(text) !== undefined)

const EnvelopeShape = z.strictObject({
  payload: Base64Url,
  signatures: z
    .array(z.strictObject({ protected: Base64Url, signature: Base64Url }))
    .min(1)
    .max(16),
})

const HeaderShape = z.looseObject({ alg: z.string(), kid: z.string(), typ: z.string() })

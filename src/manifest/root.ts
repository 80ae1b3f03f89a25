import { createPublicKey } from 'node:crypto'
import type { UnixMs } from '../ports/runtime.ts'
import { type Expected, readRoot } from './payload.ts'
import { refusal, type Where } from './refusal.ts'
import type { RoleName, RootKey, RootPayload } from './schema.ts'
import {
  type Envelope,
  holderOf,
  type PublicJwk,
  parseEnvelope,
  thumbprint,
  type VerificationKey,
  verifyThreshold,
} from './verify.ts'

declare const proof: unique symbol

/** A root that its own threshold, and that of the root before it or the application's word, stands behind. */
export interface TrustedRoot {
  readonly payload: RootPayload
  readonly version: number
  readonly roles: Readonly<Record<RoleName, Role>>
  /** The exact bytes received: what the cache keeps. */
  readonly bytes: Uint8Array
  readonly [proof]: true
}

export interface Role {
  readonly keys: readonly VerificationKey[]
  readonly threshold: number
}

export interface ExpectedAnchor extends Expected {
  /** SHA-256 of the payload, lower-case hexadecimal: signatures may be added to the file, and it stays the same root. */
  readonly rootFingerprint?: string | undefined
}

/** The embedded root after its synchronous checks; its signatures are still to be verified. */
export interface UnverifiedAnchor {
  readonly envelope: Envelope
  readonly root: Omit<TrustedRoot, typeof proof>
}

/**
 * Reads the root that the application ships. Synchronous, so that a wrong file throws where the client is constructed and
 * before any network. Its expiry does not matter: it only has to lead to a newer root.
 *
 * @throws ManifestError for the form, the payload and its keys; what its signatures prove, `verifyAnchor` says.
 */
export function parseAnchor(
  bytes: Uint8Array,
  expected: ExpectedAnchor,
  source = 'the trusted root',
): UnverifiedAnchor {
  const where: Where = { document: 'root', source }
  if (bytes.length > MAX_ROOT_BYTES) {
    throw refusal(
      'ERR_MANIFEST_FETCH_TOO_LARGE',
      where,
      `expected at most ${MAX_ROOT_BYTES} bytes, saw ${bytes.length}`,
    )
  }
  const envelope = parseEnvelope(bytes, where)
  const { rootFingerprint: wanted = envelope.sha256 } = expected
  if (envelope.sha256 !== wanted) {
    throw refusal('ERR_MANIFEST_ROOT_FINGERPRINT', where, `expected SHA-256 ${wanted}, saw ${envelope.sha256}`)
  }
  return { envelope, root: understand(envelope, bytes, expected) }
}

/** @throws ManifestError SIG_ALG_MISMATCH or SIG_THRESHOLD: the anchor does not carry its own threshold. */
export async function verifyAnchor({ envelope, root }: UnverifiedAnchor): Promise<TrustedRoot> {
  await verifyThreshold(envelope, root.roles.root.keys, root.roles.root.threshold)
  return root as TrustedRoot
}

/**
 * Judges bytes that were served as the root after `current`. Needs the threshold of both: the old keys say who may follow,
 * the new ones prove that they exist and are in someone's hands.
 *
 * @param now The later of the wall clock and the greatest accepted `issuedAt`.
 * @throws ManifestError; an expired root is accepted here, since only the last of a chain must be valid.
 */
export async function acceptRoot(
  bytes: Uint8Array,
  current: TrustedRoot,
  now: UnixMs,
  source?: string,
): Promise<TrustedRoot> {
  const served: Where = { document: 'root', ...(source === undefined ? {} : { source }) }
  const envelope = parseEnvelope(bytes, served)
  await verifyThreshold(envelope, current.roles.root.keys, current.roles.root.threshold)
  const next = understand(envelope, bytes, current.payload)
  await verifyThreshold(envelope, next.roles.root.keys, next.roles.root.threshold)

  const { version, payload } = next
  const where: Where = { ...served, version }
  const wanted = current.version + 1
  if (version < wanted) throw refusal('ERR_MANIFEST_ROOT_ROLLBACK', where, `expected version ${wanted}`)
  if (version > wanted) throw refusal('ERR_MANIFEST_ROOT_VERSION_GAP', where, `expected version ${wanted}`)
  checkTimes(payload, where, now)
  for (const role of ['status', 'manifest'] as const) {
    const [from, to] = [current.payload.roles[role].epoch, payload.roles[role].epoch]
    if (to < from) {
      throw refusal('ERR_MANIFEST_ROOT_EPOCH_ROLLBACK', where, `epoch of ${role} falls from ${from} to ${to}`)
    }
  }
  return next as TrustedRoot
}

/** TIME_INVERTED, then CLOCK_SKEW: a document from the future would raise the time floor for good. */
function checkTimes(
  { issuedAt, expires }: { readonly issuedAt: UnixMs; readonly expires: UnixMs },
  where: Where,
  now: UnixMs,
): void {
  if (expires <= issuedAt) throw refusal('ERR_MANIFEST_TIME_INVERTED', where, 'expires is not after issuedAt')
  checkSkew(issuedAt, where, now)
}

export function checkSkew(issuedAt: UnixMs, where: Where, now: UnixMs): void {
  if (issuedAt <= now + MAX_SKEW_MS) return
  const ahead = Math.round((issuedAt - now) / 1_000)
  throw refusal('ERR_MANIFEST_CLOCK_SKEW', where, `issued ${ahead} s in the future; check this machine’s clock`)
}

/** Parses the payload and applies the rules that hold within one root, before or after its signatures were verified. */
function understand(
  { payload: payloadBytes, where }: Envelope,
  bytes: Uint8Array,
  expected: Expected,
): Omit<TrustedRoot, typeof proof> {
  const payload = readRoot(payloadBytes, expected, where.source)
  const here: Where = { ...where, version: payload.version }
  const keys = new Map<string, VerificationKey>()
  for (const key of payload.keys) {
    const made = verificationKey(key, here)
    if (keys.has(made.kid)) throw refusal('ERR_MANIFEST_ROOT_DUPLICATE_KEY', here, `key ${made.kid} is listed twice`)
    keys.set(made.kid, made)
  }
  const roleOf = (name: RoleName): Role => {
    const { keys: kids, threshold } = payload.roles[name]
    if (new Set(kids).size < kids.length) {
      throw refusal('ERR_MANIFEST_ROOT_DUPLICATE_KEY', here, `role ${name} lists a key twice`)
    }
    const held = kids.map((kid) => {
      const key = keys.get(kid)
      if (key !== undefined) return key
      throw refusal(
        'ERR_MANIFEST_ROOT_KEY_UNKNOWN',
        here,
        `role ${name} names the key ${JSON.stringify(kid.slice(0, 50))}`,
      )
    })
    const holders = new Set(held.map(holderOf)).size
    if (threshold > holders) {
      const message = `role ${name} has threshold ${threshold} and ${holders} distinct holders`
      throw refusal('ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE', here, message)
    }
    return { keys: held, threshold }
  }
  const roles = { root: roleOf('root'), manifest: roleOf('manifest'), status: roleOf('status') }
  const shared = roles.status.keys.find((key) => roles.root.keys.includes(key))
  if (shared !== undefined) {
    throw refusal('ERR_MANIFEST_ROOT_ROLE_OVERLAP', here, `key ${shared.kid} serves root and status`)
  }
  return { payload, version: payload.version, roles, bytes: new Uint8Array(bytes) }
}

function verificationKey(key: RootKey, where: Where): VerificationKey {
  const { kty, crv, alg, x, y, holder } = key
  const isKnown = KEY_TYPES.includes(`${kty} ${crv} ${alg}`) && (y === undefined) === (kty === 'OKP')
  const jwk: PublicJwk = y === undefined ? { kty, crv, x } : { kty, crv, x, y }
  const kid = thumbprint(jwk)
  if (!isKnown || !isOnCurve(jwk)) {
    throw refusal('ERR_MANIFEST_ROOT_KEY_ALG', where, `key ${kid}: ${kty}, ${crv} and ${alg} do not make a key`)
  }
  if (key.kid !== undefined && key.kid !== kid) {
    throw refusal(
      'ERR_MANIFEST_ROOT_KID_MISMATCH',
      where,
      `key ${kid} declares ${JSON.stringify(key.kid.slice(0, 50))}`,
    )
  }
  return { kid, alg, holder, jwk }
}

function isOnCurve(jwk: PublicJwk): boolean {
  try {
    createPublicKey({ key: { ...jwk }, format: 'jwk' })
    return true
  } catch {
    return false // whatever OpenSSL calls it: these coordinates are no key
  }
}

const KEY_TYPES: readonly string[] = ['OKP Ed25519 Ed25519', 'EC P-256 ES256'] // RFC 8037 §2, RFC 7518 §6.2.1
export const MAX_ROOT_BYTES = 64 * 1024 // 32 keys with notes and 16 signatures stay below 48 KiB
const MAX_SKEW_MS = 5 * 60_000 // TLS deployments see clocks off by minutes; more is a clock to repair

import { createHash, generateKeyPairSync } from 'node:crypto'
import { encodeBase64Url } from '../encoding/base64.ts'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { AuthError } from '../errors/errors.ts'
import { type ClockOffsets, TOLERANCE_MS } from '../keys/clock-offset.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import { localSigner, type Signer } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { createBindingKeys, createKeyChange } from './binding-key.ts'
import { tokenChallenge } from './challenge.ts'
import { signJwt } from './jwt.ts'

/**
 * Demonstrating Proof of Possession (RFC 9449): a fresh proof for every request and every attempt, with the nonce that the origin
 * asked for. Nonces belong to the origin that named them and are shown to no other.
 */
export interface Dpop {
  /** RFC 7638 thumbprint of the key in force: what new tokens are bound to. @throws AuthError where a ring has none. */
  readonly jkt: string
  readonly proof: (request: ProofRequest) => Promise<DpopProof>
  /** Takes a new nonce from a response, of whatever status. */
  readonly learn: (url: URL, headers: Headers) => void
  /**
   * What a response says about the proof that was sent with its request: `retry` when the server named a nonce to use, or when a
   * resource server refuses the proof and its clock is another one than was thought. Learns the nonce, and that clock.
   *
   * @throws AuthError `ERR_AUTH_DPOP_NONCE_REJECTED` where the server asks for the nonce that it was given.
   */
  readonly judge: (response: DpopResponse, sent: DpopProof) => 'retry' | 'settled'
  /** Whether a nonce of the origin is known. */
  readonly hasNonce: (url: URL) => boolean
}

export interface ProofRequest {
  /** As it stands on the wire. */
  readonly method: string
  readonly url: URL
  /** For a resource server: bound into the proof as `ath`. */
  readonly accessToken?: string
  /** Thumbprint of the key that the token is bound to: no other one proves it. Default: the key in force. */
  readonly jkt?: string | undefined
  readonly signal: AbortSignal
}

export interface DpopProof {
  /** The value of the DPoP header field. */
  readonly header: string
  readonly url: URL
  readonly nonce: string | undefined
  readonly isForResource: boolean
  /** What it was dated by, and when on the monotonic clock. */
  readonly offsetMs: number
  readonly madeAt: number
}

export interface DpopResponse {
  readonly status: number
  readonly headers: Headers
  /** Of a token endpoint: the `error` of its body. A resource server says it in WWW-Authenticate. */
  readonly oauthError?: string | undefined
}

/** @param signer `'ephemeral-es256'`: a key of this client alone, gone with it, and its tokens with it. */
export function createDpop(signer: DpopKeys, { runtime, offsets, onKeyChanged }: DpopWorld): Dpop {
  const keys = createBindingKeys(signer === 'ephemeral-es256' ? ephemeral() : signer, runtime)
  const changed = createKeyChange(onKeyChanged)
  const inForce = () => {
    const key = keys.current()
    changed(key.jkt)
    return key
  }
  const nonces = new BoundedMap<string, string>(MAX_ORIGINS)
  const learn = (url: URL, headers: Headers): void => {
    const nonce = headers.get('dpop-nonce')
    if (nonce !== null && NONCE.test(nonce)) nonces.set(url.origin, nonce)
  }
  return {
    get jkt() {
      return inForce().jkt
    },
    learn,
    hasNonce: (url) => nonces.get(url.origin) !== undefined,
    proof: async ({ method, url, accessToken, jkt, signal }) => {
      const key = (jkt === undefined ? undefined : keys.of(jkt)) ?? inForce()
      const nonce = nonces.get(url.origin)
      const offsetMs = offsets.of(url.origin)
      const claims = {
        jti: encodeBase64Url(runtime.random(16)),
        htm: method,
        htu: targetUri(url),
        iat: Math.floor((runtime.clock.now() + offsetMs) / 1_000),
        ...(accessToken === undefined ? {} : { ath: createHash('sha256').update(accessToken).digest('base64url') }),
        ...(nonce === undefined ? {} : { nonce }),
      }
      const header = await signJwt(key.signer, { header: { typ: 'dpop+jwt', jwk: key.jwk }, claims, signal })
      const isForResource = accessToken !== undefined
      return { header, url, nonce, isForResource, offsetMs, madeAt: runtime.clock.monotonic() }
    },
    judge: (response, { url, nonce: used, isForResource, offsetMs, madeAt }) => {
      const { headers } = response
      learn(url, headers)
      // The exchange with an authorization server looks at its clock by itself.
      if (isForResource) offsets.learn(url.origin, headers, runtime.clock.monotonic() - madeAt)
      const error = errorAbout(response)
      const hasMoved = Math.abs(offsets.of(url.origin) - offsetMs) >= TOLERANCE_MS
      if (error === 'invalid_dpop_proof' && isForResource && hasMoved) return 'retry'
      if (error !== 'use_dpop_nonce') return 'settled'
      const named = headers.get('dpop-nonce')
      // A nonce is no secret: the server tells it to whoever asks.
      if (named !== null && NONCE.test(named) && named !== used) return 'retry'
      const message = `${url.host}: the server asks for a DPoP nonce and names ${named === null ? 'none' : 'the one that it was given'}`
      throw new AuthError('ERR_AUTH_DPOP_NONCE_REJECTED', message, { host: url.host, requestSent: 'yes' })
    },
  }
}

export type DpopKeys = Signer | KeyRing | 'ephemeral-es256'

export interface DpopWorld {
  readonly runtime: Runtime
  readonly offsets: ClockOffsets
  /** Another key of the ring is in force, by its thumbprint: the tokens that are bound to the one before go with it. */
  readonly onKeyChanged: (before: string, after: string) => void
}

/** What the answer says is wrong with the proof: a token endpoint in its body, a resource server in its own challenge. */
function errorAbout({ status, headers, oauthError }: DpopResponse): string | undefined {
  if (status === 400) return oauthError
  return status === 401 ? tokenChallenge(headers.get('www-authenticate'), 'dpop')?.error : undefined
}

/** RFC 9449 §4.2 `htu`: no query, no fragment. The URL parser writes the rest as the wire has it (RFC 3986 §6.2). */
function targetUri(url: URL): string {
  return `${url.origin}${url.pathname}`
}

function ephemeral(): Signer {
  return localSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
}

const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/ // RFC 9449 §8.1: 1*NQCHAR; the bound is ours
const MAX_ORIGINS = 1_000

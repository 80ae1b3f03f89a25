import type { CanonicalOrigin } from '../encoding/host.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'

/**
 * How requests to certain origins are given a credential. Made by `oauth`, `apiKey`, `bearer` and `basic`, or by the
 * application: a scheme says what may see its credential, and the client does the rest.
 */
export interface AuthScheme {
  readonly name: string
  /** Lower case. Dropped where a redirect leaves the origin, and redacted wherever headers are shown. */
  readonly credentialHeaders: readonly string[]
  /** As `https://api.example`; nothing else ever sees the credential. */
  readonly allowedOrigins: readonly string[]
  /** Called once, by `createClient`. */
  readonly bind: (host: AuthHost) => Authenticator
}

/** What a client lends its schemes. */
export interface AuthHost {
  /** The client's own pinned fetch, without any scheme and without redirects: token endpoint, discovery, JWKS, revocation. */
  readonly fetch: typeof globalThis.fetch
  readonly runtime: Runtime
  readonly emit: Emit
  /** Of the client certificate that new connections show: base64url of its SHA-256 (RFC 8705 §3.1). Absent: there is none. */
  readonly certificateThumbprint?: () => string | undefined
}

/** What a scheme makes for one client: it adds credentials to requests, and learns from the answers. */
export interface Authenticator {
  /**
   * The headers that this attempt needs. Asked again for every attempt and every hop: a proof is never copied.
   *
   * @throws AuthError where there is no credential for the request; nothing is sent then.
   */
  readonly apply: (attempt: Attempt) => Promise<HeaderPatch> | HeaderPatch
  /** Looks at the head of the answer before the caller does. */
  readonly onResponse?: (response: ResponseHead, attempt: Attempt) => Promise<Outcome> | Outcome
  /** For containment: revokes what this process holds, and ends its sessions for all who share the store. */
  readonly revoke?: (options: { readonly signal: AbortSignal }) => Promise<void>
  /** Lets what must be stored be stored. */
  readonly close?: (options: { readonly signal: AbortSignal }) => Promise<void>
}

/** One request on its way to one origin. */
export interface Attempt {
  /** As it stands on the wire. */
  readonly method: string
  readonly url: URL
  readonly origin: CanonicalOrigin
  /** Lower-case names, those of the caller. */
  readonly headers: Headers
  /** Whether the body can be sent a second time. A request without one can. */
  readonly isReplayable: boolean
  /** 0 for the first; one more for each time that `onResponse` asked for another. */
  readonly number: number
  readonly signal: AbortSignal | null
  /**
   * What `apply` wants to find again in `onResponse`: the token's version, the nonce of the proof. Kept from one attempt of a
   * request to the next, to the same origin.
   */
  state?: unknown
  /**
   * Set by `apply`: the thumbprint of the client certificate that the credential is bound to. Where that was replaced before the
   * request got a connection, nothing is sent and `apply` is asked again, under the same number.
   */
  boundTo?: string | undefined
}

/** Lower-case names. A header that the caller gave stays the caller's. */
export type HeaderPatch = Readonly<Record<string, string>>

/** An answer without its body. `receivedAt`: Unix milliseconds. */
export interface ResponseHead {
  readonly status: number
  readonly headers: Headers
  readonly receivedAt: UnixMs
}

/**
 * `done`: the response is the caller's. `retry`: the same request once more, with a new token or a new proof; where the body
 * cannot be sent again the caller gets the response, told by an event.
 */
export type Outcome = 'done' | { readonly retry: 'token' | 'proof'; readonly reason: string }

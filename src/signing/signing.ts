import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { RequestMessage } from './message.ts'

/**
 * Something that signs requests. Made by `httpSignature`, `hmacTemplate`, `sigV4` and `jwsDetached`, or by the application. A
 * client signs last: after the token, the digest and the proof, for every attempt and every hop anew.
 */
export interface RequestSigner {
  readonly name: string
  /**
   * Lower case: the header fields it sets. Dropped where a redirect leaves the origin, redacted wherever headers are shown, and
   * claimed by one signer only, but for `signature` and `signature-input`, where `label` tells several apart.
   */
  readonly headers: readonly string[]
  /** Of an RFC 9421 signature. */
  readonly label?: string
  /** What it has to know of the body: nothing, a digest (made here, or given by the caller), or the bytes themselves. */
  readonly body: 'ignored' | 'digest' | 'bytes'
  /**
   * How much of a stream is read into memory, so that it can be hashed before it is sent. Default 0: a stream is refused with
   * `ERR_SIGN_BODY_UNHASHABLE`, unless the caller says its Content-Digest where that is all that has to be known.
   */
  readonly maxBufferBytes?: number
  /** Called once, by `createClient`. */
  readonly bind: (host: SigningHost) => BoundSigner
}

/** What a client lends its signers. */
export interface SigningHost {
  readonly runtime: Runtime
  readonly emit: Emit
  /** Milliseconds that the clock of a server is ahead of ours, learned from its Date (RFC 9110 §6.6.1), bounded; 0 while unknown. */
  readonly clockOffset: (origin: string) => number
}

/** A signer with the keys and the clock of one client. */
export interface BoundSigner {
  /**
   * What to add to the request.
   *
   * @throws SignError; nothing is sent then.
   */
  readonly sign: (request: SignableRequest, context: SignContext) => Promise<RequestPatch> | RequestPatch
  /** Looks at what a server accepts, or why it refused: `retry` once, with a signature made anew. */
  readonly onResponse?: (response: SignedResponse, request: SignableRequest) => 'done' | 'retry'
  readonly close?: () => void
}

/** A request as it goes on the wire, but for the signature: every header field that fetch adds is among its fields. */
export interface SignableRequest extends RequestMessage {
  /** As `https://api.example`. */
  readonly origin: string
  readonly body: SignableBody
}

/** The body of a request, as far as a signer may know it. */
export type SignableBody =
  | { readonly kind: 'none' }
  /** The exact bytes that are sent. Hashed once an algorithm, however many ask. */
  | {
      readonly kind: 'bytes'
      readonly bytes: Uint8Array
      readonly digest: (algorithm: 'sha256' | 'sha512') => Buffer
    }
  /** Cannot be read before it is sent: what has to be known of it, the caller says in Content-Digest. */
  | { readonly kind: 'stream' }

/** Until when anybody waits for a signature. */
export interface SignContext {
  readonly signal: AbortSignal
}

/** What a signer adds to a request. */
export interface RequestPatch {
  /** Lower-case names, appended to the fields; `signature` and `signature-input` of several signers are joined. */
  readonly headers?: Readonly<Record<string, string>>
  /** Parameters appended to the query, encoded as they stand on the wire. */
  readonly query?: string
}

/** The answer to a request that was signed. */
export interface SignedResponse {
  readonly status: number
  readonly headers: Headers
}

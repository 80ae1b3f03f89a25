import type { ErrorCode } from '../errors/codes.ts'
import type { ChainEntry, Finding } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'

/**
 * One attempt at a connection, with all that its verdict rests on. Told once for every attempt, also where the name did not resolve,
 * and once of a live connection that the policy in force cut. Public values only.
 *
 * An origin that no policy covers is refused before anything is tried, so nothing is told. Of connections that others make with
 * `client.tlsOptions`, what is known is told when they ask for the verdict: neither addresses, nor times, nor how they went on.
 */
export interface HandshakeEvent {
  readonly type: 'tls.handshake'
  /** The origin, as other events name it. */
  readonly host: string
  readonly at: UnixMs
  /** `reported`: accepted by report mode alone. `refused`: by the verdict. `failed`: for another reason, perhaps before there was one. */
  readonly outcome: 'accepted' | 'reported' | 'refused' | 'failed'
  /** Absent for `accepted`. */
  readonly code?: ErrorCode
  readonly findings: readonly Finding[]
  /** The verified path, also of a peer that was refused for its keys; empty where none verified. End entity first. */
  readonly chain: readonly ChainEntry[]
  /** DER as sent, end entity first; of a resumed session what was shown when it began. Empty where nothing was shown. */
  readonly presented: readonly Uint8Array[]
  /** DER of the stapled OCSP response. */
  readonly staple?: Uint8Array
  /** The pins that were active, and those among them that stand on the verified path. */
  readonly pins: { readonly considered: readonly string[]; readonly matched: readonly string[] }
  readonly policy: {
    /** Digest over everything that the policy says: the same text, the same policy. */
    readonly generation: string
    readonly source: 'manifest' | 'code' | 'bootstrap' | 'dangerous'
    readonly mode: 'enforce' | 'report'
    /** 0 where no manifest is in force. */
    readonly manifestVersion: number
    /** Of the root that the manifest was accepted by. */
    readonly rootVersion?: number
  }
  readonly revocation?: {
    readonly status: 'good' | 'undetermined' | 'revoked' | 'unchecked'
    readonly source?: string
    readonly causes: readonly (Finding & { readonly source: string })[]
  }
  readonly transparency?: {
    readonly status: 'compliant' | 'noncompliant' | 'unchecked'
    /** Names of the logs whose SCTs count. */
    readonly logs: readonly string[]
    readonly findings: readonly Finding[]
  }
  /** Where the connection arrived, or was tried last: at the proxy, where there is one. */
  readonly address?: string
  /** What the resolver answered; empty for an address in the URL, a Unix socket or a proxy. */
  readonly addresses: readonly string[]
  /** Scheme, host and port. */
  readonly proxy?: string
  readonly connection?: {
    readonly protocol: 'TLSv1.2' | 'TLSv1.3'
    /** By its name in the IANA registry. */
    readonly cipher: string
    readonly group?: string
    readonly resumed: boolean
  }
  /** It was in use when the policy in force refused it; then the times say nothing. Once a connection. */
  readonly cut?: true
  /** Milliseconds, each of its own span; absent for what was not reached. */
  readonly timings: HandshakeTimings
}

export interface HandshakeTimings {
  /** From the start until the name was resolved; absent where there was none to resolve. */
  readonly lookupMs?: number
  /** From there until TCP was connected, or the tunnel stood. */
  readonly connectMs?: number
  /** From there until the handshake was finished. */
  readonly tlsMs?: number
  /** The verdict's part of it; also of one that ended the handshake. */
  readonly verdictMs?: number
  /** From the start until this was told. */
  readonly totalMs: number
}

/**
 * One request over one connection that ended: answered whole, or failed. Retries and redirects are requests of their own. What goes
 * over `client.agent` and `client.connect` is not seen, and one that never got a connection has none: its handshake tells why.
 */
export interface ExchangeEvent {
  readonly type: 'http.exchange'
  /** The origin, as other events name it. */
  readonly host: string
  readonly at: UnixMs
  /** One of the methods of RFC 9110 and RFC 5789, `_OTHER` for the rest. */
  readonly method: string
  readonly version: '1.1' | '2'
  /** Absent where no answer arrived. */
  readonly status?: number
  /**
   * Absent where the answer arrived whole, or the connection was upgraded. An `ErrorCode`; `_ABORTED` where the caller ended it,
   * `_OTHER` where its body did.
   */
  readonly code?: string
  /** Octets of the bodies, as they went over the wire. */
  readonly sent: number
  readonly received: number
  /** From sending the head until the answer's head arrived. */
  readonly firstByteMs?: number
  readonly totalMs: number
}

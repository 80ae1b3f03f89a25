import { CODES, type CodeIn, type ErrorCode } from './codes.ts'

/** How much of the request may have left this process: `'no'` is a promise, `'maybe'` is doubt. */
export type RequestSent = 'no' | 'maybe' | 'yes'

/** One reason why a peer was refused. Plain data: safe to log, compare and send. */
export interface Finding {
  readonly code: CodeIn<'TRUST'>
  /** Position on the judged path or in the presented list, end entity 0; `null` when no single certificate is at fault. */
  readonly certificateIndex: number | null
  /** One sentence: what was expected, what was seen. Public values only. */
  readonly message: string
}

/** One certificate of a verified path, as evidence and as onboarding: `spki` can be pasted into a pin set. */
export interface ChainEntry {
  readonly position: 'endEntity' | 'intermediate' | 'anchor'
  /** `sha256/` and the base64 digest of the SubjectPublicKeyInfo. */
  readonly spki: string
  /** RFC 4514 text, control characters escaped. */
  readonly subject: string
  readonly notAfter: number
}

/** What every error may know beside its message. */
export interface ErrorDetails {
  readonly cause?: unknown
  readonly requestSent?: RequestSent
  /** Canonical host, with the port where it is not 443. */
  readonly host?: string
}

/**
 * What every rejection of this library is. It extends TypeError because WHATWG fetch rejects with one: existing
 * `instanceof TypeError` handlers keep working, and no generic layer mistakes a refusal for a network fault.
 */
export abstract class PinfetchError<Code extends ErrorCode = ErrorCode> extends TypeError {
  readonly code: Code
  /** Whether the same call may succeed later without anyone acting. Says nothing about whether it may be sent twice. */
  readonly retryable: boolean
  readonly requestSent: RequestSent
  declare readonly host?: string

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.retryable = CODES[code].retryable
    this.requestSent = details.requestSent ?? 'no'
    if (details.host !== undefined) this.host = details.host
  }
}

/** An option, URL, pin or file of the caller's is wrong. The message names the path of the option. */
export class ConfigurationError extends PinfetchError<CodeIn<'CONFIG'>> {
  override readonly name = 'ConfigurationError'
}

/** What a TrustError knows beside its message: findings, most specific first; the path, end entity first. */
export interface TrustDetails extends ErrorDetails {
  readonly findings?: readonly Finding[]
  readonly chain?: readonly ChainEntry[]
  readonly manifestVersion?: number
}

/** The peer may not receive a request: its path, name, pins or status was refused. Never retried. */
export class TrustError extends PinfetchError<CodeIn<'TRUST'>> {
  override readonly name = 'TrustError'
  /** Most specific first. */
  readonly findings: readonly Finding[]
  /** The verified path that was refused, end entity first; empty when no path verified. */
  readonly chain: readonly ChainEntry[]
  /** The manifest in force when the verdict was given. */
  declare readonly manifestVersion?: number

  constructor(code: CodeIn<'TRUST'>, message: string, details: TrustDetails = {}) {
    super(code, message, details)
    this.findings = details.findings ?? []
    this.chain = details.chain ?? []
    if (details.manifestVersion !== undefined) this.manifestVersion = details.manifestVersion
  }
}

/** The TLS handshake itself failed or broke a rule: version, suite, alert, resumption. */
export class TlsError extends PinfetchError<CodeIn<'TLS'>> {
  override readonly name = 'TlsError'
}

/** The network failed: name resolution, connection, time, response framing. */
export class TransportError extends PinfetchError<CodeIn<'TRANSPORT'>> {
  override readonly name = 'TransportError'
}

/** One place where data is not what a schema expects. The value itself is never in it. */
export interface Issue {
  /** Of the part and the place in it: `body.amount`, `query.page`, `body.items.0`. */
  readonly path: string
  /** One phrase: what was expected, and the type of what was seen. */
  readonly message: string
}

/** What a PolicyError knows beside its message: places, and never values. */
export interface PolicyDetails extends ErrorDetails {
  readonly operation?: string
  readonly status?: number
  readonly issues?: readonly Issue[]
}

/** The request, or its response, is not allowed: scheme, host header, redirect, operation. */
export class PolicyError extends PinfetchError<CodeIn<'POLICY'>> {
  override readonly name = 'PolicyError'
  /** The name of the operation (option `operations`), or its method and path template. */
  declare readonly operation?: string
  /** Of the response that was refused. */
  declare readonly status?: number
  declare readonly issues?: readonly Issue[]

  constructor(code: CodeIn<'POLICY'>, message: string, details: PolicyDetails = {}) {
    super(code, message, details)
    if (details.operation !== undefined) this.operation = details.operation
    if (details.status !== undefined) this.status = details.status
    if (details.issues !== undefined) this.issues = details.issues
  }
}

/** What a refused document asks of its reader: an alarm, the publisher, patience, the clock, or the configuration. */
export type ManifestErrorKind = 'security' | 'publisher' | 'transient' | 'clock' | 'config'

/** What a ManifestError knows beside its message. */
export interface ManifestDetails extends ErrorDetails {
  readonly kind: ManifestErrorKind
  readonly document?: 'root' | 'status' | 'manifest' | 'blob'
  readonly version?: number
  /** The URL or path the bytes came from. */
  readonly source?: string
  readonly retryAfterMs?: number
}

/** A signed document was refused, or could not be fetched. The previous good state stays. */
export class ManifestError extends PinfetchError<CodeIn<'MANIFEST'>> {
  override readonly name = 'ManifestError'
  readonly kind: ManifestErrorKind
  declare readonly document?: 'root' | 'status' | 'manifest' | 'blob'
  declare readonly version?: number
  declare readonly source?: string
  declare readonly retryAfterMs?: number

  constructor(code: CodeIn<'MANIFEST'>, message: string, details: ManifestDetails) {
    super(code, message, details)
    this.kind = details.kind
    if (details.document !== undefined) this.document = details.document
    if (details.version !== undefined) this.version = details.version
    if (details.source !== undefined) this.source = details.source
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
  }
}

/** What an AuthError knows beside its message. Durations are milliseconds. */
export interface AuthDetails extends ErrorDetails {
  /** The error code of the authorization server (RFC 6749 §5.2), where it is a registered one. */
  readonly oauthError?: string
  readonly retryAfterMs?: number
  /** How far the clock of the server is ahead of this machine's. */
  readonly offsetMs?: number
  /** Why a session ended. */
  readonly reason?: ReauthReason
  /** What a resource server asks for: scopes (RFC 6750 §3), authentication contexts and age in seconds (RFC 9470 §3). */
  readonly scope?: readonly string[]
  readonly acrValues?: readonly string[]
  readonly maxAge?: number
}

/** `revoked` also for one that expired: OAuth has one word for both. `lost_rotation`: an answer of the server was lost. */
export type ReauthReason = 'revoked' | 'lost_rotation'

/** There is no credential for a request, or a server did not accept it. Names servers and codes, never a secret. */
export class AuthError extends PinfetchError<CodeIn<'AUTH'>> {
  override readonly name = 'AuthError'
  declare readonly oauthError?: string
  declare readonly retryAfterMs?: number
  declare readonly offsetMs?: number
  declare readonly reason?: ReauthReason
  declare readonly scope?: readonly string[]
  declare readonly acrValues?: readonly string[]
  declare readonly maxAge?: number

  constructor(code: CodeIn<'AUTH'>, message: string, details: AuthDetails = {}) {
    super(code, message, details)
    if (details.oauthError !== undefined) this.oauthError = details.oauthError
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
    if (details.offsetMs !== undefined) this.offsetMs = details.offsetMs
    if (details.reason !== undefined) this.reason = details.reason
    if (details.scope !== undefined) this.scope = details.scope
    if (details.acrValues !== undefined) this.acrValues = details.acrValues
    if (details.maxAge !== undefined) this.maxAge = details.maxAge
  }
}

/** Durable bytes could not be read or written. */
export class StoreError extends PinfetchError<CodeIn<'STORE'>> {
  override readonly name = 'StoreError'
}

/** A secret could not be had from its source, or is none. The message names the source, never the value. */
export class KeyError extends PinfetchError<CodeIn<'KEY'>> {
  override readonly name = 'KeyError'
}

/** Nobody approved a critical request, or what was approved is another one. Nothing was sent. */
export class ApprovalError extends PinfetchError<CodeIn<'APPROVAL'>> {
  override readonly name = 'ApprovalError'
}

/** What was received is not what its signer said: refuse it. The message never holds the token or a claim of it. */
export class VerifyError extends PinfetchError<CodeIn<'VERIFY'>> {
  override readonly name = 'VerifyError'
}

/** A request could not be signed. Nothing was sent. */
export class SignError extends PinfetchError<CodeIn<'SIGN'>> {
  override readonly name = 'SignError'
}

/** What a RateError knows beside its message. */
export interface RateDetails extends ErrorDetails {
  /** When there may be room again. */
  readonly retryAfterMs?: number
}

/** A limit left no room for a request. Nothing was sent. */
export class RateError extends PinfetchError<CodeIn<'RATE'>> {
  override readonly name = 'RateError'
  declare readonly retryAfterMs?: number

  constructor(code: CodeIn<'RATE'>, message: string, details: RateDetails = {}) {
    super(code, message, details)
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
  }
}

/** What a MonitorError knows beside its message. */
export interface MonitorDetails extends ErrorDetails {
  /** When the one who failed wants to be asked again. */
  readonly retryAfterMs?: number
}

/** What watches could not do so, or saw what should not be. No request is concerned. */
export class MonitorError extends PinfetchError<CodeIn<'MONITOR'>> {
  override readonly name = 'MonitorError'
  declare readonly retryAfterMs?: number

  constructor(code: CodeIn<'MONITOR'>, message: string, details: MonitorDetails = {}) {
    super(code, message, details)
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
  }
}

import type { ErrorCode } from '../errors/codes.ts'
import type { ChainEntry, Finding, ManifestErrorKind, ReauthReason } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { ExchangeEvent, HandshakeEvent } from './handshake.ts'
import type { MonitorEvent } from './monitor-events.ts'

/** What a client tells its listeners. Public values only: no token, header, body or private key is ever part of an event. */
export type ClientEvent =
  | ManifestLifecycleEvent
  | TokenEvent
  | PaceEvent
  | MonitorEvent
  | HandshakeEvent
  | ExchangeEvent
  /** A response met the client's `verify`. `unsigned`: it had no signature and needed none. `refused`: the caller got the error. */
  | {
      readonly type: 'verify.result'
      readonly host: string
      readonly outcome: 'verified' | 'unsigned' | 'refused'
      readonly code?: ErrorCode
      readonly keyId?: string
    }
  /** A peer was refused; nothing was sent to it. */
  | {
      readonly type: 'tls.rejected'
      readonly host: string
      readonly code: ErrorCode
      readonly findings: readonly Finding[]
      readonly chain: readonly ChainEntry[]
      readonly manifestVersion: number
    }
  /** Report mode let a peer through that enforcement would have refused. */
  | {
      readonly type: 'tls.reported'
      readonly host: string
      readonly code: ErrorCode
      readonly findings: readonly Finding[]
      readonly chain: readonly ChainEntry[]
      readonly manifestVersion: number
    }
  /**
   * A peer showed a key that the manifest names as one of an interception product. `verified`: it is on the verified path; else it
   * was among the certificates presented.
   */
  | {
      readonly type: 'tls.interception'
      readonly host: string
      readonly spki: string
      readonly verified: boolean
      readonly outcome: 'accepted' | 'refused'
      readonly manifestVersion: number
    }
  /** A peer was accepted for a key that another valid path lacks: what the message names must not go, or the host is refused. */
  | {
      readonly type: 'tls.fragile'
      readonly host: string
      readonly message: string
      readonly chain: readonly ChainEntry[]
      readonly manifestVersion: number
    }
  /**
   * A known host was accepted under an end-entity key that it had not shown before: a rotation, unless nobody knows of one. Told once
   * for each key; servers that take turns with a few keys are silent once all were seen. Pins of subjectPublicKeyInfo.
   */
  | {
      readonly type: 'tls.keyChanged'
      readonly host: string
      readonly before: string
      readonly after: string
      readonly manifestVersion: number
    }
  /** A connection whose peer was accepted: what its secrecy rests on. */
  | {
      readonly type: 'tls.connected'
      readonly host: string
      readonly protocol: 'TLSv1.2' | 'TLSv1.3'
      /** The suite by its name in the IANA registry. */
      readonly cipher: string
      /** The key exchange group by its name there: `X25519MLKEM768` withstands quantum computers. Absent where TLS 1.2 was resumed. */
      readonly group?: string
      /** The connection resumed a TLS session. */
      readonly resumed?: true
      /** The proxy it goes through: scheme, host and port. */
      readonly proxy?: string
    }
  /**
   * What was known of the revocation status of a peer that was accepted. `causes`: why nothing said good, or what does not
   * count yet.
   */
  | {
      readonly type: 'revocation.checked'
      readonly host: string
      readonly status: 'good' | 'undetermined' | 'revoked' | 'unchecked'
      /** Who said good. */
      readonly source?: string
      readonly causes: readonly (Finding & { readonly source: string })[]
      /** The connection resumed a TLS session: these are the certificates that were shown when the session began. */
      readonly resumed?: true
    }
  /** A CRL or OCSP response was fetched and verified. */
  | {
      readonly type: 'revocation.refreshed'
      readonly url: string
      readonly bytes: number
      readonly entries: number
      readonly ms: number
      /** Unix milliseconds. */
      readonly validUntil: number
    }
  /** A CRL or OCSP response could not be had, or did not verify; the one at hand serves until it ends. */
  | { readonly type: 'revocation.failed'; readonly url: string; readonly code: ErrorCode; readonly message: string }
  /** Live connections of an origin were closed because the policy in force now refuses the key they were made with. */
  | { readonly type: 'tls.retired'; readonly host: string; readonly connections: number; readonly code: ErrorCode }
  /** Two resolvers that were compared name different addresses; told once for each change. */
  | {
      readonly type: 'dns.mismatch'
      readonly host: string
      readonly first: readonly string[]
      readonly second: readonly string[]
    }
  /** Trust anchors were read again from files that changed; live connections are judged by them. */
  | { readonly type: 'anchors.changed'; readonly files: readonly string[] }
  /** A file of trust anchors could not be read, or was refused; the anchors in force stay. */
  | { readonly type: 'anchors.rejected'; readonly code: ErrorCode; readonly message: string }
  /** Another client certificate is in force: connections made from here on show it. */
  | ({ readonly type: 'certificate.loaded' } & CertificateFacts)
  /** A client certificate could not be had, or was refused; the one in force stays. */
  | { readonly type: 'certificate.rejected'; readonly code: ErrorCode; readonly message: string }
  /** A legacy host is refused from `sunset` on: told 30, 14, 7 and 1 days before, and at its end with 0 days left. */
  | {
      readonly type: 'policy.sunset'
      /** Host pattern of the option, or the origin where the manifest says so. */
      readonly host: string
      /** Unix milliseconds. */
      readonly sunset: UnixMs
      /** Begun days count. */
      readonly daysLeft: number
    }
  /** Two thirds of the client certificate’s life are over; nine tenths; all. */
  | ({ readonly type: 'certificate.renewalDue' | 'certificate.expiring' | 'certificate.expired' } & CertificateFacts)
  /** The files of the client certificate will not change as their operator expects. */
  | { readonly type: 'certificate.source'; readonly source: string; readonly message: string }
  /** Something between this client and the host added itself to a response; a reverse proxy of the host's own looks the same. */
  | {
      readonly type: 'network.proxySign'
      readonly host: string
      /** The header field that says so, and its value: at most 200 printable characters. */
      readonly field: string
      readonly value: string
    }
  /**
   * A response said that what it answered for is deprecated (RFC 9745). Told once an origin and date, with the path of the first
   * such response: words and versions of it, `*` for the rest.
   */
  | {
      readonly type: 'api.deprecated'
      readonly host: string
      readonly path: string
      /** Unix milliseconds: since then, or from then on. Absent where the response named no date. */
      readonly date?: number
      /** Where to read about it. */
      readonly link?: string
    }
  /** A response said from when on what it answered for will be gone (RFC 8594). */
  | {
      readonly type: 'api.sunset'
      readonly host: string
      readonly path: string
      /** Unix milliseconds. */
      readonly date: number
      readonly link?: string
    }
  /** How far the clock of a server is ahead of this machine's was learned anew: what is dated for it is corrected by that. */
  | { readonly type: 'clock.offset'; readonly host: string; readonly offsetMs: number }
  /** An authorization server does what it should not, or less than it was asked for; its token is used all the same. */
  | {
      readonly type: 'auth.notice'
      readonly host: string
      readonly kind: 'refresh-token-ignored' | 'scope-reduced' | 'metadata-kept' | 'client-secret-previous'
      readonly message: string
    }
  /**
   * Another key of a ring proves this client from here on: to its authorization server (`private_key_jwt`), or as what its tokens are
   * bound to (`dpop`; those of the key before go with it). `before` and `after`: names of keys, as the other side knows them; of a
   * DPoP key, and of one without a name, its RFC 7638 thumbprint.
   */
  | {
      readonly type: 'auth.keyChanged'
      readonly host: string
      readonly use: 'private_key_jwt' | 'dpop'
      readonly before: string
      readonly after: string
    }
  /** Another version of a secret is in force; the one before stays at hand for servers that do not know the new one yet. */
  | { readonly type: 'secret.changed'; readonly name: string; readonly source: string; readonly version: string }
  /** A secret could not be read again, or what was read is none; the one in force stays until it ends. */
  | { readonly type: 'secret.rejected'; readonly name: string; readonly code: ErrorCode; readonly message: string }
  /** The file of a secret will not change as its operator expects. */
  | { readonly type: 'secret.source'; readonly name: string; readonly source: string; readonly message: string }
  /** A redirect is about to be followed. `from`, `to`: origins, as `https://api.example.com`. `hop`: 1 for the first of a call. */
  | {
      readonly type: 'redirect.followed'
      readonly from: string
      readonly to: string
      readonly status: number
      readonly hop: number
    }
  /**
   * A resource server asks for another authentication of the user (RFC 9470). `met`: a token of one was there, and the request is sent
   * again with it; `required`: the caller has the answer. `maxAge`: in seconds.
   */
  | {
      readonly type: 'auth.stepUp'
      readonly host: string
      readonly outcome: 'required' | 'met'
      readonly maxAge?: number
      readonly tenantHash?: string
    }
  /** The caller gave a request the header of a scheme: the caller's stands, and the scheme adds nothing. */
  | {
      readonly type: 'auth.overridden'
      readonly host: string
      readonly scheme: string
      readonly headers: readonly string[]
    }
  /** The credential was renewed for a request whose body cannot be sent again: the caller has the server's answer. */
  | {
      readonly type: 'auth.notReplayed'
      readonly host: string
      readonly scheme: string
      readonly code: ErrorCode
      readonly message: string
    }
  /** The caller gave a request a header field of a signer: the caller's stands, and the signer does not sign it. */
  | {
      readonly type: 'sign.overridden'
      readonly host: string
      readonly signer: string
      readonly headers: readonly string[]
    }
  /** Another key of a ring signs from here on. Names of keys, as the other side knows them. */
  | { readonly type: 'sign.keyChanged'; readonly signer: string; readonly before: string; readonly after: string }
  /** A server refused a request for its time, or asked for another signature: it is signed and sent once more. */
  | { readonly type: 'sign.retried'; readonly host: string; readonly message: string }
  /** It would have been, but the caller has the server's answer. */
  | { readonly type: 'sign.notRetried'; readonly host: string; readonly message: string }
  /** A server asked, by Accept-Signature, for a signature that is not made for it. */
  | { readonly type: 'sign.acceptRefused'; readonly host: string; readonly code: ErrorCode; readonly message: string }
  /** Somebody is asked whether a critical request may be sent. `digest`: of all that is asked for, as the summary has it. */
  | { readonly type: 'approval.asked'; readonly host: string; readonly method: string; readonly digest: string }
  /** `isReused`: by an answer that was given before, for the same request under the same Idempotency-Key. */
  | {
      readonly type: 'approval.granted'
      readonly host: string
      readonly method: string
      readonly digest: string
      readonly isReused: boolean
    }
  | { readonly type: 'approval.refused'; readonly host: string; readonly method: string; readonly code: ErrorCode }
  /** A redirect leads to another origin, and these header fields, in lower case, stay behind for the rest of the call. */
  | {
      readonly type: 'redirect.stripped'
      readonly from: string
      readonly to: string
      readonly headers: readonly string[]
    }
  /** Something outside the options tries to weaken TLS, or an option loosens it. `effect` says what became of it. */
  | { readonly type: 'posture'; readonly subject: string; readonly effect: string }

interface CertificateFacts {
  readonly subject: string
  /** Hexadecimal, lower case. */
  readonly serial: string
  readonly notAfter: UnixMs
}

export type ManifestLifecycleEvent =
  /** The first verified manifest of this process is in force. */
  | { readonly type: 'manifest.ready'; readonly version: number }
  /** The client was closed; no event of the manifest follows. */
  | { readonly type: 'manifest.closed' }
  | {
      readonly type: 'manifest.activated'
      readonly from: number
      readonly to: number
      readonly rootVersion: number
      /** Whether the client took part in a canary to get it. */
      readonly canary: boolean
      readonly added: readonly string[]
      readonly removed: readonly string[]
      readonly changed: readonly string[]
      /** Of those removed and changed: what the entry let in before, it may refuse now. */
      readonly shrunk: readonly string[]
    }
  | {
      readonly type: 'manifest.rejected'
      readonly code: ErrorCode
      readonly kind: ManifestErrorKind
      readonly message: string
      readonly source?: string
    }
  | { readonly type: 'manifest.root'; readonly from: number; readonly to: number }
  /** A new root declares a role’s keys stolen: what they signed before no longer counts, not even as a floor. */
  | {
      readonly type: 'manifest.epoch'
      readonly role: 'manifest' | 'status'
      readonly from: number
      readonly to: number
    }
  | { readonly type: 'manifest.deny'; readonly added: readonly string[]; readonly cleared: readonly string[] }
  | { readonly type: 'manifest.stale' | 'manifest.fresh' | 'manifest.expired'; readonly version: number }
  | {
      readonly type: 'manifest.poll'
      readonly ms: number
      readonly bytes: number
      /** `shared`: a process that uses the same cache had asked in place of this one. */
      readonly result: 'changed' | 'unchanged' | 'failed' | 'shared'
      /** The mirror that was asked last for the status; absent when none answered. */
      readonly source?: string
    }
  /** Nothing was ever accepted here: the manifest that the application ships is in force until one is, or until it expires. */
  | { readonly type: 'manifest.bootstrap'; readonly version: number; readonly expires: number }
  /**
   * A manifest is about to be in force that refuses the newest verified peers of these hosts, or no longer covers them. It is
   * not held up: the key that was seen may be the attacker's.
   */
  | {
      readonly type: 'manifest.wouldBreak'
      readonly version: number
      readonly hosts: readonly { readonly host: string; readonly code: ErrorCode }[]
    }
  /** The status names an older manifest than the one in force, which stays. */
  | { readonly type: 'manifest.ahead'; readonly version: number; readonly named: number }
  /** Half, three quarters, nine tenths of a document’s life are over: whoever renews it should have done so. */
  | {
      readonly type: 'manifest.expiring'
      readonly document: 'root' | 'status' | 'manifest'
      readonly version: number
      readonly percent: 50 | 75 | 90
      readonly expiresAt: UnixMs
    }
  /** The wall clock stepped against the monotonic one. */
  | { readonly type: 'manifest.clock'; readonly stepMs: number }
  /** No source confirmed the newest root for a week: a stolen status key could be hiding behind a withheld one. */
  | { readonly type: 'manifest.security'; readonly message: string }
  /** A source will not do what its operator expects: a mount that never changes, a subscription that failed. */
  | { readonly type: 'manifest.source'; readonly source: string; readonly message: string }
  /** The cache could not be used, or held something that did not verify. The client goes on without it. */
  | { readonly type: 'manifest.cacheError'; readonly code: ErrorCode; readonly message: string }

export type TokenEvent =
  /** A renewal ended. `waiters`: requests that could not go on without it. */
  | {
      readonly type: 'token.refresh'
      readonly result: 'renewed' | 'adopted' | 'failed'
      readonly trigger: 'first' | 'early' | 'expired' | 'rejected'
      readonly waiters: number
      readonly ms: number
      /** Of a failure. */
      readonly code?: ErrorCode
      /** Consecutive failures, this one included. */
      readonly failures?: number
      /** Digest of the tenant's name, where there are tenants. */
      readonly tenantHash?: string
    }
  /** Another process renewed the token that they share. */
  | { readonly type: 'token.adopted'; readonly ageMs: number; readonly tenantHash?: string }
  /** How old a token was when another one took its place; `lifetimeMs` as its server named it. */
  | { readonly type: 'token.age'; readonly ageMs: number; readonly lifetimeMs?: number; readonly tenantHash?: string }
  /**
   * A token has other scopes than the one before it. Of those that the configuration asks for: which are new, and which are gone;
   * `others`: how many more differ, whose names are the server’s.
   */
  | {
      readonly type: 'token.scopeChanged'
      readonly added: readonly string[]
      readonly removed: readonly string[]
      readonly others: number
      readonly tenantHash?: string
    }
  /** The application asked for the text of a token. */
  | { readonly type: 'token.revealed'; readonly tenantHash?: string }
  /** A resource server refused a token; its response went to the caller. */
  | { readonly type: 'token.refused'; readonly host: string; readonly code: ErrorCode; readonly tenantHash?: string }
  /** A session ended: somebody has to authorize again. */
  | { readonly type: 'token.reauthRequired'; readonly reason: ReauthReason; readonly tenantHash?: string }
  /** A token was revoked at its server (RFC 7009), or could not be. */
  | {
      readonly type: 'token.revoked'
      readonly hint: 'access_token' | 'refresh_token'
      readonly result: 'revoked' | 'failed'
      readonly code?: ErrorCode
      readonly tenantHash?: string
    }
  /** How long a renewal waited for the right to be the only one; `held`: whether it got it. */
  | { readonly type: 'store.lease_wait'; readonly ms: number; readonly held: boolean; readonly tenantHash?: string }
  /** The token store could not be used. `effect`: what became of the renewal that needed it. */
  | {
      readonly type: 'store.failed'
      readonly code: ErrorCode
      readonly effect: 'refused' | 'alone' | 'unsaved' | 'not shared'
      readonly tenantHash?: string
    }
  /** What could not be stored is stored now, after so many attempts. */
  | { readonly type: 'store.recovered'; readonly attempts: number; readonly tenantHash?: string }

export type PaceEvent =
  /** A request waited for a limit, and goes now. */
  | { readonly type: 'rate.waited'; readonly host: string; readonly ms: number }
  /** A request was refused by a limit or a circuit breaker; nothing was sent. */
  | {
      readonly type: 'rate.refused'
      readonly host: string
      readonly code: ErrorCode
      readonly retryAfterMs?: number
    }
  /**
   * A server asked for a pause, in a `Retry-After`, or said that nothing is left of a quota. `ms`: for how long nothing is sent to it;
   * `isCapped`: it asked for more.
   */
  | {
      readonly type: 'rate.paused'
      readonly host: string
      readonly status: number
      readonly source: 'retry-after' | 'ratelimit' | 'x-ratelimit'
      readonly ms: number
      readonly askedMs: number
      readonly isCapped: boolean
    }
  /** The store of a shared limit could not be asked. `alone`: the limit of this process counts meanwhile. */
  | {
      readonly type: 'rate.storeFailed'
      readonly host: string
      readonly rule: string
      readonly code: ErrorCode
      readonly message: string
      readonly effect: 'alone' | 'refused'
    }
  /** A request is sent again after `afterMs`. `attempt`: 2 for the first retry. `cause`: the status, or the code of the error. */
  | {
      readonly type: 'retry.scheduled'
      readonly host: string
      readonly method: string
      readonly attempt: number
      readonly afterMs: number
      readonly cause: number | ErrorCode
    }
  /** A request failed of what another attempt might mend, and is not sent again. */
  | {
      readonly type: 'retry.stopped'
      readonly host: string
      readonly method: string
      readonly attempts: number
      readonly cause: number | ErrorCode
      /** `method`: neither it nor an Idempotency-Key says that it may arrive twice. `body`: it can be read only once. */
      readonly reason: 'attempts' | 'method' | 'body' | 'budget' | 'deadline'
    }
  /** An origin failed too often: its requests are refused for `ms`. */
  | { readonly type: 'breaker.opened'; readonly host: string; readonly ms: number }
  /** One request is let through, to see. */
  | { readonly type: 'breaker.probing'; readonly host: string }
  | { readonly type: 'breaker.closed'; readonly host: string }

/** The event of a type: `EventOf<'tls.rejected'>`. */
export type EventOf<Type extends ClientEvent['type']> = Picked<ClientEvent, Type>
/** Some members of the union have several types: of those, the one that is asked for. */
type Picked<Event extends ClientEvent, Type> = Event extends { readonly type: Type }
  ? Event
  : [Event['type'] & Type] extends [never]
    ? never
    : Event & { readonly type: Type }
export type Emit = (event: ClientEvent) => void

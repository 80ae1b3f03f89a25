import type { ErrorCode } from '../errors/codes.ts'
import type { Finding } from '../errors/errors.ts'
import type { UnixMs } from '../ports/runtime.ts'

/** What is told by watching: certificates, times, traffic, dates, and what somebody did about it. */
export type MonitorEvent =
  /**
   * A host was accepted, and something about it is not as it was. Once for each change. `before` and `after` are what `kind` is
   * about: SHA-256 of the certificate, hexadecimal, where no other is named below; distinguished name of its issuer; pin of its key
   * or of the anchor's; life in days; block of addresses, or what `monitor.addressOf` says.
   */
  | {
      readonly type: 'tls.anomaly'
      readonly host: string
      readonly kind:
        | 'certificate-changed'
        | 'issuer-changed'
        | 'anchor-changed'
        | 'key-changed'
        /** Renewed with more than half of its life left. */
        | 'renewed-early'
        | 'life-shorter'
        | 'life-longer'
        /** It was logged for Certificate Transparency before, and is not now. */
        | 'sct-missing'
        /** Another host shows the same key: `before` is the host that showed it first, `after` the pin. */
        | 'key-shared'
        | 'address-moved'
      readonly before: string
      readonly after: string
      readonly manifestVersion: number
    }
  /** The times of an origin shifted: one more hop, perhaps. Milliseconds; medians of what was usual and of what was just seen. */
  | {
      readonly type: 'tls.timing'
      readonly host: string
      readonly phase: 'connect' | 'tls' | 'first-byte'
      readonly usualMs: number
      readonly seenMs: number
      readonly samples: number
    }
  /**
   * What is exchanged with an origin within a minute is far from what was usual; or nothing is (`silence`), for five times as long as
   * the longest pause of a week. Milliseconds then: the longest pause, and the one so far.
   */
  | {
      readonly type: 'traffic.anomaly'
      readonly host: string
      readonly measure: 'requests' | 'failures' | 'octets-sent' | 'octets-received' | 'silence'
      readonly usual: number
      readonly seen: number
    }
  /** Something ends in 30, 14, 7 or 1 days, or has ended (0): once for each. */
  | {
      readonly type: 'expiry.near'
      readonly what: ExpiringThing
      /** Host, file, name or version: what tells this one from others of its kind. */
      readonly subject: string
      readonly notAfter: UnixMs
      /** Begun days count. */
      readonly daysLeft: number
    }
  /** SCTs of an accepted peer were looked at. */
  | {
      readonly type: 'ct.checked'
      readonly host: string
      readonly status: 'compliant' | 'noncompliant' | 'unchecked'
      /** Names of the logs that count, and of who operates them. */
      readonly logs: readonly string[]
      readonly operators: readonly string[]
      readonly findings: readonly Finding[]
    }
  /** A certificate was issued for a watched name, with a key that is no pin of it. */
  | {
      readonly type: 'ct.unexpected'
      readonly names: readonly string[]
      /** Pin of its key; empty, as the times are 0, where the certificate cannot be read. */
      readonly spki: string
      readonly issuer: string
      /** Hexadecimal. */
      readonly serial?: string
      /** SHA-256 of the certificate or precertificate, hexadecimal. */
      readonly sha256?: string
      readonly notBefore: UnixMs
      readonly notAfter: UnixMs
      /** Who told of it: `certspotter`, `crtsh`, or the origin of a log. */
      readonly source: string
    }
  /** A source of issuances could not be asked; it is asked again after `retryAfterMs`. */
  | {
      readonly type: 'ct.watchFailed'
      readonly source: string
      readonly code: ErrorCode
      readonly message: string
      readonly retryAfterMs: number
    }
  /**
   * Requests are refused from here on. `scope`: an origin pattern, or `*` for all. `by`: the application, a signal, or the manifest.
   * `requests`: how many were under way, and were ended.
   */
  | {
      readonly type: 'containment.begun'
      readonly scope: string
      readonly reason: string
      readonly by: 'call' | 'signal' | 'manifest'
      readonly requests: number
    }
  | {
      readonly type: 'containment.ended'
      readonly scope: string
      readonly reason: string
      readonly closedBecause: string
    }
  /** An outlet lost records: it is full, slow or down. Once when it begins, once when it is over. */
  | {
      readonly type: 'outlet.failed' | 'outlet.recovered'
      readonly outlet: string
      readonly dropped: number
      readonly message: string
    }

/** Something that ends, and what tells it from others of its kind. */
export interface Expiring {
  readonly what: ExpiringThing
  readonly subject: string
  readonly notAfter: UnixMs
  /** Where it has a beginning: thresholds that are most of its life are none. */
  readonly notBefore?: UnixMs
}

export type ExpiringThing =
  | 'server certificate'
  | 'client certificate'
  | 'pin'
  | 'manifest'
  | 'status'
  | 'root'
  | 'revocation list'
  | 'log list'
  | 'legacy host'

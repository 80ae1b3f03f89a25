import type { ErrorCode } from '../errors/codes.ts'

/** What is known of a deployment, as far as time is concerned. Instants are Unix milliseconds; one that is absent is unbounded. */
export interface Facts {
  readonly documents: readonly DocumentFact[]
  readonly hosts: readonly HostFact[]
  /** What of a client ends by itself. */
  readonly own: readonly OwnFact[]
  /** Denied keys, wherever they stand. */
  readonly denied: readonly { readonly spki: string; readonly reason: string }[]
}

interface Window {
  /** Inclusive. */
  readonly from?: number
  /** Exclusive. */
  readonly until?: number
}

/** A signed document. From its end on there is an outage of the kind that `effect` names. */
export interface DocumentFact extends Window {
  /** `status 41 of acme/pins` */
  readonly label: string
  readonly effect: string
  readonly code: ErrorCode
}

export interface HostFact {
  /** Host or pattern, with its port where it is another than 443. */
  readonly host: string
  readonly pins: readonly PinFact[]
  /** Each has to have a pin that matches. Default: all pins are one group. Positions in `pins`. */
  readonly groups?: readonly (readonly number[])[]
  /** What its servers showed. Empty where nobody looked: then it is the pins alone that are judged. */
  readonly certificates: readonly CertificateFact[]
  /** Certificates above those, up to the anchor: at the end of any of them the path has ended. */
  readonly issuers?: readonly IssuerFact[]
  /** OCSP responses as its servers stapled them. The end of one is no outage: the server fetches the next. */
  readonly staples?: readonly StapleFact[]
  /** Pins that do not match are only reported until then: `Infinity` for ever. Default: they are refused. */
  readonly enforcedFrom?: number
  /** The host is refused from then on, whatever it shows. */
  readonly refusedFrom?: { readonly at: number; readonly why: string; readonly code: ErrorCode }
}

export interface PinFact extends Window {
  readonly spki: string
  /** What its publisher calls it. */
  readonly label?: string
  readonly isDenied?: boolean
  /** Where on the path it has to stand. Default: anywhere. */
  readonly require?: 'endEntity' | 'issuer'
}

export interface CertificateFact extends Window {
  readonly subject: string
  /** The keys of its verified path, end entity first: under every hash that a pin may use. */
  readonly path: readonly (readonly string[])[]
}

export interface IssuerFact extends Window {
  readonly subject: string
}

export interface StapleFact extends Window {
  /** What it says, and of whom. */
  readonly label: string
}

export interface OwnFact extends Window {
  readonly what: 'client certificate' | 'revocation list' | 'log list' | 'certificate'
  readonly label: string
  /** What happens at its end, where it is an outage. */
  readonly outage?: { readonly effect: string; readonly code: ErrorCode }
}

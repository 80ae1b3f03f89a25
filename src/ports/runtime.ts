/** Unix time in milliseconds. A brand, so that a duration or a monotonic reading is never taken for an instant. */
export type UnixMs = number & { readonly [unixMs]: true }
declare const unixMs: unique symbol

export const toUnixMs = (ms: number): UnixMs => ms as UnixMs

/** Ends a scheduled run; calling it twice, or after the run, does nothing. */
export type Cancel = () => void

/**
 * What the library asks of the world besides sockets. Objects that wait or send receive it; pure functions receive `now`.
 * `ports/system.ts` is the only implementation that reads the machine's clock, timers and random source.
 */
export interface Runtime {
  readonly clock: {
    /** Wall time: certificates, manifests, tokens. May step. */
    now(): UnixMs
    /** Milliseconds since an arbitrary start; never steps back. For ages and deadlines. */
    monotonic(): number
  }
  readonly random: (length: number) => Uint8Array
  /** Runs once, `afterMs` later. Never keeps the process alive by itself. */
  readonly schedule: (afterMs: number, run: () => void) => Cancel
}

/** Whether each part of it is there: one that is missing fails at its first use, in the middle of something else. */
export function isRuntime(value: unknown): boolean {
  const { clock, random, schedule } = (value ?? {}) as Partial<Runtime>
  return [clock?.now, clock?.monotonic, random, schedule].every((part) => typeof part === 'function')
}

export interface FetchedBytes {
  readonly status: number
  /** Lower-case names; a repeated header is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Uint8Array
}

/** How much may be read, until when, and what is known already. */
export interface FetchLimits {
  /** Reading stops, and the call rejects, at the first byte past it. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** Sent as `If-None-Match`. */
  readonly ifNoneMatch?: string
}

/**
 * One GET, no redirect followed, identity encoding. `manifest/` asks for it; `client/create-client.ts` plugs in the transport.
 * Answers for every HTTP status; rejects with a PinfetchError for everything else.
 */
export type FetchBytes = (url: URL, limits: FetchLimits) => Promise<FetchedBytes>

/**
 * Calls back when something directly in the folder changed, without saying what; stays silent where the file system cannot
 * tell. Never keeps the process alive.
 */
export type WatchFolder = (path: string, changed: () => void) => Cancel

export interface EvidenceRequest {
  /** As a certificate names it: whatever it says. */
  readonly url: string
  /** An OCSP request to POST; without one it is a GET. */
  readonly ocspRequest?: Uint8Array
  readonly maxBytes: number
  /** From the first packet to the last byte. */
  readonly timeoutMs: number
}

/**
 * The body of a CRL or OCSP response as it arrives. Nothing of it is authentic: who reads verifies. Rejects with an
 * EvidenceError for everything but a 200.
 */
export type FetchEvidence = (request: EvidenceRequest) => AsyncIterable<Uint8Array>

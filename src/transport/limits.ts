/** How long each stage of a call may take, in milliseconds. */
export interface Timeouts {
  /** The whole call, body included; lengthened by throughput, see `Limits.minBytesPerSecond`. */
  readonly totalMs: number
  /** Name resolution and TCP, or the tunnel of a proxy. */
  readonly connectMs: number
  /** From the TCP connection to a TLS connection that may carry requests. */
  readonly tlsMs: number
  /** From the request, once it is written, to the headers of the response. */
  readonly headersMs: number
  /** Between two pieces of the response's body. */
  readonly bodyMs: number
}

/** Whether HTTP/2 is offered to peers, and whether one that does not take it up is refused. */
export type Http2 = 'never' | 'prefer' | 'require'

/** How much a peer may make a client hold, unpack or wait for. */
export interface Limits {
  /** All header fields of a response together, those of interim responses included. */
  readonly headerBytes: number
  /** A response's body, as sent and as decoded. */
  readonly bodyBytes: number
  /** Decoded bytes for each byte received, counted once the first MiB is decoded. */
  readonly inflateRatio: number
  /** As many bytes, sent or received, lengthen the total time by one second. */
  readonly minBytesPerSecond: number
  /** A connection older than this, less or more a tenth, gets no further request. */
  readonly connectionAgeMs: number
}

export const DEFAULT_TIMEOUTS: Timeouts = Object.freeze({
  totalMs: 30_000,
  connectMs: 10_000,
  tlsMs: 10_000,
  headersMs: 30_000,
  bodyMs: 30_000,
})

export const DEFAULT_LIMITS: Limits = Object.freeze({
  headerBytes: 16_384,
  bodyBytes: 268_435_456,
  inflateRatio: 100,
  minBytesPerSecond: 8_192,
  connectionAgeMs: 600_000,
})

export const MAX_CONNECTIONS = 256 // to one origin: a quarter of the 1 024 descriptors that a process often has

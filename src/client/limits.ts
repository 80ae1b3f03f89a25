import * as z from 'zod'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../transport/limits.ts'

export interface TimeoutOptions {
  /**
   * The whole call, body included. Default 30 000: longer than a caller's user waits. Every `limits.minBytesPerSecond` bytes
   * sent or received add a second, so a large transfer passes and a drip is cut; a `text/event-stream` ends it at its headers.
   */
  readonly totalMs?: number
  /** Name resolution and TCP, or the tunnel of a proxy. Default 10 000: far above any healthy network, below most callers' patience. */
  readonly connectMs?: number
  /** From the TCP connection to a verified TLS connection. Default 10 000: room for one retransmission of each flight. */
  readonly tlsMs?: number
  /** From the request to the response's headers. Default 30 000: as much as the whole call may take. */
  readonly headersMs?: number
  /** Between two pieces of the response's body. Default 30 000: an event stream has to send a comment as often. */
  readonly bodyMs?: number
}

export interface LimitOptions {
  /** Header fields of a response together. Default 16 384: what Node's own http allows. */
  readonly headerBytes?: number
  /** A response's body, as sent and as decoded. Default 268 435 456 (256 MiB): above what an API answers, below what ends a process. */
  readonly bodyBytes?: number
  /** Decoded bytes for each byte received, counted once the first MiB is decoded. Default 100: JSON and HTML compress 5 to 30 times. */
  readonly inflateRatio?: number
  /** The throughput below which `timeouts.totalMs` ends a call. Default 8 192: a modem of 1998 had as much. */
  readonly minBytesPerSecond?: number
  /** A connection older than this, and up to a tenth more lest all end at once, gets no further request. Default 600 000: a new address or certificate is seen within minutes. */
  readonly connectionAgeMs?: number
}

const milliseconds = (max = 600_000) => z.int().min(1).max(max)
const DAY_MS = 86_400_000

const TIMEOUTS = {
  totalMs: milliseconds(DAY_MS),
  connectMs: milliseconds(),
  tlsMs: milliseconds(),
  headersMs: milliseconds(),
  bodyMs: milliseconds(),
}

const LIMITS = {
  headerBytes: z.int().min(1_024).max(1_048_576), // they are all held before anything can judge them
  bodyBytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  inflateRatio: z.int().min(1).max(100_000),
  minBytesPerSecond: z.int().min(1).max(1_073_741_824),
  connectionAgeMs: milliseconds(DAY_MS),
}

export const TimeoutsSchema = z
  .strictObject({
    totalMs: TIMEOUTS.totalMs.default(DEFAULT_TIMEOUTS.totalMs),
    connectMs: TIMEOUTS.connectMs.default(DEFAULT_TIMEOUTS.connectMs),
    tlsMs: TIMEOUTS.tlsMs.default(DEFAULT_TIMEOUTS.tlsMs),
    headersMs: TIMEOUTS.headersMs.default(DEFAULT_TIMEOUTS.headersMs),
    bodyMs: TIMEOUTS.bodyMs.default(DEFAULT_TIMEOUTS.bodyMs),
  })
  .prefault({})

export const LimitsSchema = z
  .strictObject({
    headerBytes: LIMITS.headerBytes.default(DEFAULT_LIMITS.headerBytes),
    bodyBytes: LIMITS.bodyBytes.default(DEFAULT_LIMITS.bodyBytes),
    inflateRatio: LIMITS.inflateRatio.default(DEFAULT_LIMITS.inflateRatio),
    minBytesPerSecond: LIMITS.minBytesPerSecond.default(DEFAULT_LIMITS.minBytesPerSecond),
    connectionAgeMs: LIMITS.connectionAgeMs.default(DEFAULT_LIMITS.connectionAgeMs),
  })
  .prefault({})

/** As a file says them: what it leaves out stays open for code to say. */
export const TimeoutsInFile = z.strictObject({
  totalMs: TIMEOUTS.totalMs.exactOptional(),
  connectMs: TIMEOUTS.connectMs.exactOptional(),
  tlsMs: TIMEOUTS.tlsMs.exactOptional(),
  headersMs: TIMEOUTS.headersMs.exactOptional(),
  bodyMs: TIMEOUTS.bodyMs.exactOptional(),
})

export const LimitsInFile = z.strictObject({
  headerBytes: LIMITS.headerBytes.exactOptional(),
  bodyBytes: LIMITS.bodyBytes.exactOptional(),
  inflateRatio: LIMITS.inflateRatio.exactOptional(),
  minBytesPerSecond: LIMITS.minBytesPerSecond.exactOptional(),
  connectionAgeMs: LIMITS.connectionAgeMs.exactOptional(),
})

import * as z from 'zod'

/**
 * When an origin that fails is left alone. A failure is a fault of the network (`ERR_TRANSPORT_*`) or a status of 500 and above;
 * 429 is none. What a check of ours refused counts as neither: it is not hidden behind another error, and an attacker on the path
 * cannot end the traffic of a service by it.
 */
export interface BreakerOptions {
  /** Of the requests in `windowMs`, from 0 to 1. Default 0.5. */
  readonly failureRatio?: number
  /** Fewer in `windowMs` open nothing. Default 10. */
  readonly minRequests?: number
  /** Default 10 000. */
  readonly windowMs?: number
  /**
   * For how long requests are refused with `ERR_RATE_CIRCUIT_OPEN`. Then one is let through: a success lets all others follow, a
   * failure doubles the time. Default 5 000.
   */
  readonly openMs?: number
  /** The longest of these, and how long that one has before another is let through. Default 60 000. */
  readonly maxOpenMs?: number
}

const ms = z.int().min(1).max(3_600_000)
const failureRatio = z.number().gt(0).max(1)
const minRequests = z.int().min(1).max(100_000)

export const BreakerSchema = z
  .strictObject({
    failureRatio: failureRatio.default(0.5),
    minRequests: minRequests.default(10),
    windowMs: ms.default(10_000),
    openMs: ms.default(5_000),
    maxOpenMs: ms.default(60_000),
  })
  .refine(({ openMs, maxOpenMs }) => maxOpenMs >= openMs, { path: ['maxOpenMs'], error: 'expected `openMs` or more' })

export const BreakerInFile = z.strictObject({
  failureRatio: failureRatio.exactOptional(),
  minRequests: minRequests.exactOptional(),
  windowMs: ms.exactOptional(),
  openMs: ms.exactOptional(),
  maxOpenMs: ms.exactOptional(),
})

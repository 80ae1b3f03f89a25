/**
 * What the exchanges of one call share, where it takes several: `timeouts.totalMs` counts from the first of them, and what any
 * of them moved lengthens it.
 */
export interface CallTime {
  /** Monotonic; the first exchange sets it. */
  startedAt: number | undefined
  /** Bytes of bodies. */
  moved: number
}

export interface Shift {
  /** Median of what was usual. */
  readonly usual: number
  /** Median of those samples that left the band. */
  readonly seen: number
}

/**
 * Notices that samples are no longer distributed as they were: 21 of the newest 40 are above the 90 % quantile of the 160 before
 * them, or below the 10 % quantile. In other words, their median left the band where four fifths used to be.
 *
 * No distribution is assumed, since times on a network have none that lasts. Of independent samples one in ten is above the 90 %
 * quantile, whatever they look like, and 21 of 40 are once in 10^11 windows; where the 160 samples put the quantile as low as
 * 83 %, which is three standard errors, once in 10^7. What has left the newest 40 becomes usual, so slow changes are followed in
 * silence, and a shift is noticed before any of it is: after 21 samples that are clearly above.
 *
 * After a shift the new level is learned from nothing. Two kilobytes, and less than a microsecond a sample.
 *
 * @param isNotable Whether a difference is worth telling at all, given that it is not by chance.
 */
export class ShiftWatch {
  readonly #isNotable: (shift: Shift) => boolean
  readonly #usual = new Float64Array(USUAL)
  readonly #newest = new Float64Array(NEWEST)
  /** Of each of the newest: 1 above the band, -1 below it. */
  readonly #sides = new Int8Array(NEWEST)
  #count = 0
  #above = 0
  #below = 0
  #low = Number.NEGATIVE_INFINITY
  #median = 0
  #high = Number.POSITIVE_INFINITY

  constructor(isNotable: (shift: Shift) => boolean) {
    this.#isNotable = isNotable
  }

  /** Takes a finite number, and answers once for each shift. */
  add(value: number): Shift | undefined {
    const at = this.#count % NEWEST
    if (this.#count >= NEWEST) this.#usual[(this.#count - NEWEST) % USUAL] = this.#newest[at] ?? 0
    this.#newest[at] = value
    this.#setSide(at, value)
    this.#count += 1
    if (this.#count >= SAMPLES && this.#count % NEWEST === 0) this.#learn()
    if (this.#above < MAJORITY && this.#below < MAJORITY) return undefined
    const side = this.#above >= MAJORITY ? 1 : -1
    const shift = {
      usual: this.#median,
      seen: medianOf(this.#newest.filter((_, place) => this.#sides[place] === side)),
    }
    if (!this.#isNotable(shift)) return undefined
    this.#forget()
    return shift
  }

  #setSide(at: number, value: number): void {
    const before = this.#sides[at]
    if (before === 1) this.#above -= 1
    else if (before === -1) this.#below -= 1
    const side = value > this.#high ? 1 : value < this.#low ? -1 : 0
    this.#sides[at] = side
    if (side === 1) this.#above += 1
    else if (side === -1) this.#below += 1
  }

  #learn(): void {
    const sorted = this.#usual.slice().sort()
    this.#low = sorted[USUAL * 0.1] ?? 0
    this.#median = sorted[USUAL * 0.5] ?? 0
    this.#high = sorted[USUAL * 0.9] ?? 0
    for (const [at, value] of this.#newest.entries()) this.#setSide(at, value)
  }

  #forget(): void {
    this.#count = 0
    this.#above = 0
    this.#below = 0
    this.#sides.fill(0)
    this.#low = Number.NEGATIVE_INFINITY
    this.#high = Number.POSITIVE_INFINITY
  }
}

const medianOf = (values: Float64Array): number => values.slice().sort()[values.length >> 1] ?? 0

const USUAL = 160
const NEWEST = 40
const MAJORITY = NEWEST / 2 + 1
/** From how many samples on shifts are told. */
export const SAMPLES = USUAL + NEWEST

/** The middle of the values; the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return (low + high) / 2
}

export interface Ratio {
  readonly median: number
  /** 95 % of the resampled medians lie between. */
  readonly interval: readonly [number, number]
}

/** The ratio of paired rounds with its 95 % interval by bootstrap. Seeded, so that one run prints one answer. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
  const random = seededRandom(ratios.length)
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(ratios.map(() => ratios[Math.floor(random() * ratios.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b)
  const at = (share: number): number => medians[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN
  return { median: median(ratios), interval: [at(0.025), at(0.975)] }
}

export interface BoundRatio {
  readonly ratio: number
  readonly interval: readonly [number, number]
  /** What the ratio should stay under, or over. */
  readonly bound: { readonly max: number } | { readonly min: number }
  readonly held: boolean
}

/** A bound holds when the interval's favourable end meets it and the median is within 5 % of it. */
export function bounded(ratio: Ratio, bound: BoundRatio['bound']): BoundRatio {
  const { median: middle, interval } = roundedRatio(ratio)
  const held =
    'max' in bound
      ? ratio.interval[0] <= bound.max && ratio.median <= bound.max * 1.05
      : ratio.interval[1] >= bound.min && ratio.median >= bound.min * 0.95
  return { ratio: middle, interval, bound, held }
}

export function roundedRatio({ median: middle, interval: [low, high] }: Ratio): Ratio {
  return { median: rounded(middle, 3), interval: [rounded(low, 3), rounded(high, 3)] }
}

export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

/** A small generator for resampling and shuffling; not for secrets. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Fisher and Yates. */
export function shuffled<T>(values: readonly T[], random: () => number): readonly T[] {
  const left = [...values]
  return values.flatMap(() => left.splice(Math.floor(random() * left.length), 1))
}

const RESAMPLES = 2_000

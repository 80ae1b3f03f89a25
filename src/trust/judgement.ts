import type { TrustInput } from './evaluate.ts'

/** All that a verdict rests on, kept for as long as somebody holds the record that tells of it. */
export interface Judgement {
  readonly input: TrustInput
}

/**
 * Beside the record and not in it: a listener that prints or sends what it is told shows no more than before, and who keeps
 * evidence can still judge again.
 */
export function rememberJudgement(record: object, judgement: Judgement): void {
  judgements.set(record, judgement)
}

/** `undefined` for a copy of a record, and for an attempt that ended before there was something to judge. */
export function judgementBehind(record: object): Judgement | undefined {
  return judgements.get(record)
}

const judgements = new WeakMap<object, Judgement>()

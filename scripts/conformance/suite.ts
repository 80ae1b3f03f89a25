import type { PathProfile } from '../../src/trust/path/path.ts'

export interface Answer {
  readonly result: 'pass' | 'fail'
  /** Why it failed: our full code. */
  readonly code?: string
  /** Microseconds the product's code took. */
  readonly us?: number
}

/** Puts one case to the product's own code. A throw counts as a failed case. */
export type CaseRunner = (input: unknown, profile: PathProfile) => Answer | Promise<Answer>

/** `strict` is another word for `cabf`. `undefined` for flags that are no profile. */
export function profileOf(flags: readonly string[]): PathProfile | undefined {
  if (flags.length === 0) return 'default'
  const [flag, value, ...rest] = flags.flatMap((text) => text.split('='))
  if (flag !== '--profile' || rest.length > 0) return undefined
  return value === 'default' || value === 'cabf' || value === 'rfc5280'
    ? value
    : value === 'strict'
      ? 'cabf'
      : undefined
}

export function outcome(code: string | undefined, startedAt: number): Answer {
  const us = Math.round((performance.now() - startedAt) * 1_000)
  return code === undefined ? { result: 'pass', us } : { result: 'fail', code, us }
}

/** What became of mutants, and of those that survived: which have a reason in `survivors/`, which have none. */

/** Survivors of one reason: `line` is the line of the source on which they begin, each of `mutants` is `from → to` in it. */
export interface Reasoned {
  readonly why: string
  readonly line: string
  readonly mutants: readonly string[]
  /** Time or memory is all that they cost: on a busy machine a test may run out of it, which is no reason to take them off. */
  readonly onlyCost?: true
}

/** Of a run of Stryker, in lines and columns from 1. */
export interface Mutant {
  readonly location: { readonly start: Place; readonly end: Place }
  readonly replacement?: string
  readonly status: string
}

interface Place {
  readonly line: number
  readonly column: number
}

export interface FileScore {
  readonly killed: number
  readonly timedOut: number
  readonly reasoned: readonly Survivor[]
  readonly bare: readonly Survivor[]
  /** Listed, but no survivor: the line is gone, or a test has learned to notice. */
  readonly stale: readonly string[]
}

export interface Survivor {
  readonly at: string
  readonly mutant: string
  readonly line: string
  readonly why?: string
}

const LONGEST = 80 // of either side of an arrow

/** Of one file: its text, all its mutants, and the survivors that are listed for it. */
export function score(text: string, mutants: readonly Mutant[], listed: readonly Reasoned[]): FileScore {
  const lines = text.split('\n')
  const known = new Map(listed.flatMap((entry) => entry.mutants.map((mutant) => [keyOf(entry.line, mutant), entry])))
  const survivors = mutants
    .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
    .map((mutant): Survivor => {
      const { line, column } = mutant.location.start
      const words = {
        line: lineAt(lines, line),
        mutant: `${short(textAt(lines, mutant))} → ${short(mutant.replacement ?? '')}`,
      }
      const why = known.get(keyOf(words.line, words.mutant))?.why
      return { at: `${line}:${column}`, ...words, ...(why === undefined ? {} : { why }) }
    })
  const seen = new Set(survivors.map((survivor) => keyOf(survivor.line, survivor.mutant)))
  return {
    killed: count(mutants, 'Killed'),
    timedOut: count(mutants, 'Timeout'),
    reasoned: survivors.filter((survivor) => survivor.why !== undefined),
    bare: survivors.filter((survivor) => survivor.why === undefined),
    stale: [...known].filter(([key, { onlyCost }]) => !onlyCost && !seen.has(key)).map(([key]) => key),
  }
}

/** In per cent of what was tried. */
export function percent({ killed, timedOut, reasoned, bare }: FileScore): number {
  const all = killed + timedOut + reasoned.length + bare.length
  return all === 0 ? 100 : (100 * (killed + timedOut)) / all
}

const keyOf = (line: string, mutant: string): string => `${line}   ${mutant}`
const lineAt = (lines: readonly string[], line: number): string => (lines[line - 1] ?? '').trim()
const count = (mutants: readonly Mutant[], status: string): number =>
  mutants.filter((mutant) => mutant.status === status).length

function textAt(lines: readonly string[], { location: { start, end } }: Mutant): string {
  const within = lines.slice(start.line - 1, end.line)
  within.push((within.pop() ?? '').slice(0, end.column - 1))
  return [(within.shift() ?? '').slice(start.column - 1), ...within].join('\n')
}

function short(text: string): string {
  const words = text.replaceAll(/\s+/g, ' ').trim()
  return words.length <= LONGEST ? words : `${words.slice(0, LONGEST - 1)}…`
}

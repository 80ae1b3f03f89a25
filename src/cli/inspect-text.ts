import type { Finding } from '../errors/errors.ts'
import { describePath } from '../trust/evaluate.ts'
import type { Trace, TracedPath } from './inspect-trace.ts'
import type { Paint } from './io.ts'
import { dateOf, table } from './text.ts'

/** The decision for people: each path, each question, each pin. */
export function traceText({ paths, deadEnds, steps, pins }: Trace, paint: Paint): readonly string[] {
  const colours = { passed: paint.green, refused: paint.red, reported: paint.yellow, skipped: paint.dim }
  const width = Math.max(...steps.map(({ check }) => check.length))
  return [
    'decision',
    ...steps.map(({ check, outcome, code, message }) => {
      const why = code === null ? message : `${code}  ${message}`
      return `  ${check.padEnd(width)}  ${colours[outcome](outcome.padEnd(8))}  ${why}`
    }),
    ...(paths.length < 2 ? [] : ['', 'paths tried', ...paths.map((one, index) => `  ${index + 1}  ${pathText(one)}`)]),
    ...(deadEnds.length < (paths.length === 0 ? 2 : 1)
      ? []
      : ['', 'no path by', ...deadEnds.map(({ code, message }) => `  ${code}  ${message}`)]),
    ...(pins.length === 0
      ? []
      : [
          '',
          'pins',
          ...table(pins.map(({ spki, state, require }) => [spki, state, require ?? ''])).map((row) => `  ${row}`),
        ]),
  ]
}

/** The same for programs. */
export function traceData({ paths, deadEnds, steps, pins, verdict }: Trace) {
  return {
    decision: steps,
    paths: paths.map(({ path, refusal }) => ({
      accepted: refusal === undefined,
      certificates: describePath(path).map((entry) => ({ ...entry, notAfter: dateOf(entry.notAfter) })),
      refusal: refusal ?? null,
    })),
    deadEnds,
    pins,
    verdict,
  }
}

/** Why the verdict is no, most specific first; empty where it is yes. */
export function findingsOf({ paths, deadEnds, steps, verdict }: Trace): readonly Pick<Finding, 'code' | 'message'>[] {
  if (verdict.trusted) return []
  const refusals = paths.flatMap(({ refusal }) => refusal ?? [])
  if (refusals.length + deadEnds.length > 0 && paths.every(({ refusal }) => refusal !== undefined))
    return [...refusals, ...deadEnds]
  return steps.flatMap(({ check, outcome, code, message }) =>
    outcome === 'refused' && check !== 'verdict' && code !== null ? [{ code, message } as Finding] : [],
  )
}

function pathText({ path, refusal }: TracedPath): string {
  const names = path.certificates.map(({ subject }) => subject.text).join(' < ')
  return refusal === undefined ? `${names}: accepted` : `${names}: ${refusal.code}  ${refusal.message}`
}

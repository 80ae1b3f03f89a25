import type { LintFinding } from '../publisher/lint-rules.ts'
import type { Paint } from './io.ts'
import type { Failure } from './outcome.ts'
import { counted } from './text.ts'

/** Findings for people: what is wrong, then what to type. */
export function lintText(findings: readonly LintFinding[], paint: Paint): readonly string[] {
  return findings.flatMap(({ id, severity, message, fix }) => [
    `${severity === 'error' ? paint.red('error') : paint.yellow('warning')}  ${paint.bold(id)}  ${message}`,
    `  fix  ${fix}`,
  ])
}

/** `undefined` where nothing keeps the list from being signed. */
export function lintFailure(findings: readonly LintFinding[]): Failure | undefined {
  const errors = findings.filter(({ severity }) => severity === 'error')
  const [first] = errors
  if (first === undefined) return undefined
  return {
    code: 'ERR_MANIFEST_LINT',
    message: `${counted(errors.length, 'finding')}: ${first.message}`,
    hint: first.fix,
  }
}

export const warningsOf = (findings: readonly LintFinding[]): readonly string[] =>
  findings.filter(({ severity }) => severity === 'warning').map(({ id, message, fix }) => `${id}: ${message}. ${fix}`)

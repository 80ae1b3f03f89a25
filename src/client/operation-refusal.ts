import type { CodeIn } from '../errors/codes.ts'
import { type Issue, PolicyError } from '../errors/errors.ts'
import { nameOf } from './operation-match.ts'
import type { Operation } from './operation-options.ts'

export interface Refused {
  readonly operation: Operation
  readonly host: string
  /** Of the response; absent where the request is refused. */
  readonly status?: number
  readonly issues?: readonly Issue[]
}

/** @param problem What was expected and what was seen; nothing of a value. */
export function refusal(code: CodeIn<'POLICY'>, problem: string, refused: Refused): PolicyError {
  const { operation, host, status, issues } = refused
  const name = nameOf(operation)
  const [subject, requestSent] =
    status === undefined ? (['the request', 'no'] as const) : ([`the response ${status}`, 'yes'] as const)
  const places = issues === undefined ? '' : `: ${listed(issues)}`
  const end = status === undefined ? '; nothing was sent' : ''
  const details = {
    host,
    requestSent,
    operation: name,
    ...(status !== undefined && { status }),
    ...(issues && { issues }),
  }
  return new PolicyError(code, `${host}: ${name}: ${subject} ${problem}${places}${end}`, details)
}

function listed(issues: readonly Issue[]): string {
  const first = issues.slice(0, MAX_LISTED).map(({ path, message }) => `${path}: ${message}`)
  return issues.length > MAX_LISTED ? `${first.join('; ')}; and ${issues.length - MAX_LISTED} more` : first.join('; ')
}

const MAX_LISTED = 3

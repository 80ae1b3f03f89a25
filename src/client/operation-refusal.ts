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
  /** Where a stream is refused while it is sent. */
  readonly isUnderWay?: boolean
}

/** @param problem What was expected and what was seen; nothing of a value. */
export function refusal(code: CodeIn<'POLICY'>, problem: string, refused: Refused): PolicyError {
  const { operation, host, status, issues, isUnderWay = false } = refused
  const name = nameOf(operation)
  const places = issues === undefined ? '' : `: ${listed(issues)}`
  const said =
    status === undefined
      ? `the request ${problem}${places}; ${isUnderWay ? 'not all of it' : 'nothing'} was sent`
      : `the response ${status} ${problem}${places}`
  return new PolicyError(code, `${host}: ${name}: ${said}`, {
    host,
    requestSent: status !== undefined ? 'yes' : isUnderWay ? 'maybe' : 'no',
    operation: name,
    ...(status !== undefined && { status }),
    ...(issues !== undefined && { issues }),
  })
}

function listed(issues: readonly Issue[]): string {
  const first = issues.slice(0, MAX_LISTED).map(({ path, message }) => `${path}: ${message}`)
  return issues.length > MAX_LISTED ? `${first.join('; ')}; and ${issues.length - MAX_LISTED} more` : first.join('; ')
}

const MAX_LISTED = 3

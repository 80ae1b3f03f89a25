import type { Command } from 'commander'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import { exitCodeOf, type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'
import { table } from './text.ts'

export function addExplain(program: Command, run: Run): void {
  program
    .command('explain')
    .summary('what an error code means and what to do about it')
    .argument('<code>', 'as errors and logs print it')
    .addHelpText('before', EXAMPLE)
    .action((code: string) => run(async () => explain(code)))
}

function explain(text: string): Outcome {
  const code = text.trim().toUpperCase()
  if (!isCode(code)) throw unknownCode(text)
  const { about, retryable, fix } = CODES[code]
  const data = { code, class: classOf(code), retryable, about, fix, exitCode: exitCodeOf(code) }
  return {
    data,
    text: [
      code,
      ...table([
        ['about', about],
        ['class', data.class],
        ['retryable', retryable ? 'yes: the same call may succeed later' : 'no: somebody has to act'],
        ['fix', fix],
      ]).map((line) => `  ${line}`),
    ],
  }
}

const isCode = (text: string): text is ErrorCode => Object.hasOwn(CODES, text)

function unknownCode(text: string): UsageError {
  const wanted = text.trim().toUpperCase().slice(0, MAX_LENGTH)
  const nearest = Object.keys(CODES)
    .map((code) => ({ code, distance: code.includes(wanted) ? 0 : distance(code, wanted) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ code }) => code)
  return new UsageError(`${JSON.stringify(text.slice(0, MAX_LENGTH))}: no such code`, `Nearest: ${nearest.join(', ')}`)
}

/** Levenshtein's: how many characters to insert, drop or change. */
function distance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = (before[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(change, (before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    before = row
  }
  return before[b.length] ?? 0
}

function classOf(code: ErrorCode): string {
  return CLASSES[domainOf(code)]
}

function domainOf(code: ErrorCode): Domain {
  return code.split('_')[1] as Domain
}

type Domain = ErrorCode extends `ERR_${infer Name}` ? (Name extends `${infer First}_${string}` ? First : never) : never

/** One class a domain. */
const CLASSES: Readonly<Record<Domain, string>> = {
  CONFIG: 'ConfigurationError',
  TRUST: 'TrustError',
  TLS: 'TlsError',
  TRANSPORT: 'TransportError',
  POLICY: 'PolicyError',
  MANIFEST: 'ManifestError',
  STORE: 'StoreError',
  AUTH: 'AuthError',
  KEY: 'KeyError',
  APPROVAL: 'ApprovalError',
  VERIFY: 'VerifyError',
  SIGN: 'SignError',
  RATE: 'RateError',
  MONITOR: 'MonitorError',
}

const MAX_LENGTH = 80

const EXAMPLE = `Example:
  pinfetch explain ERR_TRUST_PIN_MISMATCH
`

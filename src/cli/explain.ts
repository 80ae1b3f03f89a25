import type { Command } from 'commander'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import { playbookPage } from '../errors/playbook/page.ts'
import { exitCodeOf, type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'

export function addExplain(program: Command, run: Run): void {
  program
    .command('explain')
    .summary('what an error code means, whether it is an attack, and what to do about it')
    .argument('[code]', 'as errors and logs print it')
    .option('--all', 'every code, one page after the other')
    .option('--markdown', 'for a wiki or a run book')
    .addHelpText('before', EXAMPLE)
    .action((code: string | undefined, options: ExplainOptions) => run(async () => explain(code, options)))
}

interface ExplainOptions {
  readonly all?: true
  readonly markdown?: true
}

function explain(text: string | undefined, { all, markdown }: ExplainOptions): Outcome {
  if ((text === undefined) !== (all === true))
    throw new UsageError('give a code, or --all', EXAMPLE.split('\n')[1] ?? '')
  const printed = markdown === true ? markdownOf : textOf
  if (text === undefined) {
    const pages = Object.keys(CODES).filter(isCode).map(dataOf)
    return { data: { pages }, text: pages.flatMap((page) => [...printed(page), '']) }
  }
  const code = text.trim().toUpperCase()
  if (!isCode(code)) throw unknownCode(text)
  const page = dataOf(code)
  return { data: page, text: printed(page) }
}

type Page = ReturnType<typeof dataOf>

function dataOf(code: ErrorCode) {
  const { happened: about, code: _, ...page } = playbookPage(code)
  const { retryable } = CODES[code]
  return { code, class: classOf(code), retryable, about, exitCode: exitCodeOf(code), ...page }
}

/** At most 60 lines of 100 characters: one screen and a half. */
function textOf(page: Page): readonly string[] {
  const { firstMinutes, related, events } = page
  return [
    page.code,
    ...section('about', [page.about]),
    ...section('class', [page.class]),
    ...section('retryable', [retryableText(page)]),
    ...section('your data', [page.data]),
    ...section('attack?', [page.tell]),
    ...section(
      'do now',
      firstMinutes.map((step, index) => `${index + 1}. ${step}`),
    ),
    ...section('call', [page.call]),
    ...section('fix', [page.fix]),
    ...section('prevent', [page.prevent]),
    ...section('related', related),
    ...section('events', events.length === 0 ? [] : [events.join(', ')]),
  ]
}

function markdownOf(page: Page): readonly string[] {
  const { firstMinutes, related, events } = page
  return [
    `## ${page.code}`,
    '',
    page.about,
    '',
    `- **Class:** ${page.class}`,
    `- **Retryable:** ${retryableText(page)}`,
    `- **Your data:** ${page.data}`,
    `- **Attack or mistake:** ${page.tell}`,
    '- **First five minutes:**',
    ...firstMinutes.map((step, index) => `  ${index + 1}. ${step}`),
    `- **Call:** ${page.call}`,
    `- **Fix:** ${page.fix}`,
    `- **Prevent:** ${page.prevent}`,
    ...(related.length === 0
      ? []
      : [`- **Related:** ${related.map((code) => `[${code}](#${code.toLowerCase()})`).join(', ')}`]),
    ...(events.length === 0 ? [] : [`- **Events:** ${events.map((event) => `\`${event}\``).join(', ')}`]),
  ]
}

function retryableText({ retryable }: Page): string {
  return retryable ? 'yes: the same call may succeed later' : 'no: somebody has to act'
}

/** A title at the left, the text beside it. */
function section(title: string, paragraphs: readonly string[]): readonly string[] {
  return paragraphs
    .flatMap((paragraph) => wrapped(paragraph, WIDTH))
    .map((line, index) => `  ${(index === 0 ? title : '').padEnd(MARGIN)}${line}`)
}

function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
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
const MARGIN = 11
const WIDTH = 87

const EXAMPLE = `Example:
  pinfetch explain ERR_TRUST_PIN_MISMATCH
  pinfetch explain --all --markdown > playbook.markdown
`

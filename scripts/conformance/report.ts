/**
 * `npm run conformance:report`: every third-party suite against the product's own code, as one table. The suites are read
 * from PINFETCH_VECTORS, by default beside the checkout. Exit code 1 when a target does not hold, a difference is not in
 * the ledger, or the ledger names a case that ends as its suite expects; where CI is true, also when a suite is missing.
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { PathProfile } from '../../src/trust/path/path.ts'
import exceptions from '../../test/conformance/exceptions.json' with { type: 'json' }
import { runComponentsCase } from './components.ts'
import { runNamesCase } from './names.ts'
import { runPathCase } from './path.ts'
import { isAsExpected, runRevocationCase } from './revocation.ts'
import { runSigningCase } from './signing.ts'
import { runSigV4Case } from './sigv4.ts'
import type { Answer } from './suite.ts'
import { isAsLogged, runTransparencyCase } from './transparency.ts'

interface Case {
  readonly id: string
  /** `pass` or `fail`; host names say `true` and `false`, revocation and transparency suites what `isAsExpected` and `isAsLogged` read. */
  readonly expected: string | boolean
}

interface Suite {
  readonly title: string
  readonly profile: PathProfile | ''
  /** Below the folder of the vectors. */
  readonly file: string
  /** A list of ids that picks cases of the file, and where it stands. */
  readonly pick?: { readonly file: string; readonly classes: readonly string[] }
  readonly matching?: RegExp
  readonly run: (row: Case) => Judged
  /** Why a case ends otherwise than its suite expects, by id. */
  readonly ledger: Readonly<Record<string, string>>
  /** Fewest cases that end as the suite expects, and of how many. */
  readonly target: { readonly right: number; readonly of: number; readonly falseAccepts?: 0 }
}

interface Judged {
  readonly answer: Answer
  readonly isRight: boolean
}

interface Row {
  readonly cells: readonly (string | number)[]
  readonly problems: readonly string[]
}

const passOrFail =
  (run: (row: Case) => Answer) =>
  (row: Case): Judged => {
    const answer = run(row)
    return { answer, isRight: (answer.result === 'pass') === ACCEPTED.has(row.expected) }
  }
const path = (profile: PathProfile) => passOrFail((row) => runPathCase(row, profile))

function revocation(title: string, name: keyof typeof exceptions.revocation, of: number): Suite {
  const ledger = exceptions.revocation[name]
  const run = (row: Case): Judged => {
    const answer = runRevocationCase(row)
    return { answer, isRight: isAsExpected(String(row.expected), answer) }
  }
  const right = of - Object.keys(ledger).length
  return { title, profile: '', file: `revocation/${name}.jsonl`, run, ledger, target: { right, of } }
}

const ACCEPTED: ReadonlySet<unknown> = new Set([true, 'pass', 'good', 'accept', 'ok'])
const LIMBO_CLASSES = 'path/limbo-classes.json'
const LIMBO = 'path/limbo.jsonl'

/** Every SCT has to be judged as expected, not the certificate alone. */
const transparency = (row: Case): Judged => {
  const answer = runTransparencyCase(row)
  return { answer, isRight: isAsLogged({ ...row, expected: String(row.expected) }, answer) }
}

/** A value has to be right to the letter. */
const component = (row: Case & { readonly value?: string }): Judged => {
  const answer = runComponentsCase(row)
  return { answer, isRight: answer.result === row.expected && (answer.result === 'fail' || answer.value === row.value) }
}

const SUITES: readonly Suite[] = [
  {
    title: 'x509-limbo, security',
    profile: 'default',
    file: LIMBO,
    pick: { file: LIMBO_CLASSES, classes: ['core'] },
    run: path('default'),
    ledger: {},
    target: { right: 144, of: 144, falseAccepts: 0 },
  },
  {
    title: 'x509-limbo, security and form',
    profile: 'default',
    file: LIMBO,
    pick: { file: LIMBO_CLASSES, classes: ['core', 'form'] },
    run: path('default'),
    ledger: exceptions.limbo.default,
    target: { right: 144, of: 190 }, // the form rules are another profile's
  },
  {
    title: 'x509-limbo, security and form',
    profile: 'cabf',
    file: LIMBO,
    pick: { file: LIMBO_CLASSES, classes: ['core', 'form'] },
    run: path('cabf'),
    ledger: exceptions.limbo.cabf,
    target: { right: 174, of: 190 },
  },
  {
    title: 'x509-limbo, rfc822Name',
    profile: 'default',
    file: LIMBO,
    matching: /^rfc5280::nc::.*email/,
    run: path('default'),
    ledger: {},
    target: { right: 10, of: 10, falseAccepts: 0 },
  },
  {
    title: 'BetterTLS path building',
    profile: 'default',
    file: 'path/bettertls-pathbuilding.jsonl',
    run: path('default'),
    ledger: {},
    target: { right: 81, of: 81, falseAccepts: 0 },
  },
  {
    title: 'BetterTLS name constraints',
    profile: 'default',
    file: 'path/bettertls-nameconstraints-sample.jsonl',
    run: path('default'),
    ledger: {},
    target: { right: 755, of: 755, falseAccepts: 0 },
  },
  {
    title: 'NIST PKITS without CRLs',
    profile: 'rfc5280',
    file: 'path/pkits.jsonl',
    pick: { file: 'path/pkits-classes.json', classes: ['withoutCrl'] },
    run: path('rfc5280'),
    ledger: exceptions.pkits.rfc5280,
    target: { right: 176, of: 178, falseAccepts: 0 },
  },
  {
    title: 'NIST PKITS with CRLs',
    profile: 'rfc5280',
    file: 'path/pkits.jsonl',
    run: path('rfc5280'),
    ledger: exceptions.pkits.rfc5280,
    target: { right: 247, of: 249, falseAccepts: 0 },
  },
  {
    title: 'x509-limbo, CRLs',
    profile: 'default',
    file: LIMBO,
    matching: /^crl::/,
    run: path('default'),
    ledger: exceptions.limbo.crl,
    target: { right: 6, of: 8 }, // crlNumber is a matter of form
  },
  {
    title: 'x509-limbo, CRLs',
    profile: 'cabf',
    file: LIMBO,
    matching: /^crl::/,
    run: path('cabf'),
    ledger: {},
    target: { right: 8, of: 8, falseAccepts: 0 },
  },
  revocation('OCSP, own', 'ocsp-own', 81),
  revocation('OCSP of BoringSSL', 'ocsp-boringssl', 36),
  revocation('OCSP of OpenSSL', 'ocsp-openssl', 57),
  revocation('CRLs, own', 'crl-own', 55),
  {
    title: 'Certificate Transparency, own',
    profile: '',
    file: 'revocation/ct-own.jsonl',
    run: transparency,
    ledger: exceptions.transparency['ct-own'],
    target: { right: 31, of: 31, falseAccepts: 0 },
  },
  {
    title: 'RFC 9421, signatures',
    profile: '',
    file: 'signing/rfc9421/signatures.jsonl',
    run: passOrFail(runSigningCase),
    ledger: {},
    target: { right: 20, of: 20, falseAccepts: 0 },
  },
  {
    title: 'RFC 9421, components',
    profile: '',
    file: 'signing/rfc9421/components.jsonl',
    run: component,
    ledger: {},
    target: { right: 58, of: 58, falseAccepts: 0 },
  },
  {
    title: 'host names of Chromium and Go',
    profile: '',
    file: 'path/hostnames.jsonl',
    run: passOrFail((row) => runNamesCase({ ...row, publicSuffix: true })),
    ledger: exceptions.hostnames,
    target: { right: 123, of: 136, falseAccepts: 0 },
  },
  {
    title: 'AWS Signature Version 4',
    profile: '',
    file: 'signing/sigv4/v4.jsonl',
    run: passOrFail(runSigV4Case),
    ledger: {},
    target: { right: 38, of: 38 },
  },
]

const HEADERS = ['suite', 'profile', 'cases', 'right', 'false accepts', 'false rejects', 'in ledger', 'target', 'held']
const VECTORS = process.env['PINFETCH_VECTORS'] ?? resolve(import.meta.dirname, '../../../shared/vectors')

const present = SUITES.filter(({ file, pick }) =>
  [file, pick?.file ?? file].every((one) => existsSync(resolve(VECTORS, one))),
)
const rows = present.map(judge)
const problems = rows.flatMap((row) => row.problems)
if (rows.length > 0) process.stdout.write(tableOf([HEADERS, ...rows.map(({ cells }) => cells)]))
for (const problem of problems) process.stdout.write(`${problem}\n`)
const missing = SUITES.length - present.length
if (missing > 0) process.stdout.write(`${missing} suites not run: no vectors there; set PINFETCH_VECTORS\n`)
process.exitCode = problems.length > 0 || (missing > 0 && process.env['CI'] === 'true') ? 1 : 0

function judge({ title, profile, run, ledger, target, ...suite }: Suite): Row {
  const cases = casesOf(suite)
  const wrong = cases.flatMap((row) => {
    const { answer, isRight } = run(row)
    return isRight ? [] : [{ id: row.id, expected: row.expected, answer, saw: answer.code ?? answer.result }]
  })
  const isExplained = ({ id }: { readonly id: string }): boolean => Object.hasOwn(ledger, id)
  const falseAccepts = wrong.filter((one) => one.answer.result === 'pass' && !ACCEPTED.has(one.expected)).length
  const right = cases.length - wrong.length
  const enough = cases.length === target.of && right >= target.right
  const safe = target.falseAccepts === undefined || falseAccepts <= target.falseAccepts
  const place = profile === '' ? title : `${title} (${profile})`
  const problems = [
    ...(enough && safe ? [] : [`${place}: the target does not hold`]),
    ...wrong
      .filter((one) => !isExplained(one))
      .map(
        ({ id, expected, saw }) => `${place}: ${id}: expected ${expected}, saw ${saw}, and the ledger gives no reason`,
      ),
    ...Object.keys(ledger)
      .filter((id) => !wrong.some((one) => one.id === id))
      .map((id) => `${place}: ${id}: is in the ledger and ends as the suite expects`),
  ]
  const goal = `>= ${target.right} of ${target.of}${target.falseAccepts === 0 ? ', 0 false accepts' : ''}`
  const rejects = wrong.length - falseAccepts
  const explained = wrong.filter(isExplained).length
  const held = problems.length === 0 ? 'yes' : 'no'
  return { cells: [title, profile, cases.length, right, falseAccepts, rejects, explained, goal, held], problems }
}

function casesOf({ file, pick, matching }: Pick<Suite, 'file' | 'pick' | 'matching'>): readonly Case[] {
  const lines = readFileSync(resolve(VECTORS, file), 'utf8').split('\n')
  const cases = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Case)
  if (pick === undefined) return cases.filter(({ id }) => matching === undefined || matching.test(id))
  const classes = JSON.parse(readFileSync(resolve(VECTORS, pick.file), 'utf8')) as Record<string, readonly string[]>
  const ids = new Set(pick.classes.flatMap((name) => classes[name] ?? []))
  return cases.filter(({ id }) => ids.has(id))
}

/** Columns as wide as their widest cell; numbers stand to the right. */
function tableOf(table: readonly (readonly (string | number)[])[]): string {
  const widths = HEADERS.map((_, column) => Math.max(...table.map((row) => String(row[column]).length)))
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return `${table.map(line).join('\n')}\n`
}

/**
 * `npm run lab:checks`: removes one check at a time from a copy of the sources and lets the lab attack what is left. An attack
 * must then win; otherwise the lab does not test that check.
 *
 * Node's own verification is the second of two validators, and would stand in for ours. It is set aside in every copy, so that our
 * checks are tested alone; the first copy, which has them all, has to withstand every attack.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

/** One place in the sources, and what stands there once the check is gone. */
interface Edit {
  readonly file: string
  readonly text: string
  readonly without: string
}

interface Check {
  readonly name: string
  readonly edits: readonly Edit[]
  /** Those that are about it. */
  readonly attacks: readonly string[]
}

/** What an attack did to a copy. */
interface Found {
  readonly attack: string
  readonly outcome: string
  readonly code: string | null
  readonly reason: string | null
}

export const CHECKS: readonly Check[] = [
  {
    name: 'pins match a key on the path',
    attacks: ['L01', 'L04', 'L06', 'L07'],
    edits: [
      {
        file: 'trust/pins.ts',
        text: "if (matching.length === 0) return { kind: 'mismatch', finding: mismatch(path, active) }",
        without: 'if (matching.length === 0) continue',
      },
    ],
  },
  {
    name: 'signatures of the chain',
    attacks: ['L02'],
    edits: [
      {
        file: 'trust/path/search.ts',
        text: 'const verdict = isSignedBy(child, issuer)',
        without: 'const verdict = true',
      },
    ],
  },
  {
    name: 'host name',
    attacks: ['L10', 'L11', 'L12', 'L13'],
    edits: [
      {
        file: 'trust/identity.ts',
        text: 'if (matchesIdentifiers(presentedIdentifiers, reference, options)) return undefined',
        without: 'if (presentedIdentifiers !== undefined) return undefined',
      },
    ],
  },
  {
    name: 'period of validity',
    attacks: ['L08', 'L09'],
    edits: [{ file: 'trust/path/rules.ts', text: 'checkValidity(certificate, context.now, index) ??', without: '' }],
  },
  {
    name: 'name constraints',
    attacks: ['L15'],
    edits: [
      {
        file: 'trust/path/search.ts',
        text: 'const finding = checkNameConstraints(issuer, path.slice(0, -1), this.#budget)',
        without: 'const finding = undefined',
      },
    ],
  },
  {
    name: 'an issuer is a CA and may sign certificates',
    attacks: ['L05'],
    edits: [{ file: 'trust/path/rules.ts', text: '? checkIssuer(certificate, role, index)', without: '? undefined' }],
  },
  {
    name: 'revocation by a staple',
    attacks: ['L20'],
    edits: [
      {
        file: 'trust/revocation/check.ts',
        text: 'return revokedBy(source, link, answer)',
        without: "return { status: 'good', source, validUntil: now + 60_000, causes: [] }",
      },
    ],
  },
  {
    name: 'signatures of the manifest',
    attacks: ['L46'],
    edits: [
      {
        file: 'manifest/verify.ts',
        text: "throw refusal('ERR_MANIFEST_SIG_THRESHOLD', where, message)",
        without: 'return void message',
      },
    ],
  },
  {
    name: 'rollback of the manifest',
    attacks: ['L44'],
    edits: [
      {
        file: 'manifest/accept.ts',
        text: 'if (trusted !== undefined && version < trusted.version) {',
        without: 'if (false) {',
      },
      {
        file: 'manifest/accept.ts',
        text: 'if (manifest.version < floor.current && !inCanary) {',
        without: 'if (false) {',
      },
      {
        file: 'manifest/refresh.ts',
        text: 'if (floor !== undefined && pointer.version < floor.version) {',
        without: 'if (false) {',
      },
    ],
  },
  {
    name: 'a staple, where the certificate demands one',
    attacks: ['L22', 'L23'],
    edits: [
      {
        file: 'trust/revocation/check.ts',
        text: "const isDemanded = policy.staple === 'always' || (policy.staple === 'if-must-staple' && mustStaple(endEntity))",
        without: 'const isDemanded = false',
      },
    ],
  },
  {
    name: 'keys of an interception product',
    attacks: ['L25'],
    edits: [
      {
        file: 'trust/pins.ts',
        text: '(policy.interception && refuseInterception(path, policy.interception))',
        without: 'undefined',
      },
    ],
  },
  {
    name: 'a response before any request',
    attacks: ['L37'],
    edits: [
      {
        file: 'transport/origin-pool.ts',
        text: 'else if (result.wasUnsolicited) this.#next(true)?.fail(unsolicited(this.origin))',
        without: '',
      },
    ],
  },
  {
    name: 'bytes in front of a tunnel',
    attacks: ['L34'],
    edits: [
      {
        file: 'transport/proxy-dialogue.ts',
        text: 'if (received.length > found.length) throw tooEager()',
        without: '',
      },
    ],
  },
  {
    name: 'addresses',
    attacks: ['L40', 'L41'],
    edits: [
      {
        file: 'transport/route.ts',
        text: 'const reason = addressRefusal(remoteAddress, addresses, allowedAddresses)',
        without: 'const reason = undefined',
      },
    ],
  },
  {
    name: 'a body on its way to another origin',
    attacks: ['L31'],
    edits: [
      {
        file: 'client/redirect-hop.ts',
        text: 'if (keepsBody && leavesOrigin) {',
        without: 'if (false) {',
      },
    ],
  },
  {
    name: 'expiry of the manifest',
    attacks: ['L45'],
    edits: [
      {
        file: 'client/policies.ts',
        text: 'if (isOver && !reportsStale) throw manifestExpired(origin, manifest)',
        without: '',
      },
    ],
  },
  {
    name: 'origins of a credential',
    attacks: ['A01'],
    edits: [
      {
        file: 'client/authorize.ts',
        text: 'return goesWithout(origin) ? send(input, init, url, call) : Promise.reject(notAllowed(origin, ways))',
        without: 'return send(input, init, url, call)',
      },
    ],
  },
  {
    name: 'digest of a body',
    attacks: ['A03'],
    edits: [
      {
        file: 'signing/verify-digest.ts',
        text: 'if (comparisons.every(({ expected, hash }) => hash.digest().equals(expected))) return',
        without: 'return',
      },
    ],
  },
  {
    name: 'a signature is taken once',
    attacks: ['A04'],
    edits: [
      {
        file: 'signing/verify-message.ts',
        text: "if (!isNew) throw refuse('ERR_VERIFY_REPLAY', 'the nonce of the signature was seen before')",
        without: '',
      },
    ],
  },
]

const NODE_SET_ASIDE: readonly Edit[] = [
  { file: 'transport/connector.ts', text: 'rejectUnauthorized: true, //', without: 'rejectUnauthorized: false, //' },
  {
    file: 'transport/connector.ts',
    text: 'if (peer === undefined || !authorized) {',
    without: 'if (peer === undefined) {',
  },
  {
    file: 'transport/connector.ts',
    text: "if (peer === undefined || endEntity === undefined) return new Error('no certificate was judged')",
    without: 'if (peer !== undefined && endEntity !== undefined) return undefined',
  },
]

/** What the attacks did to a copy without the check; without any, to one that has them all. */
export async function attackWithout(check: Pick<Check, 'edits' | 'attacks'>): Promise<readonly Found[]> {
  const copy = mkdtempSync(join(tmpdir(), 'pinfetch-without-'))
  try {
    cpSync(join(ROOT, 'src'), join(copy, 'src'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    for (const edit of [...NODE_SET_ASIDE, ...check.edits]) remove(join(copy, 'src', edit.file), edit)
    return await runLab(pathToFileURL(join(copy, 'src/testing/lab/lab.ts')).href, check.attacks)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** More than being refused with another code. */
export const hasWon = ({ outcome, reason }: Found): boolean =>
  outcome === 'lost' && reason?.startsWith('the attacker') === true

/** @throws Error when the text is not there exactly once: then the list above is out of date. */
function remove(file: string, { text, without }: Edit): void {
  const source = readFileSync(file, 'utf8')
  const places = source.split(text).length - 1
  if (places !== 1) throw new Error(`${file}: expected this text once, found it ${places} times: ${text}`)
  writeFileSync(
    file,
    source.replace(text, () => without),
  )
}

async function runLab(lab: string, attacks: readonly string[]): Promise<readonly Found[]> {
  const program = `
    import { createLab } from ${JSON.stringify(lab)}
    const lab = createLab()
    const { attacks } = await lab.run({ attacks: ${JSON.stringify(attacks)}, contenders: ['pinfetch'] })
    await lab.close()
    process.stdout.write(JSON.stringify(attacks.flatMap(({ results }) => results)))`
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const argv = ['--import', tsx, '--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, argv, { env: {}, maxBuffer: 1 << 24 })
  return JSON.parse(stdout) as readonly Found[]
}

async function main(names: readonly string[]): Promise<number> {
  const attacks = [...new Set(CHECKS.flatMap((check) => check.attacks))]
  const whole = await attackWithout({ edits: [], attacks })
  const lost = whole.filter(({ outcome }) => outcome === 'lost' || outcome === 'not-run')
  for (const { attack, reason } of lost)
    process.stdout.write(`with every check, ${attack} is not withstood: ${reason}\n`)
  process.stdout.write(
    `with every check, and without Node’s own: ${whole.length - lost.length} of ${whole.length} withstood\n`,
  )
  let untested = 0
  for (const check of CHECKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const won = (await attackWithout(check)).filter(hasWon).map(({ attack }) => attack)
    if (won.length === 0) untested += 1
    process.stdout.write(`without ${check.name}: ${won.length === 0 ? 'NO ATTACK WINS' : `${won.join(', ')} wins`}\n`)
  }
  return lost.length + untested
}

const ROOT = resolve(import.meta.dirname, '../..')

if (process.argv[1] === import.meta.filename) process.exitCode = (await main(process.argv.slice(2))) === 0 ? 0 : 1

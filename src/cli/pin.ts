import { type Command, Option } from 'commander'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { formatHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import { type PinHash, pinOfSpki } from '../encoding/pin.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { Material } from '../x509/material.ts'
import { anchorsFrom, failureOf, type Judgement, judge, placeAll, serverName, verdictText } from './chain.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { propose, readSibling } from './partner.ts'
import type { Run } from './program.ts'
import { seeServer } from './server.ts'
import { materialOf, openSource } from './source.ts'
import { dateOf, keyText, table } from './text.ts'

export function addPin(program: Command, run: Run): void {
  program
    .command('pin')
    .summary('the pin of a key: from a file, or as a server shows it')
    .argument('<source>', 'certificate, request or key (PEM or DER), raw SPKI, - for standard input, or host[:port]')
    .addOption(new Option('--hash <name>', 'digest').choices(Object.keys(HASHES)).default('sha256'))
    .option('--ca <pem>', 'roots to verify a chain with, in place of Node’s')
    .option('--sni <name>', 'name to ask the server for, and to expect in its certificate')
    .addOption(
      new Option('--backup <file...>', 'a key held in reserve: key, request or certificate').conflicts('partner'),
    )
    .option('--partner', 'propose a pin set for an API that somebody else runs')
    .option('--sibling <pem>', 'with --partner: another issuer that the API’s owner may move to')
    .addHelpText('before', EXAMPLE)
    .action((source: string, options: PinOptions) => run((io) => pin(source, options, io)))
}

interface PinOptions {
  readonly hash: string
  readonly ca?: string
  readonly sni?: string
  readonly backup?: readonly string[]
  readonly partner?: true
  readonly sibling?: string
}

/** Keys with where they came from, and what the library would say about the certificates around them. */
interface Seen {
  readonly source: object
  readonly keys: readonly KeyLine[]
  /** Absent when nothing was asked to be verified. */
  readonly judgement?: Judgement
  /** What a policy for this key would be written for. */
  readonly host: string | undefined
  readonly warnings: readonly string[]
}

interface SeenAndReserve extends Seen {
  /** Of keys that no server shows yet. */
  readonly backup: readonly KeyLine[]
}

interface KeyLine {
  readonly pin: string
  readonly kind: Material['kind']
  readonly position: string | null
  readonly subject: string | null
  readonly notAfter: string | null
  readonly key: string
}

async function pin(text: string, options: PinOptions, io: Io): Promise<Outcome> {
  const hash = HASHES[options.hash] ?? 'sha256'
  const anchors = await anchorsFrom(options.ca)
  const source = await openSource(text, io)
  const seen =
    source.kind === 'host'
      ? await pinServer(source.origin, { hash, anchors, sni: serverName(options.sni) }, io)
      : pinFile(source.name, materialOf(source.name, source.bytes, io), { ...options, hash, anchors }, io)
  const backup = await reserve(options.backup ?? [], seen.keys, hash, io)
  if (options.partner !== true) return answer({ ...seen, backup }, text)
  return withProposal(seen, { hash, anchors, sibling: options.sibling, text }, io)
}

async function pinServer(
  origin: CanonicalOrigin,
  { hash, anchors, sni }: { readonly hash: PinHash; readonly anchors: AnchorSet; readonly sni: string | undefined },
  io: Io,
): Promise<Seen> {
  const { presented, ...seen } = await seeServer(origin, { anchors, sni }, io)
  const placed = placeAll(presented, seen.judgement.path)
  const keys = placed.map(({ certificate, position }) => certificateLine(certificate, position, hash))
  return { ...seen, keys, host: sni ?? origin.host }
}

function pinFile(
  name: string,
  materials: readonly Material[],
  options: PinOptions & { readonly hash: PinHash; readonly anchors: AnchorSet },
  io: Io,
): Seen {
  const { hash, anchors, ca, partner } = options
  const certificates = materials.flatMap((material) => (material.kind === 'certificate' ? [material.certificate] : []))
  const presented = certificates.map(({ der }) => der)
  const isJudged = (ca !== undefined || partner === true) && certificates.length > 0
  const judgement = isJudged ? judge({ presented, anchors, now: io.now(), identity: undefined }) : undefined
  const placed = placeAll(presented, judgement?.path)
  const lines = placed.map(({ certificate, position }) => certificateLine(certificate, position, hash))
  return {
    source: { kind: 'file', name },
    keys: [...lines, ...materials.flatMap((one) => (one.kind === 'certificate' ? [] : keyLine(one, hash)))],
    host: serverName(options.sni) ?? certificates.flatMap(dnsNames)[0],
    warnings: materials.flatMap((material) =>
      material.kind === 'request' && !material.request.isSelfSigned ? [UNSIGNED_REQUEST] : [],
    ),
    ...(judgement === undefined ? {} : { judgement }),
  }
}

/** RFC 7469 §4.3: a backup pin is of a key that is not in use, so that both are not lost at once. @throws UsageError */
async function reserve(
  paths: readonly string[],
  inUse: readonly KeyLine[],
  hash: PinHash,
  io: Io,
): Promise<readonly KeyLine[]> {
  const lines: KeyLine[] = []
  for (const path of paths) {
    const [material] = materialOf(path, await readBytes(path), io)
    const line =
      material.kind === 'certificate' ? certificateLine(material.certificate, BACKUP, hash) : keyLine(material, hash)
    if (inUse.some(({ pin: used }) => used === line.pin)) {
      throw new UsageError(`${path}: its key is no reserve: it is in use`, NO_RESERVE)
    }
    lines.push({ ...line, position: BACKUP })
  }
  return lines
}

function answer(seen: SeenAndReserve, text: string): Outcome {
  const { source, keys, backup, judgement, warnings } = seen
  const failure = failureOf(judgement)
  return {
    data: { source, keys, backup, path: pathData(judgement), proposal: null },
    text: keyTable([...keys, ...backup]),
    notes: judgement === undefined ? [] : [`path  ${verdictText(judgement)}`],
    warnings,
    next:
      failure === undefined ? nextStep(seen, text) : `pinfetch inspect ${text}   # the certificates, and every finding`,
    ...(failure === undefined ? {} : { failure }),
  }
}

function nextStep({ source, keys: [first], backup, host }: SeenAndReserve, text: string): string {
  if (backup.length > 0) {
    const pins = [first, ...backup].map((line) => `--pin ${line?.pin}`).join(' ')
    return `pinfetch manifest add-host ${host ?? '<host>'} --dir <dir> ${pins}`
  }
  if ('observedAt' in source) {
    return `pinfetch pin ${text} --partner   # a pin set, if somebody else runs it; if you do: pinfetch pin <key file>`
  }
  return `pinfetch manifest add-host ${host ?? '<host>'} --dir <dir> --pin ${first?.pin} --pin <key in reserve>`
}

async function withProposal(
  seen: Seen,
  options: {
    readonly hash: PinHash
    readonly anchors: AnchorSet
    readonly sibling: string | undefined
    readonly text: string
  },
  io: Io,
): Promise<Outcome> {
  const { source, keys, judgement, host, warnings } = seen
  const path = judgement?.path
  if (judgement === undefined || host === undefined) {
    throw new UsageError(
      '--partner needs a certificate that names a host',
      'Name the server: pinfetch pin host --partner',
    )
  }
  // A proposal from a chain that nobody vouches for would be trust on first use.
  if (path === undefined || judgement.findings.length > 0) return answer({ ...seen, backup: [] }, options.text)
  const { hash, anchors } = options
  const sibling = options.sibling === undefined ? undefined : await readSibling(options.sibling, anchors, io)
  const proposal = propose({ path, host, hash, sibling })
  return {
    data: { source, keys, backup: [], path: pathData(judgement), proposal: proposal.data },
    text: proposal.text,
    notes: [...keyTable(keys), `path  ${verdictText(judgement)}`],
    warnings: [...warnings, ...proposal.warnings],
    next: proposal.next,
  }
}

function certificateLine({ spki, subject, notAfter, keyInfo }: Certificate, position: string, hash: PinHash): KeyLine {
  return {
    pin: pinOfSpki(spki, hash),
    kind: 'certificate',
    position,
    subject: subject.text,
    notAfter: dateOf(notAfter),
    key: keyText(keyInfo),
  }
}

function keyLine(material: Exclude<Material, { kind: 'certificate' }>, hash: PinHash): KeyLine {
  const { spki, keyInfo } = material.kind === 'request' ? material.request : material
  return {
    pin: pinOfSpki(spki, hash),
    kind: material.kind,
    position: null,
    subject: material.kind === 'request' ? material.request.subject.text : null,
    notAfter: null,
    key: keyText(keyInfo),
  }
}

function keyTable(keys: readonly KeyLine[]): readonly string[] {
  return table(
    keys.map(({ pin: spki, kind, position, key, notAfter, subject }) => [
      spki,
      position ?? kind,
      key,
      ...(notAfter === null ? [] : [`until ${notAfter}`]),
      subject ?? '',
    ]),
  )
}

function pathData(judgement: Judgement | undefined): object | null {
  if (judgement === undefined) return null
  const { path, findings } = judgement
  const anchor = path?.certificates.at(-1)?.subject.text ?? null
  return { verifies: findings.length === 0, anchor, findings }
}

function dnsNames({ decoded }: Certificate): readonly string[] {
  return (decoded.subjectAltName ?? []).flatMap((name) => {
    const pattern = name.kind === 'dns' ? parseHostPattern(name.text) : undefined
    return pattern === undefined ? [] : [formatHostPattern(pattern)]
  })
}

const HASHES: Readonly<Record<string, PinHash>> = {
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
  256: 'sha256',
  384: 'sha384',
  512: 'sha512',
}

const BACKUP = 'backup'
const NO_RESERVE =
  'Make a key that no server has yet: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out next.pem'

const UNSIGNED_REQUEST = 'the request is not signed by the key it asks for: whoever wrote it may not hold that key'

const EXAMPLE = `Example:
  pinfetch pin next-key.pem              # a key of yours, before it is in use
  pinfetch pin api.example.com --backup next-key.pem
  pinfetch pin api.example.com --partner # a pin set for somebody else's API
`

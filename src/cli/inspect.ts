import type { Command } from 'commander'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { pinOfSpki } from '../encoding/pin.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { GeneralName } from '../x509/general-names.ts'
import { pemOf } from '../x509/pem.ts'
import { anchorsFrom, failureOf, type Judgement, judge, type Placed, placeAll, serverName } from './chain.ts'
import { type Io, type Paint, printable } from './io.ts'
import { type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'
import { type SeenServer, seeServer } from './server.ts'
import { materialOf, openSource } from './source.ts'
import { dateOf, fromNow, keyText, table } from './text.ts'

export function addInspect(program: Command, run: Run): void {
  program
    .command('inspect')
    .summary('certificates of a server or a file, and what the library would say about them')
    .argument('<source>', 'host[:port], a file with certificates, or - for standard input')
    .option('--ca <pem>', 'roots to verify with, in place of Node’s')
    .option('--sni <name>', 'name to ask the server for, and to expect in its certificate')
    .option('--pem', 'print the certificates themselves')
    .addHelpText('before', EXAMPLE)
    .action((source: string, options: InspectOptions) => run((io, paint) => inspect(source, options, io, paint)))
}

interface InspectOptions {
  readonly ca?: string
  readonly sni?: string
  readonly pem?: true
}

interface Seen extends SeenServer {
  /** Whether the command is answered with no when the verdict is no: a lone file is just looked at. */
  readonly isCheck: boolean
}

async function inspect(text: string, options: InspectOptions, io: Io, paint: Paint): Promise<Outcome> {
  const source = await openSource(text, io)
  const seen =
    source.kind === 'host'
      ? await inspectServer(source.origin, options, io)
      : await inspectFile(source.name, source.bytes, options, io)
  const { presented, judgement, isCheck, warnings } = seen
  const now = io.now()
  const certificates = placeAll(presented, judgement.path)
  const failure = isCheck ? failureOf(judgement) : undefined
  const report = [...certificates.flatMap((placed) => describe(placed, now, paint)), ...verdict(judgement, paint)]
  return {
    data: {
      source: seen.source,
      certificates: certificates.map((placed) => certificateData(placed, now)),
      path: {
        verifies: judgement.findings.length === 0,
        anchor: judgement.path?.certificates.at(-1)?.subject.text ?? null,
        findings: judgement.findings,
      },
    },
    text: options.pem === true ? presented.map((der) => pemOf(der).trimEnd()) : report,
    notes: options.pem === true ? report : [],
    warnings,
    next: `pinfetch pin ${text}   # the pins of these keys`,
    ...(failure === undefined ? {} : { failure }),
  }
}

async function inspectServer(origin: CanonicalOrigin, { ca, sni }: InspectOptions, io: Io): Promise<Seen> {
  const seen = await seeServer(origin, { anchors: await anchorsFrom(ca), sni: serverName(sni) }, io)
  return { ...seen, isCheck: true }
}

async function inspectFile(name: string, bytes: Uint8Array, { ca, sni }: InspectOptions, io: Io): Promise<Seen> {
  const presented = materialOf(name, bytes, io).flatMap((material) =>
    material.kind === 'certificate' ? [material.certificate.der] : [],
  )
  if (presented.length === 0)
    throw new UsageError(`${name}: holds no certificate`, 'For a key or a request: pinfetch pin')
  const anchors = await anchorsFrom(ca)
  const expected = serverName(sni)
  const identity = expected === undefined ? undefined : ({ kind: 'dns', name: expected } as const)
  return {
    source: { kind: 'file', name },
    presented,
    judgement: judge({ presented, anchors, now: io.now(), identity }),
    isCheck: ca !== undefined || sni !== undefined,
    warnings: [],
  }
}

function certificateData({ certificate, position }: Placed, now: number) {
  const { subject, issuer, serialNumber, notBefore, notAfter, keyInfo, spki, signatureAlgorithm, decoded, sha256 } =
    certificate
  const { basicConstraints, keyUsage, extendedKeyUsage } = decoded
  return {
    position,
    subject: subject.text,
    issuer: issuer.text,
    serialNumber: Buffer.from(serialNumber).toString('hex'),
    subjectAltName: namesOf(certificate),
    notBefore: dateOf(notBefore),
    notAfter: dateOf(notAfter),
    daysLeft: Math.floor((notAfter - now) / DAY_MS),
    key: keyText(keyInfo),
    keyBits: keyInfo.bits,
    pin: pinOfSpki(spki),
    signatureAlgorithm: signatureAlgorithm.name,
    basicConstraints:
      basicConstraints === undefined
        ? null
        : { ca: basicConstraints.ca, pathLenConstraint: basicConstraints.pathLenConstraint ?? null },
    keyUsage: keyUsage === undefined ? null : [...keyUsage],
    extendedKeyUsage: extendedKeyUsage ?? null,
    sha256,
  }
}

function describe(placed: Placed, now: number, paint: Paint): readonly string[] {
  const facts = certificateData(placed, now)
  const { basicConstraints, subjectAltName, keyUsage, extendedKeyUsage } = facts
  const { notAfter } = placed.certificate
  const end = `${facts.notAfter} (${notAfter < now ? 'expired ' : ''}${fromNow(notAfter, now)})`
  const rows = [
    ['issuer', facts.issuer],
    ['names', subjectAltName.length === 0 ? 'none' : subjectAltName.join(', ')],
    ['valid', `${facts.notBefore} until ${notAfter < now ? paint.red(end) : end}`],
    ['key', facts.key],
    ['pin', paint.bold(facts.pin)],
    ['signature', facts.signatureAlgorithm],
    ['CA', basicConstraints?.ca === true ? `yes${limit(basicConstraints.pathLenConstraint)}` : 'no'],
    ...(keyUsage === null ? [] : [['key usage', keyUsage.join(', ')]]),
    ...(extendedKeyUsage === null
      ? []
      : [['purposes', extendedKeyUsage.map((oid) => PURPOSES[oid] ?? oid).join(', ')]]),
    ['serial', facts.serialNumber],
  ]
  return [`${facts.position}  ${facts.subject}`, ...table(rows).map((line) => `  ${line}`), '']
}

function limit(pathLenConstraint: number | null): string {
  return pathLenConstraint === null ? '' : `, at most ${pathLenConstraint} CA below it`
}

function verdict({ path, findings }: Judgement, paint: Paint): readonly string[] {
  const anchor = path?.certificates.at(-1)?.subject.text
  if (findings.length === 0) return [`path  ${paint.green('verifies')} up to ${anchor}`]
  return [`path  ${paint.red('does not verify')}`, ...findings.map(({ code, message }) => `  ${code}  ${message}`)]
}

/** Names as a stranger wrote them, made fit for a terminal. */
export function namesOf({ decoded }: Certificate): readonly string[] {
  return (decoded.subjectAltName ?? []).map(nameText)
}

function nameText(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'email':
    case 'uri':
      return `${name.kind}:${printable(name.text)}`
    case 'ip':
      return `ip:${addressText(name.octets)}`
    case 'directory':
      return `directory:${name.name.text}`
    default:
      return name.kind
  }
}

function addressText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  const hex = Buffer.from(octets).toString('hex')
  if (octets.length !== 16) return hex
  return new URL(`https://[${hex.replace(/.{4}(?!$)/g, '$&:')}]/`).hostname.slice(1, -1)
}

const PURPOSES: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
  '1.3.6.1.5.5.7.3.9': 'OCSPSigning',
  '2.5.29.37.0': 'any',
}
const DAY_MS = 86_400_000

const EXAMPLE = `Example:
  pinfetch inspect api.example.com
  pinfetch inspect chain.pem --ca roots.pem --sni api.example.com
`

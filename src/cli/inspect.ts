import type { Command } from 'commander'
import { bootstrapPolicy } from '../client/policies.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { pinOfSpki } from '../encoding/pin.ts'
import { CODES } from '../errors/codes.ts'
import { PinfetchError } from '../errors/errors.ts'
import { toUnixMs } from '../ports/runtime.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { GeneralName } from '../x509/general-names.ts'
import { pemOf } from '../x509/pem.ts'
import { anchorsFrom, identityOf, type Placed, placeAll, serverName } from './chain.ts'
import { examineConfig } from './doctor-config.ts'
import { writeWhole } from './files.ts'
import { findingsOf, traceData, traceText } from './inspect-text.ts'
import { inspectTimeline } from './inspect-timeline.ts'
import { type Trace, type TraceInput, traceDecision } from './inspect-trace.ts'
import { type Io, type Paint, printable } from './io.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import type { Run } from './program.ts'
import { seeServer } from './server.ts'
import { materialOf, openSource } from './source.ts'
import { stapleOf } from './staple.ts'
import { dateOf, fromNow, keyText, table } from './text.ts'

export function addInspect(program: Command, run: Run): void {
  program
    .command('inspect')
    .summary('certificates of a server or a file, and what the library would say about them')
    .argument('<source>', 'host[:port], a file with certificates, or - for standard input')
    .option('--ca <pem>', 'roots to verify with, in place of Node’s')
    .option('--config <file>', 'judge by the pins, anchors and rules of a client’s configuration')
    .option('--sni <name>', 'name to ask the server for, and to expect in its certificate')
    .option('--pem', 'print the certificates themselves')
    .option(
      '--timeline <file>',
      'what ends when, as an SVG image: each certificate of the path, what is stapled, and the pins of --config',
    )
    .addHelpText('before', EXAMPLE)
    .action((source: string, options: InspectOptions) => run((io, paint) => inspect(source, options, io, paint)))
}

interface InspectOptions {
  readonly ca?: string
  readonly config?: string
  readonly sni?: string
  readonly pem?: true
  readonly timeline?: string
}

interface Seen {
  readonly name: string
  readonly source: object
  readonly presented: readonly Uint8Array[]
  readonly staple?: Uint8Array | undefined
  readonly trace: Trace
  readonly policy: HostPolicy
  /** Whether the command is answered with no when the verdict is no: a lone file is just looked at. */
  readonly isCheck: boolean
  readonly warnings: readonly string[]
}

async function inspect(text: string, options: InspectOptions, io: Io, paint: Paint): Promise<Outcome> {
  const source = await openSource(text, io)
  const seen =
    source.kind === 'host'
      ? await inspectServer(source.origin, options, io)
      : await inspectFile(source.name, source.bytes, options, io)
  const { presented, staple, trace, policy, isCheck, warnings } = seen
  const now = io.now()
  const chosen = (trace.paths.find(({ refusal }) => refusal === undefined) ?? trace.paths[0])?.path
  const certificates = placeAll(presented, chosen)
  const { verdict } = trace
  const failure: Failure | undefined =
    isCheck && verdict.code !== null
      ? { code: verdict.code, message: verdict.message, hint: CODES[verdict.code].fix }
      : undefined
  if (options.timeline !== undefined) {
    const stapled = chosen === undefined ? undefined : stapleOf(chosen, staple, now)
    const subject = { name: seen.name, placed: certificates, staple: stapled, refusal: failure }
    await writeWhole(options.timeline, inspectTimeline(subject, policy, now), { replace: true })
  }
  const written = options.timeline === undefined ? [] : [`written  ${options.timeline}`]
  const report = [...certificates.flatMap((placed) => describe(placed, now, paint)), ...traceText(trace, paint)]
  return {
    data: {
      source: seen.source,
      certificates: certificates.map((placed) => certificateData(placed, now)),
      path: {
        verifies: verdict.trusted,
        anchor: chosen?.certificates.at(-1)?.subject.text ?? null,
        findings: findingsOf(trace),
      },
      ...traceData(trace),
    },
    text: options.pem === true ? presented.map((der) => pemOf(der).trimEnd()) : report,
    notes: [...(options.pem === true ? report : []), ...written],
    warnings,
    next: `pinfetch pin ${text}   # the pins of these keys`,
    ...(failure === undefined ? {} : { failure }),
  }
}

async function inspectServer(origin: CanonicalOrigin, options: InspectOptions, io: Io): Promise<Seen> {
  const sni = serverName(options.sni)
  const asked = sni === undefined ? origin : { ...origin, ...namedOrigin(sni) }
  const rules = await rulesFor(asked, options, io)
  const { source, presented, staple, warnings } = await seeServer(origin, { anchors: rules.policy.anchors, sni }, io)
  const identity = identityOf(origin, sni)
  const trace = traceDecision({ presented, identity, ...rules, staple, now: toUnixMs(io.now()) })
  return { name: origin.text, source, presented, staple, trace, policy: rules.policy, isCheck: true, warnings }
}

async function inspectFile(name: string, bytes: Uint8Array, options: InspectOptions, io: Io): Promise<Seen> {
  const presented = materialOf(name, bytes, io).flatMap((material) =>
    material.kind === 'certificate' ? [material.certificate.der] : [],
  )
  if (presented.length === 0)
    throw new UsageError(`${name}: holds no certificate`, 'For a key or a request: pinfetch pin')
  const expected = serverName(options.sni)
  if (options.config !== undefined && expected === undefined)
    throw new UsageError('--config needs to know the host of a file', 'Give its name: --sni api.example.com')
  const rules = await rulesFor(namedOrigin(expected ?? 'nobody.invalid'), options, io)
  const identity = expected === undefined ? undefined : ({ kind: 'dns', name: expected } as const)
  const { revocation } = rules.policy
  const policy = { ...rules.policy, revocation: { ...revocation, mode: 'off' as const } } // no server staples for a file
  return {
    name: expected ?? name,
    source: { kind: 'file', name },
    policy,
    presented,
    trace: traceDecision({ presented, identity, ...rules, policy, staple: undefined, now: toUnixMs(io.now()) }),
    isCheck: options.ca !== undefined || options.sni !== undefined || options.config !== undefined,
    warnings: [],
  }
}

/** Of the configuration, or else those of a connection without pins. */
async function rulesFor(
  origin: CanonicalOrigin,
  { ca, config }: InspectOptions,
  io: Io,
): Promise<Pick<TraceInput, 'policy' | 'refusal'>> {
  if (config === undefined) return { policy: bootstrapPolicy(origin, [], await anchorsFrom(ca)) }
  const { policyFor, anchorsFor } = await examineConfig(config, { ca, local: [] }, io)
  try {
    return { policy: policyFor(origin) }
  } catch (refusal) {
    if (!(refusal instanceof PinfetchError)) throw refusal
    return { policy: bootstrapPolicy(origin, [], anchorsFor(origin.host)), refusal }
  }
}

function namedOrigin(name: string): CanonicalOrigin {
  const origin = canonicalOrigin(new URL(`https://${name}/`))
  if (origin === undefined) throw new UsageError(`${name}: no host`, 'Give a name as in a URL: --sni api.example.com')
  return origin
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
  pinfetch inspect https://api.example.com --config pinfetch.json --timeline api.svg
`

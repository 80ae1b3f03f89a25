import { createHash } from 'node:crypto'
import * as z from 'zod'
import { decodeBase64, decodeBase64Url } from '../encoding/base64.ts'
import { parseBlock } from '../encoding/cidr.ts'
import { formatHostPattern, type ParsedHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import { isPinText, type PinText } from '../encoding/pin.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { encodingFlawOf, parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'

/*
 * The three payloads. A member that nobody knows is ignored at the top of a document, so that a minor version may add one,
 * unless `critical` names it; inside host entries, denies and revocations it refuses the document, because ignoring half a
 * rule can turn it into its opposite. Instants become UnixMs and host patterns are parsed, so no reader does either again.
 */

export type RootPayload = z.infer<typeof RootPayload>
export type StatusPayload = z.infer<typeof StatusPayload>
export type ManifestPayload = z.infer<typeof ManifestPayload>
export type RootKey = RootPayload['keys'][number]
export type RoleName = 'root' | 'manifest' | 'status'
/** One host's pins and policy, as signed; instants are UnixMs. */
export type HostEntry = z.infer<typeof HostEntry>
/** Where a part of the hosts is: the two facts are about the blob's bytes. */
export type BlobReference = z.infer<typeof BlobReference>
export type DenyEntry = z.infer<typeof DenyEntry>
/** Where a status says the manifest is: the three facts are about the payload's bytes. */
export type ManifestPointer = z.infer<typeof ManifestPointer>

/** `YYYY-MM-DDTHH:MM:SSZ`, a real date: other spellings of RFC 3339 are where implementations disagree. */
function parseInstant(text: string): UnixMs | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) || formatInstant(toUnixMs(ms)) !== text ? undefined : toUnixMs(ms)
}

/** Seconds precision; the fraction is dropped. */
export function formatInstant(instant: UnixMs): string {
  return new Date(instant).toISOString().replace(/\.\d+/, '')
}

const Instant = z.string().transform((text, context): UnixMs => {
  const instant = parseInstant(text)
  if (instant !== undefined) return instant
  context.addIssue('expected YYYY-MM-DDTHH:MM:SSZ, a real date')
  return z.NEVER
})

const Pattern = z
  .string()
  .max(300)
  .transform((text, context): ParsedHostPattern => {
    const pattern = parseHostPattern(text)
    if (pattern !== undefined && formatHostPattern(pattern) === text && !SERVICE_LABEL.test(text)) return pattern
    context.addIssue('expected a host, *.host or **.host in canonical form')
    return z.NEVER
  })

const PatternText = Pattern.transform(formatHostPattern)
const Spki = z.custom<PinText>((value) => typeof value === 'string' && isPinText(value), 'expected sha256/ and base64')
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')
const Version = z.int().min(1)
const Seconds = z.int().min(0)
const Text = z.string().max(256)
const Base64 = z
  .string()
  .max(2048)
  .refine((text) => (decodeBase64(text)?.length ?? 0) > 0, 'expected base64')
const Cidr = z.string().refine((text) => parseBlock(text) !== undefined, 'expected a CIDR block')

/** Identifies the repository; also what its publisher checks before signing. */
export const RepoName = z.string().regex(/^[a-z0-9][a-z0-9._/-]{0,127}$/)
export const EnvName = z.string().regex(/^[a-z0-9-]{1,32}$/)

const common = {
  spec: z.string().regex(/^1\.\d{1,5}$/),
  repo: RepoName,
  env: EnvName,
  version: Version,
  issuedAt: Instant,
  expires: Instant,
  critical: z.array(Text).max(64).exactOptional(),
}

/** A public JWK. Members that RFC 7638 does not hash may be added freely; private ones never. */
const RootKeySchema = z
  .looseObject({
    kty: z.enum(['OKP', 'EC']),
    crv: z.enum(['Ed25519', 'P-256']),
    alg: z.enum(['Ed25519', 'ES256']),
    x: z.string().refine(is32Bytes, 'expected 32 bytes as base64url'),
    y: z.string().refine(is32Bytes, 'expected 32 bytes as base64url').exactOptional(),
    kid: Text.exactOptional(),
    holder: Text.min(1).exactOptional(),
    note: z.string().max(1024).exactOptional(),
  })
  .refine(
    (key) => !PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name)),
    'a private key member must not be published',
  )

const role = { keys: z.array(Text).min(1).max(16), threshold: z.int().min(1).max(16) }

export const RootPayload = z.object({
  type: z.literal('root'),
  ...common,
  keys: z.array(RootKeySchema).min(2).max(32),
  roles: z.object({
    root: z.object(role),
    manifest: z.object({ ...role, epoch: Version }),
    status: z.object({ ...role, epoch: Version, mayDeny: z.boolean() }),
  }),
})

const ManifestPointer = z.object({
  version: Version,
  length: z
    .int()
    .min(1)
    .max(64 * 1024 * 1024),
  sha256: Sha256,
})

const DenyEntry = z.strictObject({
  spki: Spki,
  hosts: z.array(Pattern).min(1).max(1_000).exactOptional(),
  reason: Text,
})

export const StatusPayload = z.object({
  type: z.literal('status'),
  ...common,
  epoch: Version,
  root: z.object({ version: Version }),
  manifest: ManifestPointer,
  canary: z.object({ manifest: ManifestPointer, percent: z.number().min(0).max(100), salt: Text }).exactOptional(),
  deny: z.array(DenyEntry).max(256).exactOptional(),
  poll: z.object({ interval: z.int().min(1), spread: z.number().min(0).max(1) }),
})

const PinSchema = z.strictObject({
  spki: Spki,
  notBefore: Instant.exactOptional(),
  notAfter: Instant.exactOptional(),
  require: z.enum(['endEntity', 'issuer']).exactOptional(),
  label: Text.exactOptional(),
})

const PinGroup = z.array(z.int().min(0).max(15)).min(1).max(16)

const RevocationSchema = z.strictObject({
  mode: z.enum(['report', 'soft-fail', 'hard-fail']), // never off: a manifest may not loosen that
  sources: z
    .array(z.enum(['short-lived', 'staple', 'cache', 'crl', 'ocsp']))
    .min(1)
    .exactOptional(),
  depth: z.enum(['endEntity', 'chain']).exactOptional(),
  staple: z.enum(['never', 'if-must-staple', 'always']).exactOptional(),
  fetch: z.enum(['background', 'blocking', 'never']).exactOptional(),
})

export const HostEntry = z
  .strictObject({
    host: PatternText,
    port: z.int().min(1).max(65_535).exactOptional(),
    mode: z.enum(['enforce', 'report']),
    enforceFrom: Instant.exactOptional(),
    rampPercent: z.number().min(1).max(100).exactOptional(),
    pins: z.array(PinSchema).min(1).max(16),
    allOf: z.tuple([PinGroup, PinGroup]).exactOptional(),
    singlePin: z.literal(true).exactOptional(),
    keyControl: z.enum(['own', 'partner']).exactOptional(),
    onStale: z.enum(['block', 'report']).exactOptional(),
    revocation: RevocationSchema.exactOptional(),
    requireSct: z.boolean().exactOptional(),
    minTlsVersion: z.enum(['1.2', '1.3']).exactOptional(),
    reason: Text.min(1).exactOptional(),
    reviewBy: Instant.exactOptional(),
    clientCertificate: z.enum(['required', 'optional']).exactOptional(),
    trustAnchors: z.array(Text).min(1).max(32).exactOptional(),
    expectedUri: z
      .string()
      .max(2048)
      .regex(/^spiffe:\/\/[^/]+\/./)
      .exactOptional(),
    allowedAddresses: z.array(Cidr).min(1).max(256).exactOptional(),
    maxConnectionAge: z.int().min(1).exactOptional(),
    profile: z.literal('legacy').exactOptional(),
    sunset: Instant.exactOptional(),
    contained: z.literal(true).exactOptional(),
  })
  .refine((host) => host.minTlsVersion !== '1.2' || host.reason !== undefined, 'minTlsVersion 1.2 needs a reason')
  .refine((host) => host.profile !== 'legacy' || host.sunset !== undefined, 'profile legacy needs a sunset')
  .refine(
    ({ allOf = [], pins }) => allOf.every((group) => group.every((index) => index < pins.length)),
    'allOf names a pin that is not listed',
  )

const revokedHosts = { hosts: z.array(Pattern).min(1).max(1_000).exactOptional() }
const revokedSerials = {
  issuerSpkiSha256: Spki,
  serials: z.array(z.string().regex(/^[0-9a-f]{2,64}$/)).max(10_000),
}
const distrusted = { spkiSha256: Spki, notBefore: Instant.exactOptional(), sctNotAfter: Instant.exactOptional() }
const oneInstant = (rule: { notBefore?: UnixMs; sctNotAfter?: UnixMs }): boolean =>
  (rule.notBefore === undefined) !== (rule.sctNotAfter === undefined)
const why = { reason: Text.min(1) }

/** What was revoked and may serve again, in the words that revoked it: clients refuse to see a revocation gone in silence. */
const Unrevoked = z.union([
  z.strictObject({ sha256: Spki, since: Instant.exactOptional(), ...revokedHosts, ...why }),
  z.strictObject({ ...revokedSerials, ...why }),
  z.strictObject({ sha256: Sha256, ...why }),
  z.strictObject({ ...distrusted, ...why }).refine(oneInstant, 'one of notBefore, sctNotAfter'),
])

const revocationList = <Rule extends z.ZodType>(rule: Rule) => z.array(rule).max(10_000).exactOptional()

const Revocations = z
  .strictObject({
    spki: revocationList(z.strictObject({ sha256: Spki, since: Instant, reason: Text, ...revokedHosts })),
    issuerSerial: revocationList(z.strictObject(revokedSerials)),
    certificate: revocationList(z.strictObject({ sha256: Sha256 })),
    distrustAfter: revocationList(z.strictObject(distrusted).refine(oneInstant, 'one of notBefore, sctNotAfter')),
    unrevoked: revocationList(Unrevoked),
  })
  .refine(
    ({ spki = [], issuerSerial = [], certificate = [], distrustAfter = [] }) =>
      spki.length + certificate.length + distrustAfter.length + issuerSerial.flatMap(({ serials }) => serials).length <=
      MAX_REVOCATIONS,
    'more than 10,000 revocations',
  )
  .refine(
    ({ unrevoked = [] }) =>
      unrevoked.reduce((sum, record) => sum + ('serials' in record ? record.serials.length : 1), 0) <= MAX_REVOCATIONS,
    'more than 10,000 revocations are taken back',
  )

const MAX_REVOCATIONS = 10_000 // all of one manifest: looked for on every path

const AnchorDer = z
  .string()
  .max(16_384)
  .transform((text, context): Uint8Array => {
    const der = decodeBase64(text)
    if (der !== undefined && isCertificate(der)) return der
    context.addIssue('expected the base64 of a certificate in DER')
    return z.NEVER
  })

/*
 * Certificate Transparency logs with the members of the public log lists (log list v3), so that a publisher can copy from one:
 * hence the spelling of the names, and why other members are ignored here.
 */
const LogState = z.object({ timestamp: Instant }).exactOptional()
const LOG_STATES = ['pending', 'qualified', 'usable', 'readonly', 'retired', 'rejected'] as const

const CtLog = z
  .object({
    description: Text.exactOptional(),
    log_id: Base64,
    key: Base64,
    url: z.string().max(2048).exactOptional(),
    submission_url: z.string().max(2048).exactOptional(),
    monitoring_url: z.string().max(2048).exactOptional(),
    mmd: Seconds.exactOptional(),
    state: z
      .object({
        pending: LogState,
        qualified: LogState,
        usable: LogState,
        readonly: LogState,
        retired: LogState,
        rejected: LogState,
      })
      .refine((state) => LOG_STATES.filter((name) => state[name] !== undefined).length === 1, 'expected one state'),
    temporal_interval: z.object({ start_inclusive: Instant, end_exclusive: Instant }).exactOptional(),
  })
  .refine(({ log_id, key }) => log_id === base64Sha256(key), 'log_id is not the SHA-256 of the key') // RFC 6962 §3.2

const CtOperator = z.object({
  name: Text.min(1),
  logs: z.array(CtLog).max(256).exactOptional(),
  tiled_logs: z.array(CtLog).max(256).exactOptional(),
})

/** Also what an application gives in code. */
export const LogListSchema = z
  .object({ timestamp: Instant, operators: z.array(CtOperator).min(1).max(64) })
  .refine(({ operators }) => {
    const ids = operators.flatMap(({ logs = [], tiled_logs = [] }) =>
      [...logs, ...tiled_logs].map(({ log_id }) => log_id),
    )
    return new Set(ids).size === ids.length
  }, 'a log stands in the list twice')

const CtSchema = z.strictObject({ policy: z.enum(['off', 'report', 'enforce']), logList: LogListSchema })

const BlobReference = z.strictObject({
  sha256: Sha256,
  length: z
    .int()
    .min(1)
    .max(1024 * 1024), // read and parsed in one piece
  /** Which part of the hosts a blob holds, for clients that need a few. Every blob is read, so it changes nothing here. */
  shard: z.tuple([z.int().min(0), z.int().min(1)]).exactOptional(),
})

export const MAX_HOSTS = 200_000
const MAX_BLOB_BYTES = 64 * 1024 * 1024 // 200,000 hosts with two pins each stay below 40 MiB

export const ManifestPayload = z
  .object({
    type: z.literal('manifest'),
    ...common,
    epoch: Version,
    staleGrace: Seconds,
    hosts: z.array(z.unknown()).max(MAX_HOSTS).exactOptional(), // each a HostEntry: read in turns, when the rest is judged
    blobs: z
      .array(BlobReference)
      .min(1)
      .max(4_096)
      .refine(
        (blobs) => blobs.reduce((sum, { length }) => sum + length, 0) <= MAX_BLOB_BYTES,
        'blobs are too long together',
      )
      .exactOptional(),
    revocations: Revocations.exactOptional(),
    undeny: z.array(Spki).max(10_000).exactOptional(),
    anchorSets: z.record(Text.regex(/^[a-z0-9][a-z0-9-]*$/), z.array(AnchorDer).min(1).max(32)).exactOptional(),
    ct: CtSchema.exactOptional(),
    interception: z.array(Spki).max(10_000).exactOptional(),
  })
  .refine(({ hosts, blobs }) => (hosts === undefined) !== (blobs === undefined), 'exactly one of hosts and blobs')

function is32Bytes(text: string): boolean {
  return decodeBase64Url(text)?.length === 32
}

function base64Sha256(base64: string): string {
  return createHash('sha256').update(base64, 'base64').digest('base64')
}

const SERVICE_LABEL = /(^|\.)_|_(\.|$)/ // RFC 8552 names are no hosts, and `__proto__` is a trap for somebody’s object
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const // RFC 7518 §6.2.2, §6.3.2, §6.4.1

/** An anchor that cannot be read would refuse its hosts at connect time; better that the document is refused. */
function isCertificate(der: Uint8Array): boolean {
  try {
    return encodingFlawOf(parseCertificate(der)) === undefined
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

import * as z from 'zod'
import { decodeBase64 } from '../../encoding/base64.ts'
import { parseBlock } from '../../encoding/cidr.ts'
import { canonicalHost } from '../../encoding/host.ts'
import { isPinText, type PinText } from '../../encoding/pin.ts'
import { CODES, type CodeIn } from '../../errors/codes.ts'
import { toUnixMs } from '../../ports/runtime.ts'
import { createInterceptionKeys } from '../../trust/interception.ts'
import { NO_END } from './witness.ts'

/**
 * The parts of a bundle that a verdict is given by, read strictly: what this version does not know could be a rule that it would
 * not follow. Absent and `undefined` are one.
 */
const present = <Value extends object>(value: Value) =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Name in keyof Value]: undefined extends Value[Name] ? Exclude<Value[Name], undefined> : Value[Name]
  }

const Text = z.string().max(16_384)
const Instant = z.number().transform(toUnixMs)
const Pin = z.custom<PinText>((text) => typeof text === 'string' && isPinText(text), 'expected a pin')
const Digest = z.string().regex(/^[0-9a-f]{64}$/)
const Host = Text.transform((text, context) => {
  const host = canonicalHost(text)
  if (host !== undefined) return host
  context.addIssue({ code: 'custom', message: 'expected a host' })
  return z.NEVER
})
const Der = z
  .string()
  .max(1_048_576)
  .transform((text, context) => {
    const bytes = decodeBase64(text)
    if (bytes !== undefined) return bytes
    context.addIssue({ code: 'custom', message: 'expected base64' })
    return z.NEVER
  })
const TrustCode = z.custom<CodeIn<'TRUST'>>(
  (code) => typeof code === 'string' && code.startsWith('ERR_TRUST_') && Object.hasOwn(CODES, code),
  'expected a code about trust',
)
const Block = Text.transform((text, context) => {
  const block = parseBlock(text)
  if (block !== undefined) return block
  context.addIssue({ code: 'custom', message: 'expected a block of addresses' })
  return z.NEVER
})

const PinRule = z
  .strictObject({
    spki: Pin,
    notBefore: Instant.optional(),
    notAfter: Instant.optional(),
    require: z.enum(['endEntity', 'issuer']).optional(),
    label: Text.optional(),
  })
  .transform(present)

const Distrusted = z.union([
  z.strictObject({ issuer: Pin, notBefore: Instant }),
  z.strictObject({ issuer: Pin, sctNotAfter: Instant }),
])

const Revoked = z
  .strictObject({
    id: Text,
    certificates: z.array(Digest),
    serials: z.array(z.strictObject({ issuer: Pin, numbers: z.array(z.string().regex(/^[0-9a-f]{1,100}$/)) })),
    distrusted: z.array(Distrusted),
  })
  .transform(({ id, certificates, serials, distrusted }) => ({
    id,
    certificates: new Set(certificates),
    serials: serials.map(({ issuer, numbers }) => ({ issuer, numbers: new Set(numbers) })),
    distrusted,
  }))

const Interception = z
  .strictObject({ id: Text, effect: z.enum(['report', 'refuse']), keys: z.array(Pin) })
  .transform(({ id, effect, keys }) => createInterceptionKeys(keys, { id, effect }))

const Revocation = z.strictObject({
  mode: z.enum(['off', 'report', 'soft-fail', 'hard-fail']),
  sources: z.array(z.enum(['short-lived', 'staple', 'cache', 'crlite', 'crl', 'ocsp'])),
  depth: z.enum(['endEntity', 'chain']),
  staple: z.enum(['never', 'if-must-staple', 'always']),
  ocspUnknown: z.enum(['reject', 'undetermined']),
  fetch: z.enum(['never', 'background', 'blocking']),
  limits: z.strictObject({
    clockSkewMs: z.number(),
    maxAgeMs: z.number(),
    maxAgeOfCaMs: z.number(),
    minRsaBits: z.number(),
  }),
})

const LogState = z.strictObject({ timestamp: Instant }).optional()
const ListedLog = z
  .strictObject({
    description: Text.optional(),
    log_id: Text,
    key: Text,
    state: z
      .strictObject({
        rejected: LogState,
        pending: LogState,
        retired: LogState,
        readonly: LogState,
        qualified: LogState,
        usable: LogState,
      })
      .transform(present),
    temporal_interval: z.strictObject({ start_inclusive: Instant, end_exclusive: Instant }).optional(),
  })
  .transform(present)

const LogList = z.strictObject({
  timestamp: Instant,
  operators: z.array(
    z
      .strictObject({ name: Text, logs: z.array(ListedLog).optional(), tiled_logs: z.array(ListedLog).optional() })
      .transform(present),
  ),
})

const Transparency = z
  .strictObject({
    id: Text,
    policy: z.strictObject({
      mode: z.enum(['off', 'report', 'enforce', 'require']),
      rfc6962Log: z.enum(['required', 'optional']),
    }),
    logList: LogList.optional(),
  })
  .transform(present)

const Policy = z
  .strictObject({
    host: Host,
    port: z.int().min(0).max(65_535),
    source: z.enum(['manifest', 'code', 'bootstrap', 'dangerous']),
    mode: z.enum(['enforce', 'report']),
    pinGroups: z.array(z.array(PinRule)),
    denies: z
      .strictObject({ count: z.int(), concerned: z.array(z.strictObject({ spki: Pin, reason: Text })) })
      .transform(({ concerned }) => concerned),
    revoked: Revoked.optional(),
    interception: Interception.optional(),
    revocation: Revocation,
    transparency: Transparency.optional(),
    minTlsVersion: z.enum(['1.2', '1.3']),
    profile: z.literal('legacy').optional(),
    expectedUri: Text.optional(),
    maxConnectionAgeMs: z.number().optional(),
    maxConnections: z.number().optional(),
    allowedAddresses: z.array(Block).optional(),
    manifestVersion: z.int(),
    rootVersion: z.int().optional(),
    generation: Text,
  })
  .transform(present)

const Identity = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('dns'), name: Text }),
  z.strictObject({ kind: z.literal('ip'), address: Text }),
  z.strictObject({ kind: z.literal('spiffe'), id: Text }),
])

const validUntil = z
  .number()
  .optional()
  .transform((end) => end ?? NO_END)
const Statement = z.union([
  z.strictObject({ der: Der }).transform(({ der }) => der),
  z.strictObject({ status: z.enum(['good', 'unknown']), thisUpdate: z.number(), validUntil }),
  z
    .strictObject({
      status: z.literal('revoked'),
      thisUpdate: z.number(),
      validUntil,
      revokedAt: z.number(),
      reason: z.number().optional(),
    })
    .transform(present),
  z.strictObject({ status: z.literal('undetermined'), code: TrustCode, message: Text }),
])

const Entry = z.strictObject({
  position: z.enum(['endEntity', 'intermediate', 'anchor']),
  spki: Text,
  subject: Text,
  notAfter: z.number(),
})
const FindingRecord = z.strictObject({ code: Text, certificateIndex: z.int().nullable(), message: Text })

const Verdict = z.strictObject({
  outcome: z.enum(['accepted', 'reported', 'refused']),
  code: Text.optional(),
  findings: z.array(FindingRecord),
  path: z.array(Text),
})

const Judged = z.strictObject({
  now: Instant,
  mayWait: z.boolean().optional(),
  identity: Identity,
  policy: Policy,
  anchors: z.strictObject({
    size: z.int(),
    digest: Text,
    held: z.array(Digest),
    certificates: z.array(z.strictObject({ der: Der, isPublic: z.boolean() })).max(64),
  }),
  statements: z
    .array(
      z.strictObject({
        kind: z.enum(['crl', 'ocsp', 'crlite']),
        certificate: Digest,
        issuer: Digest,
        said: z.array(Statement),
      }),
    )
    .max(64),
  paths: z.array(z.strictObject({ code: Text.optional(), certificates: z.array(Entry) })),
  verdict: Verdict,
})

/** What a record of a handshake has that `show` and the comparison need; the rest of it is for readers. */
const Handshake = z.looseObject({
  at: z.iso.datetime(),
  host: Text,
  verdict: z.enum(['accepted', 'reported', 'refused', 'failed']),
  code: Text.optional(),
  findings: z.array(FindingRecord),
  path: z.array(Text),
  certificates: z.array(Text),
  pins: z.looseObject({ considered: z.array(Text), matched: z.array(Text) }),
  policy: z.looseObject({ source: Text, mode: Text, manifestVersion: z.int(), generation: Text }),
  address: Text.optional(),
  addresses: z.array(Text),
  proxy: Text.optional(),
})

export const EvidenceSchema = z.strictObject({
  format: z.literal('pinfetch-evidence/1'),
  trigger: z.enum(['refused', 'reported', 'interception', 'demand']),
  handshake: Handshake,
  path: z.array(Entry),
  presented: z.array(Der),
  staple: Der.optional(),
  judged: Judged.optional(),
  environment: z.array(z.strictObject({ subject: Text, effect: Text })),
  versions: z.strictObject({ pinfetch: Text, node: Text, openssl: Text }),
})

export type EvidenceBundle = z.output<typeof EvidenceSchema>
export type JudgedBundle = NonNullable<EvidenceBundle['judged']>

export const SealedSchema = z.strictObject({
  evidence: z.record(z.string(), z.json()),
  sha256: Digest,
  signature: z.string().max(65_536).optional(),
})

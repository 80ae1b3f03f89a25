import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import * as z from 'zod'
import { decodeBase64 } from '../encoding/base64.ts'
import { parseStrictJson } from '../encoding/json.ts'
import type { CodeIn } from '../errors/codes.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { formatInstant } from '../manifest/schema.ts'
import { toUnixMs } from '../ports/runtime.ts'
import type { CtInput, CtLogInput, CtOperatorInput } from './wire.ts'

export interface ReadLogList {
  readonly logList: CtInput['logList']
  /** Logs whose state nobody here knows, or that have none: an SCT of theirs counts for nothing. */
  readonly leftOut: readonly string[]
}

/**
 * A public list of Certificate Transparency logs (log list v3), once it is shown to come from its publisher and to be recent:
 * what clients judge SCTs by, and nothing else of it. Members and kinds of logs that are not known are passed over, for the
 * format grows; an entry that contradicts itself refuses the list.
 *
 * @param signature As published beside the list: RSASSA-PKCS1-v1_5 with SHA-256 over its bytes.
 * @param known When the lists were made that clients have, or may have: an older one would bring back what it lost.
 * @throws ConfigurationError `ERR_CONFIG_LOG_LIST…`
 * @see RFC 6962 §3.2 (LogID), RFC 8017 §8.2
 */
export function readLogList(
  bytes: Uint8Array,
  signature: Uint8Array,
  { key, known, now }: { readonly key: KeyObject; readonly known: readonly number[]; readonly now: number },
): ReadLogList {
  if (bytes.length > MAX_LIST_BYTES) throw refused('ERR_CONFIG_LOG_LIST', `longer than ${MAX_LIST_BYTES} bytes`)
  if (!verify('sha256', bytes, key, signature)) {
    throw refused('ERR_CONFIG_LOG_LIST_SIGNATURE', 'the signature is not by the key given for it over these bytes')
  }
  const { log_list_timestamp: timestamp, operators } = parse(bytes)
  requireRecent(timestamp, known, now)
  const leftOut: string[] = []
  const kept = operators.flatMap(({ name, logs, tiled_logs }): CtOperatorInput[] => {
    const [classic, tiled] = [keptOf(logs, leftOut), keptOf(tiled_logs, leftOut)]
    const some = (list: readonly CtLogInput[]) => list.length > 0
    if (!some(classic) && !some(tiled)) return []
    return [{ name, ...(some(classic) && { logs: classic }), ...(some(tiled) && { tiled_logs: tiled }) }]
  })
  if (kept.length === 0) throw refused('ERR_CONFIG_LOG_LIST', 'it has no log whose state is known')
  requireOnce(kept)
  return { logList: { timestamp: formatInstant(toUnixMs(timestamp)), operators: kept }, leftOut }
}

/** The key of who signs such lists, from PEM. @throws ConfigurationError */
export function readLogListKey(pem: string | Uint8Array): KeyObject {
  const key = publicKeyOf(pem)
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const bits = details?.modulusLength ?? 0
  if (type === 'rsa' && bits >= MIN_RSA_BITS) return key
  const seen = type === 'rsa' ? `RSA of ${bits} bits` : type
  throw refused('ERR_CONFIG_LOG_LIST_SIGNATURE', `expected a key of RSA, of at least ${MIN_RSA_BITS} bits, saw ${seen}`)
}

/** What an import kept of a list: counted and dated for those who look at it. */
export function logsOf({ operators }: CtInput['logList']): readonly (CtLogInput & { readonly operator: string })[] {
  return operators.flatMap(({ name: operator, logs = [], tiled_logs: tiled = [] }) =>
    [...logs, ...tiled].map((log) => ({ ...log, operator })),
  )
}

function publicKeyOf(pem: string | Uint8Array): KeyObject {
  try {
    return createPublicKey(Buffer.from(pem as Uint8Array))
  } catch (cause) {
    const message = 'the key of the log list cannot be read, expected a public key in PEM'
    throw new ConfigurationError('ERR_CONFIG_LOG_LIST_SIGNATURE', message, { cause })
  }
}

function parse(bytes: Uint8Array): z.infer<typeof PublicList> {
  const json = parseStrictJson(bytes)
  if (!json.ok) throw refused('ERR_CONFIG_LOG_LIST', 'expected JSON in UTF-8 without a member twice')
  const list = PublicList.safeParse(json.value)
  if (list.success) return list.data
  const [issue] = list.error.issues
  throw refused('ERR_CONFIG_LOG_LIST', `${issue?.path.map(String).join('.')}: ${issue?.message}`)
}

function requireRecent(timestamp: number, known: readonly number[], now: number): void {
  const of = dateOf(timestamp)
  if (timestamp > now + MAX_SKEW_MS) throw refused('ERR_CONFIG_LOG_LIST_STALE', `of ${of}, which is in the future`)
  if (now - timestamp > LOG_LIST_MAX_AGE_MS) {
    throw refused('ERR_CONFIG_LOG_LIST_STALE', `of ${of}, and clients use none for more than 70 days`)
  }
  const newest = Math.max(...known)
  if (timestamp < newest)
    throw refused('ERR_CONFIG_LOG_LIST_ROLLBACK', `of ${of}, older than the one of ${dateOf(newest)}`)
}

function keptOf(logs: z.infer<typeof Logs>, leftOut: string[]): readonly CtLogInput[] {
  return logs.flatMap(({ description, log_id, key, state, temporal_interval: interval }): CtLogInput[] => {
    const states = LOG_STATES.filter((name) => state?.[name] !== undefined)
    const [name] = states
    if (states.length > 1)
      throw refused('ERR_CONFIG_LOG_LIST', `${description ?? log_id}: ${states.join(' and ')} at once`)
    if (name === undefined) {
      leftOut.push(description ?? log_id)
      return []
    }
    const about = { ...(description === undefined ? {} : { description: description.slice(0, 256) }), log_id, key }
    const since = { [name]: { timestamp: dateOf(state?.[name]?.timestamp ?? 0) } }
    if (interval === undefined) return [{ ...about, state: since }]
    const [start_inclusive, end_exclusive] = [dateOf(interval.start_inclusive), dateOf(interval.end_exclusive)]
    return [{ ...about, state: since, temporal_interval: { start_inclusive, end_exclusive } }]
  })
}

/** A log with two operators would count for both. */
function requireOnce(operators: CtInput['logList']['operators']): void {
  const seen = new Set<string>()
  for (const { log_id, description, operator } of logsOf({ timestamp: '', operators })) {
    if (seen.has(log_id)) {
      throw refused('ERR_CONFIG_LOG_LIST', `${description ?? log_id}, of ${operator}, stands in it twice`)
    }
    seen.add(log_id)
  }
}

const refused = (code: CodeIn<'CONFIG'>, message: string): ConfigurationError =>
  new ConfigurationError(code, `the log list: ${message}`)

const dateOf = (unixMs: number): string => formatInstant(toUnixMs(unixMs))

const DAY_MS = 86_400_000
/** Half of the time in which clients use a list, and all of it. */
export const LOG_LIST_OLD_MS = 35 * DAY_MS
export const LOG_LIST_MAX_AGE_MS = 70 * DAY_MS

const MAX_LIST_BYTES = 4 * 1024 * 1024 // the public lists have some 100 kB
const MAX_SKEW_MS = 5 * 60_000
const MIN_RSA_BITS = 2048

const LOG_STATES = ['pending', 'qualified', 'usable', 'readonly', 'retired', 'rejected'] as const

/** RFC 3339 in UTC; lists of others have fractions of a second, which nothing depends on. */
const Instant = z.iso.datetime().transform((text) => Date.parse(text))
const Base64 = z
  .string()
  .max(2048)
  .refine((text) => (decodeBase64(text)?.length ?? 0) > 0, 'expected base64')
const Since = z.object({ timestamp: Instant }).exactOptional()
const State = z.object({
  pending: Since,
  qualified: Since,
  usable: Since,
  readonly: Since,
  retired: Since,
  rejected: Since,
})

/** RFC 6962 §3.2: an entry where the id is not the digest of the key speaks for a log that has another. */
const Log = z
  .object({
    description: z.string().exactOptional(),
    log_id: Base64,
    key: Base64,
    state: State.exactOptional(),
    temporal_interval: z.object({ start_inclusive: Instant, end_exclusive: Instant }).exactOptional(),
  })
  .refine(({ log_id, key }) => hash('sha256', Buffer.from(key, 'base64'), 'base64') === log_id, {
    error: 'log_id is not the SHA-256 of the key',
  })
const Logs = z.array(Log).max(256).default([])

const PublicList = z.object({
  log_list_timestamp: Instant,
  operators: z
    .array(z.object({ name: z.string().min(1).max(256), logs: Logs, tiled_logs: Logs }))
    .min(1)
    .max(64),
})

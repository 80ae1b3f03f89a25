import type * as z from 'zod'
import { type JsonFailure, parseStrictJson } from '../encoding/json.ts'
import { refusal, type Where } from './refusal.ts'
import { ManifestPayload, RootPayload, StatusPayload } from './schema.ts'

export interface Expected {
  /** Both come from the trusted root; for the anchor itself they are what the application configured, if anything. */
  readonly repo?: string | undefined
  readonly env?: string | undefined
}

/**
 * Reads a payload of the expected type. The checks have one order, so that one broken document gives one code everywhere.
 *
 * @throws ManifestError PAYLOAD_*, SPEC_UNSUPPORTED, UNKNOWN_CRITICAL_FIELD, WRONG_REPO or WRONG_ENV.
 */
export function readRoot(bytes: Uint8Array, expected: Expected, source?: string): RootPayload {
  return read('root', RootPayload, bytes, expected, source)
}

export function readStatus(bytes: Uint8Array, expected: Expected, source?: string): StatusPayload {
  return read('status', StatusPayload, bytes, expected, source)
}

export function readManifest(bytes: Uint8Array, expected: Expected, source?: string): ManifestPayload {
  return read('manifest', ManifestPayload, bytes, expected, source)
}

function read<Payload extends { readonly repo: string; readonly env: string }>(
  type: 'root' | 'status' | 'manifest',
  schema: z.ZodType<Payload>,
  bytes: Uint8Array,
  expected: Expected,
  source: string | undefined,
): Payload {
  const unknownVersion: Where = { document: type, ...(source === undefined ? {} : { source }) }
  const json = parseStrictJson(bytes)
  if (!json.ok) throw refusal(JSON_CODES[json.failure], unknownVersion, JSON_WORDS[json.failure])
  if (!isObject(json.value))
    throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', unknownVersion, 'the payload is not an object')
  const { type: seen, spec, critical, version } = json.value
  const where: Where = { ...unknownVersion, ...(Number.isSafeInteger(version) ? { version: Number(version) } : {}) }
  if (seen !== type) throw refusal('ERR_MANIFEST_PAYLOAD_TYPE', where, `expected type ${type}, saw ${show(seen)}`)
  if (typeof spec === 'string' && /^\d+\.\d+$/.test(spec) && !/^1\.\d{1,5}$/.test(spec)) {
    throw refusal('ERR_MANIFEST_SPEC_UNSUPPORTED', where, `expected spec 1, saw ${show(spec)}`)
  }
  const unknown = Array.isArray(critical) ? critical.find((name) => !UNDERSTOOD[type].has(name)) : undefined
  if (unknown !== undefined) {
    throw refusal(
      'ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD',
      where,
      `member ${show(unknown)} is critical and not understood`,
    )
  }
  const parsed = schema.safeParse(json.value)
  if (!parsed.success) throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, schemaFault(parsed.error))
  const { repo, env } = parsed.data
  if (expected.repo !== undefined && repo !== expected.repo) {
    throw refusal('ERR_MANIFEST_WRONG_REPO', where, `expected repo ${expected.repo}, saw ${repo}`)
  }
  if (expected.env !== undefined && env !== expected.env) {
    throw refusal('ERR_MANIFEST_WRONG_ENV', where, `expected env ${expected.env}, saw ${env}`)
  }
  return parsed.data
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first thing that is wrong, with its place; `root` is where the value itself stands. */
export function schemaFault({ issues: [issue] }: z.ZodError, root = ''): string {
  if (issue === undefined) return 'the payload does not follow its schema'
  const path = root + issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  const name = path === '' ? 'payload' : path.replace(/^\./, '')
  return issue.code === 'unrecognized_keys'
    ? `${name}: unknown member ${issue.keys.slice(0, 3).map(show).join(', ')}`
    : `${name}: ${issue.message}`
}

/** Text of a peer, as it may stand in a message: short, quoted, without control characters. */
function show(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 40) : typeof value)
}

export const JSON_CODES = {
  utf8: 'ERR_MANIFEST_PAYLOAD_UTF8',
  json: 'ERR_MANIFEST_PAYLOAD_JSON',
  duplicate: 'ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY',
  depth: 'ERR_MANIFEST_PAYLOAD_DEPTH',
} as const satisfies Record<JsonFailure, string>

export const JSON_WORDS: Readonly<Record<JsonFailure, string>> = {
  utf8: 'the payload is not UTF-8',
  json: 'the payload is not JSON',
  duplicate: 'the payload has one member name twice',
  depth: 'the payload is nested more than 12 levels deep',
}

const COMMON = ['type', 'spec', 'repo', 'env', 'version', 'issuedAt', 'expires', 'critical']

/** What a document may declare critical: the members that this version acts on, which is less than those it can parse. */
const UNDERSTOOD: Readonly<Record<'root' | 'status' | 'manifest', ReadonlySet<unknown>>> = {
  root: new Set([...COMMON, 'keys', 'roles']),
  status: new Set([...COMMON, 'epoch', 'root', 'manifest', 'canary', 'deny', 'poll']),
  manifest: new Set([...COMMON, 'epoch', 'staleGrace', 'hosts', 'blobs', 'undeny', 'anchorSets', 'revocations', 'ct']),
}

import { type JsonFailure, parseStrictJson } from '../encoding/json.ts'
import type { Issue } from '../errors/errors.ts'
import { raceSignal } from '../ports/signals.ts'

/** A schema of zod, Valibot, ArkType or any other library that speaks Standard Schema; it may be asynchronous. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult>
  }
}

type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * What of a value its schema refuses; nothing of the value itself. Messages of the library are left out: many print what they
 * got, and that may be a secret. Of zod, which says in fields of its own what it expected, those are told.
 *
 * @param part Where the value comes from: `body`, `query`. Paths begin with it.
 * @returns none where the schema is content, and one at least where it is not, where it fails or where it does not answer as one.
 * @throws the reason of the signal.
 * @see https://standardschema.dev
 */
export async function issuesOf(
  schema: StandardSchema,
  value: unknown,
  { part, signal }: { readonly part: string; readonly signal: AbortSignal | null },
): Promise<readonly Issue[]> {
  const standard = schema['~standard']
  try {
    const result = await raceSignal(Promise.resolve(standard.validate(value)), signal)
    return told(result, standard.vendor, value).map(({ keys, message }) => {
      return { path: [part, ...keys.slice(0, MAX_DEPTH).map(shown)].join('.'), message }
    })
  } catch {
    signal?.throwIfAborted()
    return [{ path: part, message: 'the schema failed' }]
  }
}

interface Told {
  readonly keys: readonly PropertyKey[]
  readonly message: string
}

function told(result: SchemaResult, vendor: string, value: unknown): readonly Told[] {
  if (result.issues === undefined) return 'value' in result ? [] : [{ keys: [], message: 'the schema gave no result' }]
  const issues = Array.from(result.issues).slice(0, MAX_ISSUES)
  if (issues.length === 0) return [{ keys: [], message: 'refused by its schema' }]
  return issues.map((issue) => {
    const keys = Array.from(issue.path ?? [], (step) => (typeof step === 'object' ? step.key : step))
    const expected = vendor === 'zod' ? expectedBy(issue as ZodIssue) : undefined
    const verdict = expected === undefined ? 'refused by its schema' : `expected ${expected}`
    return { keys, message: `${verdict}, got ${kindAt(value, keys)}` }
  })
}

export type Parsed = { readonly value: unknown } | { readonly issue: Issue }

/** JSON that means the same to every reader: a member that comes twice would be one thing to the schema and another to a server. */
export function jsonOf(bytes: Uint8Array): Parsed {
  const json = parseStrictJson(bytes, MAX_JSON_DEPTH)
  return json.ok ? { value: json.value } : { issue: { path: 'body', message: PROBLEMS[json.failure] } }
}

/** What zod's issues say of the schema. */
type ZodIssue = Readonly<Partial<Record<'code' | 'expected' | 'format' | 'minimum' | 'maximum', unknown>>>

function expectedBy({ code, expected, format, minimum, maximum }: ZodIssue): string | undefined {
  switch (code) {
    case 'invalid_type':
      return String(expected)
    case 'invalid_format':
      return `the format ${String(format)}`
    case 'too_small':
      return `at least ${String(minimum)}`
    case 'too_big':
      return `at most ${String(maximum)}`
    case 'invalid_value':
      return 'one of the values listed'
    case 'unrecognized_keys':
      return 'no other members'
    default:
      return undefined
  }
}

function kindAt(value: unknown, keys: readonly PropertyKey[]): string {
  let at = value
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return 'nothing'
    at = Reflect.get(at, key)
  }
  if (at === undefined) return 'nothing'
  if (at === null) return 'null'
  return Array.isArray(at) ? 'array' : typeof at
}

/** A name that a peer chose may be anything: a line break, a token, or the number of an account or a card. */
function shown(key: PropertyKey): string {
  return typeof key === 'number' || WORD.test(String(key)) ? String(key) : '*'
}

const WORD = /^(?!(?:.*\d){4})[A-Za-z0-9_$@-]{1,40}$/
const MAX_ISSUES = 20
const MAX_DEPTH = 32
const MAX_JSON_DEPTH = 100
const PROBLEMS: Readonly<Record<JsonFailure, string>> = {
  utf8: 'expected JSON in UTF-8 (RFC 8259 §8.1), got other bytes',
  json: 'expected JSON, got something else',
  duplicate: 'expected each member name once in an object, got one twice',
  depth: `expected at most ${MAX_JSON_DEPTH} levels, got more`,
}

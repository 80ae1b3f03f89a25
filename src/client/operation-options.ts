import * as z from 'zod'
import type { StandardSchema } from './operation-schema.ts'

/** One thing that an API can be asked for, and what may be sent and answered. What is left out is not judged. */
export interface Operation {
  /** For errors. Default: the method and the path. */
  readonly name?: string
  /** As `POST`. */
  readonly method: string
  /** Origin and path: `https://api.bank.com/payments/{id}`, where `{id}` stands for one segment. Literal paths come first. */
  readonly url: string
  /** Judges the segments in braces by name, decoded. */
  readonly params?: StandardSchema
  /** Judges the query by name: texts, and a list of them where a name comes several times. */
  readonly query?: StandardSchema
  /** Judges the header fields that the caller gave, by name in lower case. */
  readonly headers?: StandardSchema
  /**
   * Judges the body: JSON as parsed, a form by name, nothing as `undefined`. Other media types are refused. A stream is read
   * whole before it is sent.
   */
  readonly body?: StandardSchema
  /**
   * Judges a JSON body, read whole: one schema every success (2xx), or each status its own, `404`, `'4XX'` or `default`. Of
   * those that no schema names, successes are refused and others passed on.
   */
  readonly response?: StandardSchema | ResponseSchemas
  /**
   * Media types that a response may have, whatever its status: `application/json`, `image/*`. Default all; where a schema judges
   * the body, JSON alone. What is named here and is not JSON is passed on as it comes.
   */
  readonly contentTypes?: readonly string[]
  /** Default none; 1 MiB for a stream that a schema judges. */
  readonly maxRequestBytes?: number
  /** Of the decoded body. Default 1 MiB where a schema judges it, and else none but `limits.bodyBytes`. */
  readonly maxResponseBytes?: number
}

/** A schema by status, by class of statuses, or for all others: the most specific one judges. */
export interface ResponseSchemas {
  readonly [status: number]: StandardSchema
  readonly '2XX'?: StandardSchema
  readonly '3XX'?: StandardSchema
  readonly '4XX'?: StandardSchema
  readonly '5XX'?: StandardSchema
  readonly default?: StandardSchema
}

/** Operations, and what becomes of a request that is none of them. */
export interface OperationOptions {
  readonly list: readonly Operation[]
  /** What becomes of a request that is none of them, to whatever origin. Default `'reject'`. */
  readonly unlisted?: 'reject' | 'allow'
}

/** Operations alone, or with what becomes of all others. */
export type OperationOption = readonly Operation[] | OperationOptions
export type OperationRules = Required<OperationOptions>

const Schema = z.custom<StandardSchema>(
  isSchema,
  'expected a schema: of zod, or of another library that speaks Standard Schema',
)

function isSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value))
    return false
  const { version, vendor, validate } = value['~standard'] as Partial<StandardSchema['~standard']>
  return version === 1 && typeof vendor === 'string' && typeof validate === 'function'
}

const Responses = z
  .record(z.string().regex(/^(?:[2-5]\d\d|[2-5]XX|default)$/, 'expected a status, 2XX to 5XX or default'), Schema)
  .refine((schemas) => Object.keys(schemas).length > 0, 'expected a schema for a status at least')

const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

const OperationSchema = z.strictObject({
  name: z.string().min(1).max(100).exactOptional(),
  method: z.string().regex(/^[A-Z]+(-[A-Z]+)*$/, 'expected a method in capitals'),
  url: z.string(),
  params: Schema.exactOptional(),
  query: Schema.exactOptional(),
  headers: Schema.exactOptional(),
  body: Schema.exactOptional(),
  response: z
    .custom<StandardSchema | ResponseSchemas>(
      (value) => isSchema(value) || Responses.safeParse(value).success,
      'expected a schema, or schemas by status: 200, 4XX, default',
    )
    .transform((value) => (isSchema(value) ? value : { ...value })) // the caller's may change later
    .exactOptional(),
  contentTypes: z
    .array(z.string().regex(/^[a-z0-9!#$&^_.+-]+\/(?:[a-z0-9!#$&^_.+-]+|\*)$/, 'expected type/subtype or type/*'))
    .min(1)
    .exactOptional(),
  maxRequestBytes: bytes.exactOptional(),
  maxResponseBytes: bytes.exactOptional(),
})

const List = z.array(OperationSchema).min(1).max(1_000)

/** A list by itself stands for all that may be asked. */
export const OperationsSchema = z.preprocess(
  (option) => (Array.isArray(option) ? { list: option } : option),
  z.strictObject({ list: List, unlisted: z.enum(['reject', 'allow']).default('reject') }),
)

import type { Issue, PolicyError } from '../errors/errors.ts'
import { readWhole } from '../ports/read-whole.ts'
import { isJson, mediaType } from './media-type.ts'
import type { Match } from './operation-match.ts'
import { refusal } from './operation-refusal.ts'
import { issuesOf, jsonOf, type Parsed } from './operation-schema.ts'
import { type GivenRequest, repeatable } from './replay.ts'
import { isReplayable, openedAnew, replayable } from './replayable.ts'

export interface Judging {
  readonly url: URL
  readonly signal: AbortSignal | null
  /** Draws the boundary of a form. */
  readonly random: (length: number) => Uint8Array
}

/**
 * The request as it was judged: what the caller could still change while a schema is asked is fixed before. Schemas judge and
 * change nothing; what they transform is not sent.
 *
 * @throws PolicyError for what the operation does not allow; the reason of the signal.
 */
export async function judgedRequest(match: Match, given: GivenRequest, judging: Judging): Promise<GivenRequest> {
  const { operation, params } = match
  const { url, signal } = judging
  const input = given.input instanceof Request ? given.input : undefined
  const headers = new Headers(given.init.headers ?? input?.headers)
  const form = given.init.body instanceof FormData ? fieldsOf(given.init.body) : undefined
  const fixed = repeatable(given, judging.random).init
  const body = fixed.body ?? input?.body ?? null
  const host = url.host
  const refuse: Refuse = (code, problem, more) => refusal(code, problem, { operation, host, ...more })
  const sent = { input: input ?? url.href, init: { ...fixed, headers } }

  const issues: Issue[] = []
  const judge = async (part: 'params' | 'query' | 'headers' | 'body', value: () => unknown): Promise<void> => {
    const schema = operation[part]
    if (schema !== undefined) issues.push(...(await issuesOf(schema, value(), { part, signal })))
  }
  await judge('params', () => params)
  await judge('query', () => fieldsOf(url.searchParams))
  await judge('headers', () => Object.fromEntries(headers))
  if (operation.body !== undefined) {
    const content = await contentOf(body, { headers, host, signal, maxBytes: operation.maxRequestBytes, refuse })
    const parsed = parse(content, form)
    if (parsed === undefined) throw refuse('ERR_POLICY_CONTENT_TYPE', typeProblem(content.type))
    if ('issue' in parsed) issues.push(parsed.issue)
    else await judge('body', () => parsed.value)
    if (body !== null) sent.init.body = content.bytes
    if (content.type !== null) headers.set('content-type', content.type)
  } else if (body !== null && operation.maxRequestBytes !== undefined) {
    Object.assign(sent.init, bounded(body, { host, maxBytes: operation.maxRequestBytes, refuse }))
  }
  if (issues.length > 0) throw refuse('ERR_POLICY_REQUEST_INVALID', 'is not what its schemas expect', { issues })
  return sent
}

type Refuse = (
  code: 'ERR_POLICY_REQUEST_INVALID' | 'ERR_POLICY_CONTENT_TYPE' | 'ERR_POLICY_BODY_TOO_LARGE',
  problem: string,
  more?: { readonly issues?: readonly Issue[]; readonly isUnderWay?: true },
) => PolicyError

/** A name that comes several times has a list. */
function fieldsOf<Value>(entries: Iterable<readonly [string, Value]>): Record<string, Value | Value[]> {
  const fields = new Map<string, Value | Value[]>()
  for (const [name, value] of entries) {
    const known = fields.get(name)
    fields.set(name, known === undefined ? value : ([known, value].flat() as Value[]))
  }
  return Object.fromEntries(fields)
}

type Body = NonNullable<RequestInit['body']>

interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string | null
}

/** The body as it will be sent, and the type that it will have. */
async function contentOf(
  body: Body | null,
  reading: {
    readonly headers: Headers
    readonly host: string
    readonly signal: AbortSignal | null
    readonly maxBytes: number | undefined
    readonly refuse: Refuse
  },
): Promise<Content> {
  const { headers, host, signal, refuse } = reading
  const typeGiven = headers.get('content-type')
  if (body === null) return { bytes: new Uint8Array(), type: typeGiven }
  const isStream = body instanceof ReadableStream
  const { maxBytes = isStream ? MAX_STREAM_BYTES : Number.POSITIVE_INFINITY } = reading
  const read = isStream ? undefined : new Response(body)
  const stream = isStream ? (openedAnew(body, host) ?? body) : (read?.body ?? null)
  const bytes = await readWhole(stream, maxBytes, signal)
  if (bytes === undefined) throw refuse('ERR_POLICY_BODY_TOO_LARGE', tooLarge(maxBytes))
  return { bytes, type: typeGiven ?? read?.headers.get('content-type') ?? null }
}

/** `undefined` for a type that no schema can judge. */
function parse({ bytes, type }: Content, form: Record<string, unknown> | undefined): Parsed | undefined {
  if (bytes.length === 0) return { value: undefined }
  const essence = mediaType(type)
  if (isJson(essence)) return jsonOf(bytes)
  if (essence === 'application/x-www-form-urlencoded') {
    return { value: fieldsOf(new URLSearchParams(Buffer.from(bytes).toString())) }
  }
  return essence === 'multipart/form-data' && form !== undefined ? { value: form } : undefined
}

/** A body that no schema judges, and that is not read before it is sent. */
function bounded(
  body: Body,
  { host, maxBytes, refuse }: { readonly host: string; readonly maxBytes: number; readonly refuse: Refuse },
): RequestInit {
  if (!(body instanceof ReadableStream)) {
    if (sizeOf(body) > maxBytes) throw refuse('ERR_POLICY_BODY_TOO_LARGE', tooLarge(maxBytes))
    return {}
  }
  const counted = (stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> => {
    let size = 0
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        size += chunk.byteLength
        if (size > maxBytes) throw refuse('ERR_POLICY_BODY_TOO_LARGE', tooLarge(maxBytes), { isUnderWay: true })
        controller.enqueue(chunk)
      },
    })
    return stream.pipeThrough(count)
  }
  if (isReplayable(body)) return { body: replayable(() => counted(openedAnew(body, host) ?? body)) }
  return { body: counted(body), duplex: 'half' }
}

/** Of what `repeatable` leaves: a form is a Blob by then. */
function sizeOf(body: Exclude<Body, ReadableStream>): number {
  if (body instanceof Blob) return body.size
  return body instanceof ArrayBuffer || ArrayBuffer.isView(body) ? body.byteLength : Buffer.byteLength(String(body))
}

const tooLarge = (maxBytes: number): string => `has a body of more than ${maxBytes} bytes (maxRequestBytes)`

function typeProblem(type: string | null): string {
  const seen = mediaType(type)
  return `has a body of ${seen === undefined ? 'no media type' : `type ${seen}`}; its schema judges JSON and forms, so set Content-Type`
}

const MAX_STREAM_BYTES = 1_048_576

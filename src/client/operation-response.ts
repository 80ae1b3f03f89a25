import type { PolicyError } from '../errors/errors.ts'
import { readWhole } from '../ports/read-whole.ts'
import { requestFailure } from '../transport/failure.ts'
import { BodyStream, isDisturbed } from './body.ts'
import { isJson, mediaType } from './media-type.ts'
import type { Operation } from './operation-options.ts'
import { refusal } from './operation-refusal.ts'
import { issuesOf, jsonOf, type StandardSchema } from './operation-schema.ts'
import { discard } from './redirect.ts'
import { type Abandonable, endWhenAbandoned, markRedirected, type ReceivedBody, receivedResponse } from './response.ts'

export interface Asked {
  readonly method: string
  readonly url: URL
  readonly signal: AbortSignal | null
}

/**
 * The response once it was judged: one whose body a schema judged has the same bytes, there whole; another is the one that came,
 * or that with a bound.
 *
 * @throws PolicyError for what the operation does not allow; the server did act on the request. What the body fails with; the
 *   reason of the signal.
 */
export async function judgedResponse(operation: Operation, response: Response, asked: Asked): Promise<Response> {
  const { host } = asked.url
  const { status, headers } = response
  const refuse = (...[code, problem, issues]: Refusal): PolicyError =>
    refusal(code, problem, { operation, host, status, ...(issues && { issues }) })
  try {
    const schema = schemaFor(operation.response, response)
    if (schema === undefined && operation.response !== undefined && response.ok)
      throw refuse('ERR_POLICY_RESPONSE_INVALID', 'is a success that no schema describes')
    const hasBody = response.body !== null && headers.get('content-length') !== '0'
    const type = mediaType(headers.get('content-type'))
    if (hasBody && !isAllowed(type, operation.contentTypes ?? (schema && JSON_TYPES)))
      throw refuse('ERR_POLICY_CONTENT_TYPE', `is ${type ?? 'of no media type'}; ${expectedTypes(operation)}`)
    const isJudged = schema !== undefined && asked.method !== 'HEAD' && (!hasBody || isJson(type))
    return isJudged
      ? await judged(response, schema, { ...asked, operation, hasBody, refuse })
      : bounded(response, operation.maxResponseBytes, refuse)
  } catch (error) {
    await discard(response)
    throw requestFailure(error, host)
  }
}

type Refusal = [
  code: 'ERR_POLICY_RESPONSE_INVALID' | 'ERR_POLICY_CONTENT_TYPE' | 'ERR_POLICY_BODY_TOO_LARGE',
  problem: string,
  issues?: PolicyError['issues'],
]
type Refuse = (...refusal: Refusal) => PolicyError

/** Its own status, then its class, then the default. */
function schemaFor(schemas: Operation['response'], { ok, status }: Response): StandardSchema | undefined {
  if (schemas === undefined) return undefined
  if ('~standard' in schemas) return ok ? (schemas as StandardSchema) : undefined
  const named = schemas as Readonly<Record<string, StandardSchema>>
  const own = [String(status), `${Math.trunc(status / 100)}XX`, 'default'].find((name) => Object.hasOwn(named, name))
  return own === undefined ? undefined : named[own]
}

function isAllowed(type: string | undefined, allowed: readonly string[] | undefined): boolean {
  if (allowed === undefined) return true
  if (type === undefined) return false
  if (allowed === JSON_TYPES) return isJson(type)
  return allowed.includes(type) || allowed.includes(`${type.split('/')[0]}/*`)
}

function expectedTypes({ contentTypes }: Operation): string {
  return contentTypes === undefined
    ? 'expected JSON, which its schema can judge, or a type that contentTypes names'
    : `expected ${contentTypes.join(', ')} (contentTypes)`
}

async function judged(
  response: Response,
  schema: StandardSchema,
  {
    operation,
    signal,
    hasBody,
    refuse,
  }: Asked & { readonly operation: Operation; readonly hasBody: boolean; readonly refuse: Refuse },
): Promise<Response> {
  const { maxResponseBytes: maxBytes = MAX_JSON_BYTES } = operation
  const { body } = response
  const bytes = hasBody && body !== null ? await readWhole(body, maxBytes, signal) : undefined
  if (hasBody && bytes === undefined) throw refuse('ERR_POLICY_BODY_TOO_LARGE', tooLarge(maxBytes))
  const parsed = bytes === undefined ? { value: undefined } : jsonOf(bytes)
  const issues = 'issue' in parsed ? [parsed.issue] : await issuesOf(schema, parsed.value, { part: 'body', signal })
  if (issues.length > 0) throw refuse('ERR_POLICY_RESPONSE_INVALID', 'is not what its schema expects', issues)
  return bytes === undefined ? response : withBody(response, wholeBody(bytes))
}

/** HTTP itself holds a body to its Content-Length, which counts it as encoded. */
function bounded(response: Response, maxBytes: number | undefined, refuse: Refuse): Response {
  const { body, headers } = response
  if (maxBytes === undefined || body === null) return response
  const length = headers.has('content-encoding') ? null : headers.get('content-length')
  const refusal = (): PolicyError => refuse('ERR_POLICY_BODY_TOO_LARGE', tooLarge(maxBytes))
  if (length !== null && Number(length) > maxBytes) throw refusal()
  if (length !== null && Number(length) <= maxBytes) return response
  const own = counted(body, maxBytes, refusal)
  const limited = withBody(response, own.stream)
  endWhenAbandoned(limited, own)
  return limited
}

const tooLarge = (maxBytes: number): string => `has a body of more than ${maxBytes} bytes (maxResponseBytes)`

function withBody(response: Response, body: ReceivedBody | ReadableStream<Uint8Array>): Response {
  const { url, status, statusText, headers, redirected } = response
  const own = receivedResponse(body, { url, status, statusText, headers: [...headers] }, headers)
  if (redirected) markRedirected(own)
  return own
}

function wholeBody(bytes: Uint8Array): BodyStream {
  const nothing = (): void => undefined
  const body = new BodyStream({ pause: nothing, resume: nothing, cancel: nothing }, nothing)
  body.push(bytes)
  body.end()
  return body
}

function counted(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  refusal: () => PolicyError,
): Abandonable & { readonly stream: ReadableStream<Uint8Array> } {
  const reader = body.getReader()
  let abandon: Abandonable['abandon'] = () => undefined
  let size = 0
  const stream: ReadableStream<Uint8Array> = new ReadableStream({
    type: 'bytes',
    start: (controller) => {
      abandon = (reason) => {
        controller.error(reason)
        reader.cancel(reason).catch(() => undefined)
      }
    },
    pull: async (controller) => {
      const { done, value } = await reader.read()
      if (done) {
        controller.close()
        controller.byobRequest?.respond(0)
        return
      }
      size += value.length
      if (size <= maxBytes) return controller.enqueue(value)
      const error = refusal()
      reader.cancel(error).catch(() => undefined)
      throw error
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return { stream, isBegun: () => stream.locked || isDisturbed(stream), abandon: (reason) => abandon(reason) }
}

const JSON_TYPES: readonly string[] = ['application/json', 'application/*+json']
const MAX_JSON_BYTES = 1_048_576

import { ConfigurationError, VerifyError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import type { BodyCheck, Inspection, ReceivedHead, SentRequest } from '../transport/inspection.ts'
import { type FieldLine, fieldLines, type RequestMessage, type ResponseMessage } from './message.ts'
import { requestBinding } from './request-binding.ts'
import type { Requirement } from './verify-coverage.ts'
import { bodyVerifier, type DigestRule } from './verify-digest.ts'
import { isSigned, type Refuse, type VerifyPolicy, verifyMessage } from './verify-message.ts'

/** Of a response that nothing is known of yet. */
export interface UnverifiedHead {
  readonly url: string
  readonly method: string
  readonly status: number
  readonly headers: Headers
}

export interface ResponseRules {
  readonly policy: VerifyPolicy
  readonly required: readonly Requirement[]
  readonly require: 'always' | 'if-present' | ((response: UnverifiedHead) => boolean)
  readonly bindRequest: boolean | 'signature'
  readonly digest: DigestRule
  readonly body: 'hold' | 'stream'
  readonly maxHeldBytes: number
}

/** The rules, applied to the response to one request. */
export function inspectResponse(
  sent: SentRequest,
  rules: ResponseRules,
  { runtime, emit }: { readonly runtime: Runtime; readonly emit: Emit },
): Inspection {
  const { authority: host, method } = sent
  const request = requestOf(sent)
  const refuse = refusalBy(host)
  const isBodiless = (status: number): boolean => method === 'HEAD' || status === 304
  const refused = (error: unknown): unknown => {
    if (error instanceof VerifyError) emit({ type: 'verify.result', host, outcome: 'refused', code: error.code })
    return error
  }
  const told = <T>(run: () => T): T => {
    try {
      return run()
    } catch (error) {
      throw refused(error)
    }
  }
  const hold = (bytes: number): void => {
    if (bytes <= rules.maxHeldBytes) return
    const most = `expected a body of at most ${rules.maxHeldBytes} bytes, to be held until it is verified (maxHeldBytes)`
    throw refuse('ERR_VERIFY_BODY_TOO_LARGE', most)
  }
  const begin = (head: ReceivedHead): 'pass' | 'hold' | 'stream' => {
    const message = responseOf(head, request)
    if (isSigned(message)) {
      if (rules.body === 'hold' && !isBodiless(head.status)) hold(announcedBytes(message.fields))
      return rules.body
    }
    if (mustBeSigned(message, { request, require: rules.require, host }))
      throw refuse('ERR_VERIFY_MISSING', 'expected a signed response, there is no signature')
    emit({ type: 'verify.result', host, outcome: 'unsigned' })
    return 'pass'
  }
  const judge = async (head: ReceivedHead, trailers: readonly Buffer[]): Promise<BodyCheck> => {
    const message = { ...responseOf(head, request), trailers: fieldLines(latin1(trailers)) }
    const required = [...rules.required, ...requestBinding(request, rules.bindRequest)]
    const context = { now: runtime.clock.now(), required, refuse }
    const { components, keyId } = await inTime(verifyMessage(message, rules.policy, context), runtime, refuse)
    const { fields } = message
    const isEmpty = isBodiless(head.status)
    const isPartial = head.status === 206
    const body = bodyVerifier({ fields, components, rule: rules.digest, isBodiless: isEmpty, isPartial, refuse })
    return {
      update: (chunk) => told(() => body.update(chunk)),
      end: () => {
        told(() => body.end())
        emit({ type: 'verify.result', host, outcome: 'verified', keyId })
      },
    }
  }
  return {
    begin: (head) => told(() => begin(head)),
    hold: (bytes) => told(() => hold(bytes)),
    judge: (head, trailers) => judge(head, trailers).catch((error) => Promise.reject(refused(error))),
  }
}

const refusalBy =
  (host: string): Refuse =>
  (code, what, cause) =>
    new VerifyError(code, `${host}: ${what}`, { host, requestSent: 'yes', cause })

function requestOf({ authority, method, path, headers }: SentRequest): RequestMessage {
  return { kind: 'request', method, url: `https://${authority}${path}`, fields: fieldLines(headers) }
}

function responseOf({ status, fields }: ReceivedHead, request: RequestMessage): ResponseMessage {
  return { kind: 'response', status, fields: fieldLines(latin1(fields)), request }
}

const latin1 = (raw: readonly Buffer[]): string[] => raw.map((octets) => octets.toString('latin1'))

function announcedBytes(fields: readonly FieldLine[]): number {
  const length = fields.find(([name]) => name === 'content-length')?.[1]
  return length === undefined ? 0 : Number(length)
}

/** What the application's function throws must not pass for a no. */
function mustBeSigned({ status, fields }: ResponseMessage, { request, require, host }: Asked): boolean {
  if (typeof require !== 'function') return require === 'always'
  const { url, method } = request
  try {
    const headers = new Headers(fields.map(([name, value]) => [name, value]))
    return require(Object.freeze({ url, method, status, headers })) !== false
  } catch (error) {
    const details = { host, requestSent: 'yes', cause: scrub(error) } as const
    throw new ConfigurationError('ERR_CONFIG_INVALID', `${host}: verifyResponses.require failed`, details)
  }
}

interface Asked extends Pick<ResponseRules, 'require'> {
  readonly request: RequestMessage
  readonly host: string
}

/** The deadlines of the exchange are about the peer, and it is not the peer who is waited for. */
async function inTime<T>(verifying: Promise<T>, { schedule }: Runtime, refuse: Refuse): Promise<T> {
  const late = new AbortController()
  const what = `whether the signature is right could not be told within ${VERIFYING_MS} ms`
  const cancel = schedule(VERIFYING_MS, () => late.abort(refuse('ERR_VERIFY_KEYS_UNAVAILABLE', what)))
  try {
    return await raceSignal(verifying, late.signal)
  } finally {
    cancel()
  }
}

const VERIFYING_MS = 15_000 // a key set may take 5,000 of them

import { SignError } from '../errors/errors.ts'
import { readSignatures } from '../signing/signature-fields.ts'
import type { SignableRequest } from '../signing/signing.ts'
import type { CallTime } from '../transport/call.ts'
import { eachHeader } from '../transport/request-headers.ts'

type AtDispatch = NonNullable<CallTime['atDispatch']>
type Options = Parameters<AtDispatch>[0]

/**
 * Compares what was signed with what the dispatcher is given: a fetch that somebody patched, or an interceptor, may have changed
 * it on the way, and the signature would be one of another request. Method, target and body have to be the same, and so has every
 * field that a signature covers.
 *
 * @param isCovered By name in lower case.
 * @throws SignError `ERR_SIGN_STALE`
 */
export function dispatchCheck(signed: SignableRequest, isCovered: (name: string) => boolean, host: string): AtDispatch {
  const target = signed.url.slice(signed.origin.length)
  const stale = (what: string): SignError => {
    const message = `${host}: ${what} is not what was signed: something changed it on the way; nothing was sent`
    return new SignError('ERR_SIGN_STALE', message, { host })
  }
  return (options) => {
    if (options.method !== signed.method) throw stale('the method')
    if (String(options.origin) !== signed.origin) throw stale('the origin')
    // Some runtimes leave an empty query out.
    if (options.path !== target && `${options.path}?` !== target) throw stale('the path or the query')
    const given = fieldsOf(options)
    for (const [name, value] of signed.fields) {
      if ((isCovered(name) || name === 'content-length') && given.get(name) !== value)
        throw stale(`the header field ${name}`)
    }
    const body = checkedBody(signed, options, () => stale('the body'))
    return { ...options, path: target, body } as Options
  }
}

/** Of signatures by RFC 9421 the fields that they cover; `undefined` where they cannot be read. */
export function coveredFields(signed: SignableRequest): ReadonlySet<string> | undefined {
  try {
    const signatures = [...readSignatures(signed.fields).values()]
    return new Set(signatures.flatMap(({ components }) => components.map(({ name }) => name)))
  } catch {
    return undefined
  }
}

function fieldsOf({ headers }: Options): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  eachHeader(headers, (name, value) => {
    const lower = name.toLowerCase()
    const before = fields.get(lower)
    fields.set(lower, before === undefined ? String(value) : `${before}, ${String(value)}`)
  })
  return fields
}

/** The runtime's fetch gives an iterable even of bytes: what goes in its place are those that were signed. */
function checkedBody({ body: signed }: SignableRequest, { body }: Options, stale: () => SignError): Options['body'] {
  if (signed.kind === 'stream') return body as Options['body']
  const expected = signed.kind === 'bytes' ? signed.bytes : NOTHING
  const isThere = body !== null && body !== undefined
  if (isThere !== (signed.kind === 'bytes')) throw stale()
  if ((typeof body === 'string' || body instanceof Uint8Array) && Buffer.compare(Buffer.from(body), expected) !== 0)
    throw stale()
  return isThere ? expected : (body as Options['body'])
}

const NOTHING = new Uint8Array()

import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import * as z from 'zod'
import { encodeBase64Url } from '../encoding/base64.ts'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { SignError } from '../errors/errors.ts'
import { REDACTED } from '../keys/secret.ts'
import {
  isSecretSource,
  openSecret,
  type SecretSource,
  type SecretVersion,
  SOURCE_EXPECTED,
} from '../keys/secret-source.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { signsFor } from './allowed-origins.ts'
import { type FieldLine, wireParts } from './message.ts'
import type { BoundSigner, RequestPatch, RequestSigner, SignableRequest, SigningHost } from './signing.ts'

/** How a partner makes a signature of a request: which text is signed, and where the signature stands. */
export interface HmacTemplate {
  /** As messages name it. */
  readonly name: string
  /** Lower case: the header fields that `apply` sets. */
  readonly headers: readonly string[]
  /** `ignored` where nothing of the body is signed: then it may be a stream. Default `bytes`. */
  readonly body?: 'ignored' | 'bytes'
  /** Default `sha256`. */
  readonly hash?: 'sha256' | 'sha512'
  readonly encode: 'hex' | 'base64'
  /**
   * What is signed; text as UTF-8, several pieces one after the other. Put a separator between values that could hold it nowhere
   * else: two requests with the same text have the same signature.
   */
  readonly canonical: (parts: CanonicalParts) => Signed | readonly Signed[]
  /** Where the signature goes. */
  readonly apply: (signature: string, parts: CanonicalParts) => RequestPatch
  /**
   * The key of a secret that is written in some other way. Default: its bytes.
   *
   * @throws KeyError
   */
  readonly keyOf?: (secret: Uint8Array) => Uint8Array
}

export type Signed = string | Uint8Array

/** What a template can use of a message, whichever end has it. */
export interface MessageParts {
  /** When it was signed. Most partners write it in seconds: `Math.floor(at / 1_000)`. */
  readonly at: UnixMs
  /** The value of a header field; several lines are joined by commas, and without one it is `undefined`. */
  readonly header: (name: string) => string | undefined
  /** The exact bytes on the wire; empty where there are none. */
  readonly body: Uint8Array
}

export interface CanonicalParts extends MessageParts {
  readonly method: string
  /** Absolute, without a fragment. */
  readonly url: string
  readonly path: string
  /** As it stands on the wire, without its `?`. */
  readonly query: string
  /** Of the body. */
  readonly digest: (algorithm: 'sha256' | 'sha512') => Buffer
  /** 128 random bits as base64url, the same for `canonical` and `apply`, others for every attempt. */
  readonly nonce: string
}

/** A signature by shared secret, as a template describes it. */
export interface HmacTemplateOptions {
  readonly template: HmacTemplate
  readonly key: SecretSource
  /** As `https://api.example`; requests to others are not signed. Default: all that the client reaches. */
  readonly allowedOrigins?: readonly string[]
  /** How much of a stream is read into memory to be signed. Default 0: a stream is refused. */
  readonly maxBufferBytes?: number
}

/**
 * Signs requests with a shared secret, in the way of a partner. `stripeWebhook`, `githubWebhook` and `standardWebhook` are ready.
 *
 * @throws ConfigurationError
 *
 * @example
 * hmacTemplate({
 *   key: { file: '/run/secrets/exchange' },
 *   template: {
 *     name: 'exchange', headers: [], encode: 'hex',
 *     canonical: ({ query, at, body }) => [`${query}&timestamp=${at}`, body],
 *     apply: (signature, { at }) => ({ query: `timestamp=${at}&signature=${signature}` }),
 *   },
 * })
 */
export function hmacTemplate(options: HmacTemplateOptions): RequestSigner {
  const { template, key, allowedOrigins, maxBufferBytes } = parseOptions('hmacTemplate', Options, options)
  const { name, headers, body = 'bytes' } = template
  return Object.freeze({
    name,
    headers: Object.freeze([...headers]),
    body,
    ...(maxBufferBytes === undefined ? {} : { maxBufferBytes }),
    bind: (host) => signsFor(allowedOrigins, boundSigner({ template, key }, host)),
    toJSON: () => ({ name, headers, key: REDACTED }),
  } satisfies RequestSigner & { toJSON: () => unknown })
}

function boundSigner({ template, key }: Pick<HmacTemplateOptions, 'template' | 'key'>, host: SigningHost): BoundSigner {
  const { runtime, emit, clockOffset } = host
  const secret = openSecret(key, { name: `${template.name} secret`, runtime, emit })
  const keys = createKeys(template)
  const patch = (request: SignableRequest, held: SecretVersion): RequestPatch => {
    const at = toUnixMs(runtime.clock.now() + clockOffset(request.origin))
    const parts = partsOf(request, { at, random: runtime.random, template })
    return template.apply(hmacOf(template, keys(held), parts).toString(template.encode), parts)
  }
  return {
    sign: (request, { signal }) => {
      const held = secret.current()
      return held instanceof Promise
        ? raceSignal(held, signal).then((version) => patch(request, version))
        : patch(request, held)
    },
    close: secret.close,
  }
}

/** @param parts All of `CanonicalParts` but where the template asks for fewer. */
export function hmacOf<Parts>(template: SigningHalf<Parts>, key: KeyObject, parts: Parts): Buffer {
  const hmac = createHmac(template.hash ?? 'sha256', key)
  for (const piece of [template.canonical(parts)].flat()) hmac.update(piece)
  return hmac.digest()
}

/** A key is read once for each version of its secret. */
export function createKeys({ keyOf }: Pick<HmacTemplate, 'keyOf'>): (version: SecretVersion) => KeyObject {
  const keys = new WeakMap<SecretVersion, KeyObject>()
  return (version) => {
    const known = keys.get(version)
    if (known !== undefined) return known
    const bytes = version.secret.revealBytes()
    const key = createSecretKey(keyOf === undefined ? bytes : keyOf(bytes))
    keys.set(version, key)
    return key
  }
}

export type SigningHalf<Parts> = Pick<HmacTemplate, 'hash'> & {
  readonly canonical: (parts: Parts) => Signed | readonly Signed[]
}

function partsOf({ method, url, fields, body }: SignableRequest, { at, random, template }: Making): CanonicalParts {
  if (body.kind === 'stream' && template.body !== 'ignored') {
    const message = `${template.name}: expected a body in memory, saw a stream, which cannot be read before it is sent`
    throw new SignError('ERR_SIGN_BODY_UNHASHABLE', message)
  }
  const { path, query } = wireParts(url)
  let nonce: string | undefined
  return {
    at,
    method,
    url,
    path,
    query,
    header: headerOf(fields),
    body: body.kind === 'bytes' ? body.bytes : NOTHING,
    digest: body.kind === 'bytes' ? body.digest : digestOfNothing,
    get nonce() {
      nonce ??= encodeBase64Url(random(NONCE_BYTES))
      return nonce
    },
  }
}

export function headerOf(fields: readonly FieldLine[]): MessageParts['header'] {
  return (wanted) => {
    let combined: string | undefined
    for (const [name, value] of fields)
      if (name === wanted.toLowerCase()) combined = combined === undefined ? value : `${combined}, ${value}`
    return combined
  }
}

interface Making {
  readonly at: UnixMs
  readonly random: SigningHost['runtime']['random']
  readonly template: HmacTemplate
}

const digestOfNothing = (algorithm: 'sha256' | 'sha512'): Buffer => createHash(algorithm).digest()

const NOTHING = new Uint8Array()
const NONCE_BYTES = 16

export const call = z.custom<(...given: never[]) => unknown>(
  (value) => typeof value === 'function',
  'expected a function',
)

/** Also those of `verifyWebhooks`. */
export const TemplateShape = {
  name: z.string().min(1).max(100),
  headers: z.array(z.string().regex(/^[!#$%&'*+.^_`|~0-9a-z-]{1,100}$/, 'expected the name of a header in lower case')),
  body: z.enum(['ignored', 'bytes']).optional(),
  hash: z.enum(['sha256', 'sha512']).optional(),
  encode: z.enum(['hex', 'base64']),
  canonical: call,
  apply: call,
  keyOf: call.optional(),
}
export const Source = z.custom<SecretSource>(isSecretSource, SOURCE_EXPECTED)

const Options = z.strictObject({
  template: z
    .strictObject({ ...TemplateShape, read: call.optional() })
    .transform((template) => template as unknown as HmacTemplate),
  key: Source,
  allowedOrigins: AllowedOrigins.optional(),
  maxBufferBytes: z.int().min(0).optional(),
})

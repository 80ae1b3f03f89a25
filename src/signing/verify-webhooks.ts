import { type KeyObject, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { VerifyError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { ClientEvent } from '../events/events.ts'
import { openSecret, type SecretSource } from '../keys/secret-source.ts'
import { type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { call, createKeys, headerOf, hmacOf, type MessageParts, Source, TemplateShape } from './hmac-template.ts'
import type { NonceStore } from './nonce-store.ts'
import { type FetchRequest, type NodeRequest, receivedRequest } from './received-request.ts'
import { NoncesSchema, RuntimeSchema } from './verify-options.ts'
import type { ReadWebhook, WebhookTemplate } from './webhook-templates.ts'

/** Which webhooks are verified, and with which secret. */
export interface VerifyWebhooksOptions {
  /** `stripeWebhook`, `githubWebhook` or `standardWebhook`. */
  readonly template: WebhookTemplate
  /** After a rotation the secret before is accepted for five minutes more, or until it ends. */
  readonly key: SecretSource
  /** How far the time of a message may be from now, on either side. Default 300. */
  readonly toleranceSec?: number
  /** Refuses a message that comes a second time, within the tolerance; afterwards its time does. One without a time is refused. */
  readonly nonces?: NonceStore
  /** Hears of rotations of the secret, and of those that failed. */
  readonly onEvent?: (event: ClientEvent) => void
  readonly runtime?: Runtime
}

/** The receiver of webhooks. */
export interface WebhookVerifier {
  /**
   * @param body All of it, as it was received, before anything is decoded or parsed.
   * @throws VerifyError; KeyError where the secret cannot be had.
   */
  readonly verify: (request: NodeRequest | FetchRequest, body: Uint8Array) => Promise<VerifiedWebhook>
  /** Follows the secret no longer. */
  readonly close: () => void
}

/** A webhook that was what its sender sent. */
export interface VerifiedWebhook {
  /** `undefined` where the template does not say. */
  readonly signedAt: UnixMs | undefined
}

/**
 * The receiving half of a webhook: whether a message is one of the sender, and of now. Answer 400 or 401 to what it refuses.
 *
 * @throws ConfigurationError, KeyError
 */
export function verifyWebhooks(options: VerifyWebhooksOptions): WebhookVerifier {
  const read = parseOptions('verifyWebhooks', Options, options)
  const { template, key, toleranceSec = 300, nonces, onEvent = () => undefined, runtime = systemRuntime } = read
  const secret = openSecret(key, { name: `${template.name} secret`, runtime, emit: onEvent })
  const keys = createKeys(template)
  const refuse: Refuse = (code, what, cause) => new VerifyError(code, `${template.name}: ${what}`, { cause })

  return Object.freeze({
    verify: async (request, body) => {
      const { fields } = receivedRequest(request, ANY_ORIGIN)
      const header = headerOf(fields)
      const now = runtime.clock.now()
      const { atSec, signatures } = readHead(template, { header, refuse })
      if (atSec !== undefined && Math.abs(now / 1_000 - atSec) > toleranceSec)
        throw refuse('ERR_VERIFY_TIME', `expected a time within ${toleranceSec} seconds of now, saw ${atSec}`)
      const at = toUnixMs((atSec ?? 0) * 1_000)
      const held = await secret.current()
      const versions = [held, secret.previous()].filter((one) => one !== undefined)
      const signature = matching(template, { keys: versions.map(keys), parts: { at, header, body }, signatures })
      if (signature === undefined) throw refuse('ERR_VERIFY_FAILED', 'no signature is one of the secret')
      if (nonces !== undefined) {
        if (atSec === undefined)
          throw refuse('ERR_VERIFY_TIME', 'expected a time, without which nothing is kept to compare')
        const until = toUnixMs(at + (toleranceSec + 1) * 1_000)
        await claim(nonces, { keyId: template.name, nonce: signature.toString('base64url'), until, now }, refuse)
      }
      return Object.freeze({ signedAt: atSec === undefined ? undefined : at })
    },
    close: secret.close,
  } satisfies WebhookVerifier)
}

type Refuse = (code: VerifyError['code'], what: string, cause?: unknown) => VerifyError

function readHead(
  template: WebhookTemplate,
  { header, refuse }: { readonly header: MessageParts['header']; readonly refuse: Refuse },
): ReadWebhook {
  const name = template.headers.at(-1) ?? ''
  const value = header(name)
  if (value === undefined) throw refuse('ERR_VERIFY_MISSING', `expected a signature in ${name}, saw none`)
  const read = value.length > MAX_LENGTH ? undefined : template.read(value, header)
  if (read === undefined || read.signatures.length === 0 || read.signatures.length > MAX_SIGNATURES)
    throw refuse('ERR_VERIFY_MALFORMED', `expected ${name} and its fields as senders write them, saw something else`)
  return read
}

/** The signature that is right, whichever key made it. Takes as long whatever is wrong with one that has the right length. */
function matching(template: WebhookTemplate, { keys, parts, signatures }: Candidates): Buffer | undefined {
  const given = signatures.map((text) => Buffer.from(text))
  for (const key of keys) {
    const signature = hmacOf(template, key, parts)
    const expected = Buffer.from(signature.toString(template.encode)) // a decoder would take several texts for it
    if (given.some((one) => one.length === expected.length && timingSafeEqual(one, expected))) return signature
  }
  return undefined
}

interface Candidates {
  readonly keys: readonly KeyObject[]
  readonly parts: MessageParts
  readonly signatures: readonly string[]
}

async function claim(nonces: NonceStore, seen: Parameters<NonceStore['claim']>[0], refuse: Refuse): Promise<void> {
  let isNew: boolean
  try {
    isNew = (await nonces.claim(seen)) === true
  } catch (error) {
    throw refuse('ERR_VERIFY_NONCES_UNAVAILABLE', 'nobody can tell whether it was seen before', scrub(error))
  }
  if (!isNew) throw refuse('ERR_VERIFY_REPLAY', 'the message was seen before')
}

const ANY_ORIGIN = 'https://webhook.invalid' // none of the templates covers where it was sent
const MAX_LENGTH = 8_192
const MAX_SIGNATURES = 20
const NO_HEADER = 'expected the header field of the signature'

const Options = z.strictObject({
  template: z
    .strictObject({ ...TemplateShape, headers: TemplateShape.headers.min(1, NO_HEADER), read: call })
    .transform((template) => template as unknown as WebhookTemplate),
  key: Source,
  toleranceSec: z.int().min(1).max(86_400).optional(),
  nonces: NoncesSchema.optional(),
  onEvent: z
    .custom<(event: ClientEvent) => void>((value) => typeof value === 'function', 'expected a function')
    .optional(),
  runtime: RuntimeSchema.optional(),
})

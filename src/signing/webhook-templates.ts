import { SignError } from '../errors/errors.ts'
import { webhookKeyOf } from '../keys/webhook-key.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { HmacTemplate, MessageParts, Signed } from './hmac-template.ts'

/** A template that the other end can read as well: `hmacTemplate` sends by it, `verifyWebhooks` receives. */
export interface WebhookTemplate extends HmacTemplate {
  readonly canonical: (parts: MessageParts) => Signed | readonly Signed[]
  /**
   * What a message says of its signatures, read as strictly as it is written: `undefined` for what is malformed.
   *
   * @param value Of the header field that `headers` names last.
   */
  readonly read: (value: string, header: MessageParts['header']) => ReadWebhook | undefined
}

/** What the header fields of a webhook say. */
export interface ReadWebhook {
  /** As they stand there, in the encoding of the template. Several while a secret is changed. */
  readonly signatures: readonly string[]
  /** When it was signed, in Unix seconds; `undefined` where the template does not say. */
  readonly atSec: number | undefined
}

/** `Stripe-Signature: t=1492774577,v1=5257a869…`, over the time and the body. */
export const stripeWebhook: WebhookTemplate = Object.freeze({
  name: 'stripeWebhook',
  headers: ['stripe-signature'],
  encode: 'hex',
  canonical: ({ at, body }) => [`${secondsOf(at)}.`, body],
  apply: (signature, { at }) => ({ headers: { 'stripe-signature': `t=${secondsOf(at)},v1=${signature}` } }),
  read: (value) => {
    const members = value.split(',').map((member) => member.split(/=(.*)/s))
    const times = members.filter(([name]) => name === 't').map(([, text]) => text)
    const atSec = times.length === 1 ? readSeconds(times[0]) : undefined
    if (atSec === undefined) return undefined
    return { atSec, signatures: members.flatMap(([name, text = '']) => (name === 'v1' ? [text] : [])) }
  },
} satisfies WebhookTemplate)

/**
 * `X-Hub-Signature-256: sha256=757107ea…`, over the body alone: it says neither when nor for whom, so whoever has a message can
 * send it again.
 */
export const githubWebhook: WebhookTemplate = Object.freeze({
  name: 'githubWebhook',
  headers: ['x-hub-signature-256'],
  encode: 'hex',
  canonical: ({ body }) => body,
  apply: (signature) => ({ headers: { 'x-hub-signature-256': `sha256=${signature}` } }),
  read: (value) =>
    value.startsWith('sha256=') ? { atSec: undefined, signatures: [value.slice('sha256='.length)] } : undefined,
} satisfies WebhookTemplate)

/**
 * `webhook-signature: v1,g0hM9SsE…`, over `webhook-id`, which the caller sets and which stays the same when a message is sent
 * again, the time and the body. The secret is `whsec_` and base64.
 *
 * @see https://www.standardwebhooks.com
 */
export const standardWebhook: WebhookTemplate = Object.freeze({
  name: 'standardWebhook',
  headers: ['webhook-timestamp', 'webhook-signature'],
  encode: 'base64',
  canonical: ({ at, header, body }) => [`${idOf(header)}.${secondsOf(at)}.`, body],
  apply: (signature, { at }) => ({
    headers: { 'webhook-timestamp': String(secondsOf(at)), 'webhook-signature': `v1,${signature}` },
  }),
  read: (value, header) => {
    const atSec = readSeconds(header('webhook-timestamp'))
    if (atSec === undefined || !ID.test(header('webhook-id') ?? '')) return undefined
    const signatures = value.split(' ').flatMap((one) => (one.startsWith('v1,') ? [one.slice('v1,'.length)] : []))
    return { atSec, signatures }
  },
  keyOf: webhookKeyOf,
} satisfies WebhookTemplate)

/** A full stop in it would move the border to the time: two messages would have one text. */
function idOf(header: MessageParts['header']): string {
  const id = header('webhook-id')
  if (id !== undefined && ID.test(id)) return id
  const problem = id === undefined ? 'saw none' : 'saw another text'
  const message = `standardWebhook: expected webhook-id, up to 256 visible characters but full stops; ${problem}`
  throw new SignError(id === undefined ? 'ERR_SIGN_COMPONENT_MISSING' : 'ERR_SIGN_COMPONENT_INVALID', message)
}

/** Without leading zeros and signs: what was signed is the text, and it has to come out the same. */
const readSeconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^[1-9]\d{0,11}$/.test(text) ? Number(text) : undefined

const secondsOf = (at: UnixMs): number => Math.floor(at / 1_000)

const ID = /^[\x21-\x2d\x2f-\x7e]{1,256}$/

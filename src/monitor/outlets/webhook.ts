import { createHmac } from 'node:crypto'
import * as z from 'zod'
import { encodeBase64Url } from '../../encoding/base64.ts'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import { parseOptions } from '../../encoding/options.ts'
import { CODES } from '../../errors/codes.ts'
import type { ClientEvent } from '../../events/events.ts'
import { isSecretSource, openSecret, type SecretSource, SOURCE_EXPECTED } from '../../keys/secret-source.ts'
import { webhookKeyOf } from '../../keys/webhook-key.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Outlet } from './delivery.ts'
import { post } from './http.ts'
import { type Meaning, meaningOf } from './meaning.ts'
import {
  CollectorUrl,
  carry,
  checkRoad,
  Fetch,
  hostOf,
  type OutletOptions,
  OutletShape,
  tellerOf,
  type Watched,
} from './outlet.ts'
import type { ToldEvent } from './record.ts'

/** Who is told, and with which secret (Standard Webhooks). */
export interface WebhookOptions extends OutletOptions {
  /** https. */
  readonly url: string
  /** `whsec_` and base64, as Standard Webhooks has it. After a rotation both secrets sign for a while. */
  readonly secret: SecretSource
  /** Of a client with a policy of its own. */
  readonly fetch: typeof globalThis.fetch
  /** The same is told once within it: same type, host and code. Default ten minutes. */
  readonly quietMs?: number
}

/** What a receiver reads. `repeated`: how often it happened since it was last told. */
export interface WebhookMessage {
  readonly type: ClientEvent['type']
  /** RFC 3339. */
  readonly timestamp: string
  readonly data: {
    readonly title: string
    readonly severity: string
    readonly host?: string
    readonly code?: string
    readonly means?: string
    readonly todo?: string
    readonly explain?: string
    readonly repeated: number
  }
}

/**
 * Calls somebody: one small signed message for each alarm, of which `verifyWebhooks` with `standardWebhook` is the receiving half.
 * Another attempt has the same `webhook-id`, so that a receiver counts it once.
 *
 * @throws ConfigurationError, KeyError
 */
export function webhook(client: Watched, options: WebhookOptions): Outlet {
  const { url, fetch, secret, quietMs = QUIET_MS, ...rest } = parseOptions('webhook', Options, options)
  checkRoad('webhook', client, fetch)
  const { runtime = systemRuntime } = rest
  const held = openSecret(secret, { name: 'webhook secret', runtime, emit: tellerOf(client) })
  const alarms = createAlarms(quietMs)

  const signed = async (id: string, body: string): Promise<Record<string, string>> => {
    const timestamp = String(Math.floor(runtime.clock.now() / 1_000))
    const versions = [await held.current(), held.previous()].filter((one) => one !== undefined)
    const signatures = versions.map((version) =>
      createHmac('sha256', webhookKeyOf(version.secret.revealBytes())).update(`${id}.${timestamp}.${body}`),
    )
    return {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': signatures.map((hmac) => `v1,${hmac.digest('base64')}`).join(' '),
    }
  }

  return carry<Alarm, { readonly id: string; readonly body: string }>(client, rest, {
    name: `webhook ${new URL(url).origin}`,
    host: hostOf(url),
    wanted: ALARMS,
    select: alarms,
    batchSize: 1,
    prepare: ([alarm]) => {
      if (alarm === undefined) return undefined
      return { id: `msg_${encodeBase64Url(runtime.random(ID_BYTES))}`, body: JSON.stringify(messageOf(alarm)) }
    },
    deliver: async ({ id, body }, signal) => post(fetch, url, { body, headers: await signed(id, body), signal }),
    dispose: held.close,
  })
}

function messageOf({ event, at, meaning, repeated }: Alarm): WebhookMessage {
  const { title, severity, host, code } = meaning
  const advice = code && { code, means: CODES[code].about, todo: CODES[code].fix, explain: `pinfetch explain ${code}` }
  const data = { title, severity, ...(host === undefined ? {} : { host }), ...advice, repeated }
  return { type: event.type, timestamp: new Date(at).toISOString(), data }
}

interface Alarm extends ToldEvent {
  readonly meaning: Meaning
  readonly repeated: number
}

/** What is told, and how often it was kept quiet before. Decided before anything waits: a flood leaves room for what is new. */
function createAlarms(quietMs: number): (told: ToldEvent) => Alarm | undefined {
  const known = new BoundedMap<string, { readonly toldAt: number; quiet: number }>(MAX_KNOWN)
  return ({ event, at }) => {
    const meaning = meaningOf(event)
    if (meaning === undefined) return undefined
    const key = JSON.stringify([event.type, meaning.host, meaning.code, meaning.title])
    const last = known.get(key)
    if (last !== undefined && at >= last.toldAt && at - last.toldAt < quietMs) {
      last.quiet += 1
      return undefined
    }
    known.set(key, { toldAt: at, quiet: 0 })
    return { event, at, meaning, repeated: last?.quiet ?? 0 }
  }
}

/** What somebody is woken for. */
const ALARMS: readonly ClientEvent['type'][] = [
  'tls.rejected',
  'tls.interception',
  'tls.retired',
  'ct.unexpected',
  'verify.result',
  'containment.begun',
  'containment.ended',
  'manifest.rejected',
  'manifest.security',
  'manifest.expired',
  'manifest.wouldBreak',
  'token.reauthRequired',
]

const QUIET_MS = 600_000
const ID_BYTES = 16
const MAX_KNOWN = 1_000

const Options = z.strictObject({
  ...OutletShape,
  url: CollectorUrl,
  fetch: Fetch,
  secret: z.custom<SecretSource>(isSecretSource, SOURCE_EXPECTED),
  quietMs: z.int().min(0).max(86_400_000).optional(),
})

/** No secret, and no piece of one, in any event, channel message, trace, span or metric, whatever servers do with it. */
import { createHash } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import * as fc from 'fast-check'
import type { ClientEvent } from 'pinfetch'
import { apiKey, localSigner, oauth } from 'pinfetch/auth'
import { instrument } from 'pinfetch/otel'
import { generateKey, type TestHandler } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { CHANNELS, channelsOf } from '../../src/monitor/channels.ts'
import { otelStage } from '../otel/stage.ts'
import { answerJson, authStage, oauthAt } from '../support/auth-stage.ts'

const PIECE = 12

/** Every piece of twelve characters of a secret, as it is and in every coding that it may take on its way. */
function piecesOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  const shifted = [0, 1, 2].map((from) => bytes.subarray(from)) // base64 of what follows one or two other octets
  const forms = [
    secret,
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...shifted.flatMap((part) => [part.toString('base64'), part.toString('base64url')]),
  ]
  return forms.flatMap((form) =>
    Array.from({ length: Math.max(0, form.length - PIECE + 1) }, (_, at) => form.slice(at, at + PIECE)),
  )
}

function leaksIn(texts: readonly string[], pieces: ReadonlySet<string>): readonly string[] {
  const found = new Set<string>()
  for (const text of texts) {
    for (let at = 0; at + PIECE <= text.length; at += 1) {
      const piece = text.slice(at, at + PIECE)
      if (pieces.has(piece)) found.add(`${piece} in ${text.slice(Math.max(0, at - 80), at + 80)}`)
    }
  }
  return [...found]
}

/** Everything in a value that can be read, octets as text and as hexadecimal too. */
function textsOf(value: unknown): readonly string[] {
  const octets: string[] = []
  const seen = new Set<unknown>()
  const walk = (one: unknown): void => {
    if (typeof one !== 'object' || one === null || seen.has(one)) return
    seen.add(one)
    if (one instanceof Uint8Array) octets.push(Buffer.from(one).toString('latin1'), Buffer.from(one).toString('hex'))
    else for (const { value: inner } of Object.values(Object.getOwnPropertyDescriptors(one))) walk(inner)
  }
  walk(value)
  return [
    inspect(value, {
      depth: 12,
      showHidden: true,
      maxArrayLength: null,
      maxStringLength: null,
      breakLength: Number.POSITIVE_INFINITY,
    }),
    ...octets,
  ]
}

const KINDS = [
  'access',
  'refresh',
  'rotated',
  'client',
  'api-key',
  'cookie',
  'set-cookie',
  'body',
  'answer',
  'query',
  'path',
] as const
type Kind = (typeof KINDS)[number]

/** Long, unlike each other, and in the alphabets that secrets have. */
function secretsOf(seed: number): Readonly<Record<Kind, string>> {
  const entries = KINDS.map((kind, at) => {
    const digest = createHash('sha512').update(`${seed} ${kind}`).digest()
    const coded =
      [digest.toString('base64url'), digest.toString('hex'), `sk_live+${digest.toString('base64')}`][(seed + at) % 3] ??
      ''
    const isPart = kind === 'path' || kind === 'cookie' || kind === 'set-cookie'
    return [kind, (isPart ? digest.toString('base64url') : coded).slice(0, 24 + ((seed + at) % 40))] as const
  })
  return Object.fromEntries(entries) as Record<Kind, string>
}

/** What a server may do with what it was sent. */
const API = ['answers', 'rejects', 'wants scope', 'wants step-up', 'redirects', 'cuts', 'fails'] as const
const TOKEN = ['issues', 'rotates', 'repeats as scope', 'repeats as error', 'cuts'] as const

const EXAMPLES: readonly (readonly [(typeof API)[number], (typeof TOKEN)[number]])[] = [
  ['answers', 'rotates'],
  ['rejects', 'repeats as scope'],
  ['wants scope', 'issues'],
  ['wants step-up', 'issues'],
  ['redirects', 'issues'],
  ['cuts', 'rotates'],
  ['fails', 'issues'],
  ['answers', 'repeats as error'],
]

const quoted = (text: string): string => text.replaceAll(/["\\]/g, '').slice(0, 4_000)

function api(mode: (typeof API)[number], secrets: Readonly<Record<Kind, string>>): TestHandler {
  return ({ rawHeaders, headers }, response) => {
    const all = quoted(rawHeaders.join(' '))
    const own = quoted(String(headers['authorization'] ?? headers['x-api-key']).replace(/^\w+ /, ''))
    const challenge = (text: string): string => `DPoP ${text}, Bearer ${text}`
    if (mode === 'cuts') return void response.socket?.destroy()
    response.setHeader('x-repeated', own)
    if (mode === 'rejects')
      response.writeHead(401, { 'www-authenticate': challenge(`error="invalid_token", error_description="${all}"`) })
    if (mode === 'wants scope')
      response.writeHead(403, { 'www-authenticate': challenge(`error="insufficient_scope", scope="${own}"`) })
    if (mode === 'wants step-up') {
      const asked = `error="insufficient_user_authentication", acr_values="${own}", max_age="60"`
      response.writeHead(401, { 'www-authenticate': challenge(asked) })
    }
    if (mode === 'redirects')
      response.writeHead(302, { location: `/elsewhere/${encodeURIComponent(own)}?q=${encodeURIComponent(own)}` })
    if (mode === 'fails') response.writeHead(503, { 'retry-after': '0' })
    response.end(`${secrets.answer} ${all}`)
  }
}

function authority(mode: (typeof TOKEN)[number], secrets: Readonly<Record<Kind, string>>): TestHandler {
  let count = 0
  return ({ body }, response) => {
    count += 1
    const form = Buffer.from(body).toString()
    if (mode === 'cuts') return void response.socket?.destroy()
    if (mode === 'repeats as error')
      return answerJson(response, { error: 'invalid_request', error_description: form, error_uri: form }, 400)
    answerJson(response, {
      access_token: `${secrets.access}${count}`,
      token_type: 'DPoP',
      expires_in: 3600,
      scope: mode === 'repeats as scope' ? `read ${secrets.refresh} ${secrets.access}${count}` : 'read',
      ...(mode === 'rotates' && { refresh_token: `${secrets.rotated}${count}` }),
    })
  }
}

/** Everything that comes out of this process’s clients, as text. */
function everyChannel(texts: string[]): void {
  const names = (Object.keys(CHANNELS) as ClientEvent['type'][]).flatMap((type) => channelsOf(type))
  const traces = ['request', 'connect', 'manifest.refresh', 'token.refresh'].flatMap((name) =>
    ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((step) => `tracing:pinfetch.${name}:${step}`),
  )
  for (const name of new Set([...names, ...traces])) {
    const listener = (message: unknown): void => void texts.push(...textsOf(message))
    subscribe(name, listener)
    onTestFinished(() => void unsubscribe(name, listener))
  }
}

test('a planted secret is found: whole, in pieces, coded, and in octets', () => {
  const { access } = secretsOf(1)
  const pieces = new Set(piecesOf(access))
  const coded = Buffer.from(`xx${access}`).toString('base64')
  for (const planted of [access, access.slice(3, 17), coded, Buffer.from(access).toString('hex')])
    expect(leaksIn(textsOf({ deep: { er: [`a ${planted} b`] } }), pieces)).not.toEqual([])
  expect(leaksIn(textsOf({ bytes: new TextEncoder().encode(access) }), pieces)).not.toEqual([])
  expect(leaksIn(textsOf({ deep: access.slice(0, 11) }), pieces)).toEqual([])
})

test('no secret comes out, whatever the API and the authorization server do', async () => {
  const texts: string[] = []
  everyChannel(texts)
  const modes = fc.record({ seed: fc.nat(), api: fc.constantFrom(...API), token: fc.constantFrom(...TOKEN) })
  let told = 0
  await fc.assert(
    fc.asyncProperty(modes, async ({ seed, api: apiMode, token: tokenMode }) => {
      const secrets = secretsOf(seed)
      const key = generateKey()
      const { d = '' } = key.privateKey.export({ format: 'jwk' })
      const otel = otelStage()
      const stage = await authStage({
        schemes: ({ api, server, other }) => [
          oauth(
            oauthAt(server, api, {
              client: {
                id: 'client-1',
                authentication: { method: 'client_secret_post', secret: { value: secrets.client } },
              },
              grant: { type: 'refresh_token', initial: { value: secrets.refresh } },
              senderConstraint: { dpop: { signer: localSigner(key.privateKey) } },
            }),
          ),
          apiKey({ header: 'x-api-key', source: { value: secrets['api-key'] }, allowedOrigins: [other] }),
        ],
        judge: false,
        handler: (request, response, message) => {
          response.setHeader('set-cookie', `session=${secrets['set-cookie']}`)
          api(apiMode, secrets)(request, response, message)
        },
        token: authority(tokenMode, secrets),
        client: { retry: { maxAttempts: 2, baseMs: 1 }, redirect: 'same-origin' },
      })
      const { tracerProvider, meterProvider } = otel
      const instrumentation = instrument(stage.client, { tracerProvider, meterProvider })
      const ask = (url: string): Promise<unknown> =>
        stage.client
          .fetch(url, {
            method: 'POST',
            headers: { cookie: `a=${secrets.cookie}`, 'idempotency-key': secrets.query },
            body: secrets.body,
          })
          .then((response) => response.text())
          .catch(() => undefined)
      for (let time = 0; time < 2; time += 1) {
        await ask(stage.url(`/v1/${secrets.path}?q=${encodeURIComponent(secrets.query)}`))
        await ask(`https://other.example.com:${stage.api.port}/v1/${secrets.path}`)
      }
      await stage.client.destroy()
      instrumentation.close()
      const proofs = [...stage.api.requests, ...stage.server.requests].flatMap(({ headers }) => headers['dpop'] ?? [])
      const pieces = new Set([...Object.values(secrets), ...proofs.flat(), d].flatMap(piecesOf))
      const spans = otel.spans
        .getFinishedSpans()
        .map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))
      const out = [
        ...texts.splice(0),
        ...stage.events.flatMap(textsOf),
        ...textsOf(spans),
        ...textsOf(await otel.metrics()),
      ]
      told += out.length
      expect(stage.events.length).toBeGreaterThan(3)
      expect(spans.length).toBeGreaterThan(1)
      expect(leaksIn(out, pieces)).toEqual([])
      await Promise.all([stage.api.close(), stage.server.close()])
    }),
    {
      numRuns: EXAMPLES.length + 3,
      examples: EXAMPLES.map(([apiMode, token], seed) => [{ seed, api: apiMode, token }]),
    },
  )
  expect(told).toBeGreaterThan(1_000)
}, 180_000)

import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientEvent, EventOf } from 'pinfetch'
import { oauth } from 'pinfetch/auth'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { Request as NpmRequest } from 'undici'
import { expect, onTestFinished, test, vi } from 'vitest'
import { placeOf } from '../../scripts/docs/markers.ts'
import { createEmitter } from '../../src/events/emitter.ts'
import { CHANNELS, channelsOf, processChannels } from '../../src/monitor/channels.ts'
import { authStage, oauthAt } from '../support/auth-stage.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { startTestPins } from '../support/pins.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })
const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')

function heard(name: string): readonly unknown[] {
  const messages: unknown[] = []
  const listener = (message: unknown): void => void messages.push(message)
  subscribe(name, listener)
  onTestFinished(() => void unsubscribe(name, listener))
  return messages
}

async function started(pin = pinned.pin) {
  const server = await until(startTlsServer({ identity: pinned }))
  const client = testClient({ pins: { [HOST]: [pin] }, anchors: ca.anchorPem })
  return { client, server, url: `https://${HOST}:${server.port}/v1/4711?key=value` }
}

test('a message is the event, for every client of the process', async () => {
  const [validated, exchanged] = [heard('pinfetch:tls:validated'), heard('pinfetch:http:exchanged')]
  const clients = [await started(), await started()]
  for (const { client, url } of clients) await (await client.fetch(url)).text()
  await expect.poll(() => exchanged.length).toBe(2)
  const hosts = clients.map(({ server }) => `${HOST}:${server.port}`)
  expect(validated.map((event) => (event as EventOf<'tls.handshake'>).host)).toEqual(hosts)
  expect(validated[0]).toMatchObject({ type: 'tls.handshake', outcome: 'accepted' })
})

test('ERR_TRUST_PIN_MISMATCH comes on pinfetch:tls:rejected, and as what was validated', async () => {
  const [rejected, validated] = [heard('pinfetch:tls:rejected'), heard('pinfetch:tls:validated')]
  const { client, url } = await started(ca.issue({ names: [HOST] }).pin)
  await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  expect(rejected).toMatchObject([{ type: 'tls.rejected', code: 'ERR_TRUST_PIN_MISMATCH' }])
  expect(validated).toMatchObject([{ type: 'tls.handshake', outcome: 'refused' }])
})

test('one member of an event may choose its channel', () => {
  const { emit } = createEmitter(processChannels)
  const told = ['refreshed', 'failed', 'reuse', 'ended'].map((name) => heard(`pinfetch:auth:${name}`))
  const renewal = { type: 'token.refresh', trigger: 'first', waiters: 1, ms: 1 } as const
  const events = [
    { ...renewal, result: 'renewed' },
    { ...renewal, result: 'failed', code: 'ERR_AUTH_TOKEN_TIMEOUT' },
    { type: 'token.reauthRequired', reason: 'lost_rotation' },
    { type: 'token.reauthRequired', reason: 'revoked' },
  ] as const
  for (const event of events) emit(event)
  expect(told).toEqual(events.map((event) => [event]))
})

test('a channel with a subscriber is a listener, so that what is dear to find out is found out', () => {
  const { hasListeners, emit } = createEmitter(processChannels)
  expect(hasListeners('tls.handshake')).toBe(false)
  const publish = vi.spyOn(channel('pinfetch:posture:found'), 'publish')
  emit({ type: 'posture', subject: 'a', effect: 'b' })
  expect(publish).not.toHaveBeenCalled()
  const listener = (): void => {}
  subscribe('pinfetch:tls:failed', listener)
  expect(hasListeners('tls.handshake')).toBe(true)
  expect(hasListeners('tls.rejected')).toBe(false)
  unsubscribe('pinfetch:tls:failed', listener)
  expect(hasListeners('tls.handshake')).toBe(false)
})

test('a request is traced from its start to the head of its answer, and so is its connection', async () => {
  const steps: string[] = []
  const contexts = new Set<object>()
  for (const name of ['request', 'connect'] as const) {
    const subscribers = Object.fromEntries(
      ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((step) => [
        step,
        (context: object) => {
          steps.push(`${name} ${step}`)
          contexts.add(context)
        },
      ]),
    ) as never
    tracingChannel(`pinfetch.${name}`).subscribe(subscribers)
    onTestFinished(() => void tracingChannel(`pinfetch.${name}`).unsubscribe(subscribers))
  }
  const { client, url, server } = await started()
  await (await client.fetch(url, { method: 'DELETE' })).text()
  expect(steps.filter((step) => step.startsWith('request'))).toEqual(
    ['start', 'end', 'asyncStart', 'asyncEnd'].map((step) => `request ${step}`),
  )
  expect(steps.indexOf('connect start')).toBeLessThan(steps.indexOf('connect asyncEnd'))
  expect(steps.indexOf('connect asyncEnd')).toBeLessThan(steps.indexOf('request asyncEnd'))
  const [request, connect, ...others] = [...contexts]
  expect(others).toEqual([])
  const shown = `https://${HOST}:${server.port}/v1/*`
  expect(request).toEqual({ client, method: 'DELETE', url: shown, setHeader: expect.any(Function), status: 200 })
  expect(connect).toEqual({ host: `${HOST}:${server.port}` })
})

test('a poll of the manifest is traced with its result, one that fails with its code', async () => {
  const [started, ended] = ['start', 'asyncEnd'].map((step) => heard(`tracing:pinfetch.manifest.refresh:${step}`))
  const pins = await startTestPins({ ca, name: 'pins.example', hosts: { [HOST]: [pinned.pin, ca.issuer.pin] } })
  const client = testClient({ manifest: pins.manifest, anchors: ca.anchorPem })
  await client.ready()
  await expect.poll(() => ended).toEqual([{ result: 'changed' }])
  await pins.server.close()
  await refusalOf(client.manifest.refresh(), 'ERR_MANIFEST_FETCH_NETWORK')
  expect(ended?.slice(1)).toMatchObject([{ result: 'failed', code: 'ERR_MANIFEST_FETCH_NETWORK' }])
  expect(started).toEqual(ended)
})

test('a renewal of a token is traced, and publishes no token', async () => {
  const ended = heard('tracing:pinfetch.token.refresh:asyncEnd')
  const stage = await authStage({ schemes: ({ api, server }) => oauth(oauthAt(server, api)) })
  await (await stage.client.fetch(stage.url())).text()
  expect(ended).toEqual([{ trigger: 'first' }])
})

test('a failure is traced with its code, and an abort of the caller’s without its reason', async () => {
  const failed = heard('tracing:pinfetch.request:error') as { code?: string; error?: unknown }[]
  const { client, url } = await started(ca.issue({ names: [HOST] }).pin)
  const refusal = await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_MISMATCH')
  await client.fetch(url, { signal: AbortSignal.abort('a reason of the caller') }).catch(() => undefined)
  await client.fetch('no url').catch(() => undefined)
  expect(failed.map(({ code }) => code)).toEqual(['ERR_TRUST_PIN_MISMATCH', 'aborted', 'ERR_CONFIG_URL'])
  expect(failed[0]?.error).toBe(refusal)
  expect(failed[1]).not.toHaveProperty('error')
})

/** A subscriber that adds two fields to every request. */
function adding(): void {
  const add = (request: unknown): void => {
    const { setHeader } = request as { setHeader: (name: string, value: string) => void }
    for (const name of ['x-added', 'x-own']) setHeader(name, 'added')
  }
  subscribe('tracing:pinfetch.request:start', add)
  onTestFinished(() => void unsubscribe('tracing:pinfetch.request:start', add))
}

test('where fields are added, a bad value is refused as without them: ERR_POLICY_HEADER_INVALID, and nothing is printed of it', async () => {
  adding()
  const { client, url, server } = await started()
  const secret = 'canary-8d1f\r\nx-evil: 1'
  for (const headers of [
    { authorization: secret },
    [['authorization', secret]],
    new Map([['authorization', secret]]),
  ]) {
    const error = await refusalOf(
      client.fetch(url, { headers: headers as [string, string][] }),
      'ERR_POLICY_HEADER_INVALID',
    )
    expect(error.message).not.toContain('canary')
  }
  expect(server.requests).toEqual([])
})

test('what is added at the start goes with the request, and contradicts nothing that the caller says', async () => {
  adding()
  const { client, url, server } = await started()
  await client.fetch(url, { headers: { 'x-own': 'own' } })
  await client.fetch(new Request(url, { headers: { 'x-own': 'own' } }))
  expect(server.requests.map(({ headers }) => [headers['x-added'], headers['x-own']])).toEqual([
    ['added', 'own'],
    ['added', 'own'],
  ])
})

test.each<
  [string, (url: string, init: { method: string; headers: Record<string, string> }) => Parameters<typeof fetch>]
>([
  ['a Request of the npm package', (url, init) => [new NpmRequest(url, init) as unknown as Request]],
  ['a Request as the second argument', (url, init) => [url, new Request(url, init)]],
  ['one of the npm package as the second argument', (url, init) => [url, new NpmRequest(url, init) as never]],
  ['members that are inherited', (url, init) => [url, Object.create(init) as RequestInit]],
])('what is added at the start takes nothing away: %s', async (_, given) => {
  adding()
  const told = heard('tracing:pinfetch.request:asyncEnd')
  const { client, url, server } = await started()
  await client.fetch(...given(url, { method: 'PUT', headers: { 'x-own': 'own', 'x-other': 'other' } }))
  expect(server.requests).toMatchObject([
    { method: 'PUT', headers: { 'x-added': 'added', 'x-own': 'own', 'x-other': 'other' } },
  ])
  expect(told).toMatchObject([{ method: 'PUT', url: `https://${HOST}:${server.port}/v1/*`, status: 200 }])
})

test('an input that throws where it is read rejects, with a subscriber as without', async () => {
  const problem = new Error('of the caller')
  const hostile = {
    toString: () => {
      throw problem
    },
  } as unknown as string
  const { client } = await started()
  await expect(client.fetch(hostile)).rejects.toBe(problem)
  adding()
  let answer: Promise<Response> | undefined
  expect(() => {
    answer = client.fetch(hostile)
  }).not.toThrow()
  await expect(answer).rejects.toBe(problem)
})

test('every channel stands in the README, and no other', () => {
  const rows = new Map<string, string[]>()
  for (const type of Object.keys(CHANNELS) as ClientEvent['type'][]) {
    for (const name of channelsOf(type)) {
      const [, noun = '', verb = ''] = name.split(':')
      rows.set(noun, [...(rows.get(noun) ?? []), `${verb} (${type})`])
    }
  }
  const table = [...rows].map(([noun, cells]) => `| \`pinfetch:${noun}:\` | ${cells.join(' · ')} |`)
  const [, , ...shown] = placeOf(README, 'channels').table.trimEnd().split('\n')
  expect(shown).toEqual(table)
})

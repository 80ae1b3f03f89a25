import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type TLSSocket } from 'node:tls'
import type { ClientEvent } from 'pinfetch'
import { apiKey, oauth } from 'pinfetch/auth'
import * as monitor from 'pinfetch/monitor'
import {
  captureEvidence,
  collectEvidence,
  createEventSink,
  logTo,
  type Outlet,
  toFile,
  toHttp,
  toSyslog,
  validationLog,
  violationReports,
  webhook,
} from 'pinfetch/monitor'
import { standardWebhook, verifyWebhooks } from 'pinfetch/signing'
import { certificatePem, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { CHANNELS } from '../../src/monitor/channels.ts'
import { ocsfProblems, otlpProblems } from '../monitor/outlets/golden.ts'
import { oauthAt } from '../support/auth-stage.ts'
import { refusalOf, testClient, until } from '../support/client.ts'

const [API, COLLECTOR, SERVER] = ['api.example.com', 'siem.example.com', 'as.example.com'] as const
const ca = testCa()
const rogue = testCa({ name: 'Rogue' })
const anchors = [ca.anchorPem, rogue.anchorPem]
const genuine = ca.issue({ names: [API, SERVER] })
const collecting = ca.issue({ names: [COLLECTOR] })
const patience = { timeout: 20_000 }

/** A collector behind TLS, and the client that reaches it: its pins are its own. */
async function collector(status = 200) {
  const server = await until(
    startTlsServer({
      identity: collecting,
      handler: (_, response) => void (status > 0 && response.writeHead(status).end()),
    }),
  )
  const client = testClient({ pins: { [COLLECTOR]: [collecting.pin] }, anchors })
  const texts = (): readonly string[] => server.requests.map(({ body }) => Buffer.from(body).toString())
  return { server, client, url: `https://${COLLECTOR}:${server.port}/in`, texts }
}

function ending<One extends Outlet>(outlet: One): One {
  onTestFinished(() => outlet.close())
  return outlet
}

test('an interception is told of at once, reaches the SIEM and wakes somebody: one detection, one message', async () => {
  const attacker = await until(startTlsServer({ identity: rogue.issue({ names: [API] }) }))
  const client = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const [siem, pager] = [await collector(), await collector()]
  const secret = { value: `whsec_${randomBytes(32).toString('base64')}` }
  ending(toHttp(client, { url: siem.url, fetch: siem.client.fetch }))
  ending(webhook(client, { url: pager.url, fetch: pager.client.fetch, secret }))
  const told: ClientEvent[] = []
  client.on('tls.rejected', (event) => void told.push(event))

  await refusalOf(client.fetch(`https://${API}:${attacker.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  expect(told.length).toBe(1) // before the caller had the error
  await vi.waitUntil(() => pager.server.requests.length > 0, { timeout: 5_000 })
  await vi.waitUntil(() => siem.texts().join('').includes('"class_uid":2004'), patience)

  const { verify, close } = verifyWebhooks({ template: standardWebhook, key: secret })
  onTestFinished(close)
  const [message] = pager.server.requests
  if (message === undefined) throw new Error('none')
  await verify({ method: 'POST', url: '/in', rawHeaders: message.rawHeaders }, message.body)
  expect(JSON.parse(pager.texts()[0] ?? '')).toMatchObject({ data: { code: 'ERR_TRUST_PIN_MISMATCH' } })
  const records = siem.texts().flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
  )
  expect(records.flatMap((record) => ocsfProblems(record))).toEqual([])
  expect(records.filter((record) => (record as { class_uid: number }).class_uid === 2004).length).toBe(1)
  expect(records).toContainEqual(
    expect.objectContaining({ class_uid: 4001, activity_name: 'Fail', disposition: 'Blocked' }),
  )
  expect(pager.server.requests.length).toBe(1)
})

test('a collector of OpenTelemetry gets the refused peer as a request of logs', async () => {
  const attacker = await until(startTlsServer({ identity: rogue.issue({ names: [API] }) }))
  const client = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const { client: own, server, url, texts } = await collector()
  ending(toHttp(client, { url: new URL('/v1/logs', url).href, fetch: own.fetch, format: 'otlp' }))
  await refusalOf(client.fetch(`https://${API}:${attacker.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await vi.waitUntil(() => texts().join('').includes('"pinfetch.tls.rejected"'), patience)
  const [request] = server.requests
  expect([request?.path, request?.headers['content-type']]).toEqual(['/v1/logs', 'application/json'])
  expect(texts().flatMap((text) => otlpProblems(JSON.parse(text) as object))).toEqual([])
})

test('a violated pin is reported to the operator of the host, over a client that trusts the collector', async () => {
  const attacker = await until(startTlsServer({ identity: rogue.issue({ names: [API] }) }))
  const client = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const { client: own, url, texts } = await collector()
  ending(violationReports(client, { url, fetch: own.fetch }))
  for (let time = 0; time < 3; time += 1)
    await refusalOf(client.fetch(`https://${API}:${attacker.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await vi.waitUntil(() => texts().length === 1, patience)
  expect(JSON.parse(texts()[0] ?? '')).toMatchObject({
    hostname: API,
    port: attacker.port,
    'known-pins': [genuine.pin.replace(/^sha256\/(.*)$/, 'pin-sha256="$1"')],
    'served-certificate-chain': expect.arrayContaining([expect.stringContaining('BEGIN CERTIFICATE')]),
  })
})

test('syslog over TLS goes through the pins of another client', async () => {
  const received: Buffer[] = []
  const tls = createServer(
    { key: collecting.keyPem, cert: collecting.chain.map(certificatePem).join('') },
    (socket: TLSSocket) => void socket.on('data', (chunk) => void received.push(chunk)).on('error', () => undefined),
  )
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void tls.close())
  const { port } = tls.address() as AddressInfo
  const server = await until(startTlsServer({ identity: genuine }))
  const client = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const own = testClient({ pins: { [COLLECTOR]: [collecting.pin] }, anchors })
  ending(toSyslog(client, { to: { protocol: 'tls', host: COLLECTOR, port, connect: own.connect } }))
  expect((await client.fetch(`https://${API}:${server.port}/`)).status).toBe(200)
  await vi.waitUntil(() => Buffer.concat(received).includes('tls.handshake'), patience)
  expect(String(Buffer.concat(received))).toMatch(/^\d+ <\d+>1 \d{4}-.* CEF:0\|pinfetch\|/)

  const misled = testClient({ pins: { [COLLECTOR]: [genuine.pin] }, anchors })
  const other = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const told: ClientEvent[] = []
  other.on('outlet.failed', (event) => void told.push(event))
  const before = Buffer.concat(received).length
  ending(toSyslog(other, { to: { protocol: 'tls', host: COLLECTOR, port, connect: misled.connect } }))
  expect((await other.fetch(`https://${API}:${server.port}/`)).status).toBe(200)
  await vi.waitUntil(() => told.length > 0, patience)
  expect(told).toMatchObject([{ message: expect.stringContaining(COLLECTOR) }])
  expect(Buffer.concat(received).length).toBe(before)
}, 60_000)

test('collectors that refuse, hang or are not there, and a file that takes nothing, change no answer', async () => {
  const server = await until(startTlsServer({ identity: genuine }))
  const client = testClient({ pins: { [API]: [genuine.pin] }, anchors })
  const [hanging, failing] = [await collector(0), await collector(500)]
  const told = new Set<string>()
  client.on('outlet.failed', ({ outlet }) => void told.add(outlet))
  const outlets = [
    toHttp(client, { url: hanging.url, fetch: hanging.client.fetch, name: 'hanging', capacity: 3 }),
    toHttp(client, { url: failing.url, fetch: failing.client.fetch, name: 'failing' }),
    toSyslog(client, { to: { protocol: 'tcp', host: '127.0.0.1', port: 1 }, name: 'absent' }),
    toFile(client, { path: '/dev/full', name: 'none' }),
  ]
  const statuses: number[] = []
  for (let time = 0; time < 20; time += 1) {
    const response = await client.fetch(`https://${API}:${server.port}/`, { headers: { connection: 'close' } })
    statuses.push(response.status)
    await response.text()
    if (time % 5 === 0) await client.fetch(`https://other.example.com:${server.port}/`).catch(() => undefined)
  }
  expect(new Set(statuses)).toEqual(new Set([200]))
  await vi.waitUntil(() => ['failing', 'absent', 'none'].every((name) => told.has(name)), patience)
  await Promise.all([...outlets.map((outlet) => outlet.close()), hanging.server.close()])
}, 60_000)

/** What of `pinfetch/monitor` carries nothing of a client anywhere. */
const NO_OUTLETS = [
  ...['cefLine', 'ecsRecord', 'leefLine', 'ocsfRecord', 'otlpLogRecord'], // the records of the outlets
  ...['readTile', 'verifyTile', 'verifyEvidence', 'verifyLog'], // readers
  ...['certSpotter', 'checkIssuances', 'crtSh', 'rfc6962Log', 'staticLog', 'watchIssuances'], // of what others publish
  'watchBypasses', // hears of no event, and tells a host and a way
]

test('every outlet that there is takes part in the search for secrets', () => {
  const outlets = [
    ...[captureEvidence, collectEvidence, createEventSink, logTo, toFile, toHttp, toSyslog],
    ...[validationLog, violationReports, webhook],
  ].map(({ name }) => name)
  const exported = Object.entries(monitor).flatMap(([name, one]) => (typeof one === 'function' ? [name] : []))
  expect(exported.sort()).toEqual([...outlets, ...NO_OUTLETS].sort())
  const [, search = ''] = readFileSync(import.meta.filename, 'utf8').split(/^test\('no secret that is in play/m)
  expect(outlets.filter((name) => !search.includes(`${name}(`))).toEqual([])
})

test('no secret that is in play stands in any record of any outlet', async () => {
  const canaries = Object.fromEntries(
    ['key', 'body', 'answer', 'cookie', 'query', 'client', 'hook', 'access'].map((name) => [
      name,
      `canary-${name}-${randomBytes(18).toString('hex')}`,
    ]),
  ) as Record<'key' | 'body' | 'answer' | 'cookie' | 'query' | 'client' | 'hook' | 'access', string>
  const server = await until(
    startTlsServer({
      identity: genuine,
      handler: ({ path }, response) => {
        if (path === '/token')
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ access_token: canaries.access, token_type: 'Bearer', expires_in: 3600 }))
        else
          response
            .writeHead(path === '/refuse' ? 401 : 200, { 'set-cookie': `sid=${canaries.cookie}` })
            .end(canaries.answer)
      },
    }),
  )
  const attacker = await until(startTlsServer({ identity: rogue.issue({ names: [API] }) }))
  const [api, as] = [`https://${API}:${server.port}`, `https://${SERVER}:${server.port}`]
  const client = testClient({
    pins: { [API]: [genuine.pin], [SERVER]: [genuine.pin] },
    anchors,
    auth: oauth(
      oauthAt(as, api, {
        client: {
          id: 'client-1',
          authentication: { method: 'client_secret_post', secret: { value: canaries.client } },
        },
      }),
    ),
  })
  const keyed = testClient({
    pins: { [API]: [genuine.pin] },
    anchors,
    auth: apiKey({
      header: 'x-key',
      source: { value: canaries.key },
      allowedOrigins: [`https://${API}:${attacker.port}`],
    }),
  })
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-canary-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const collected = await collector()
  const logged: unknown[] = []
  const log = (...line: unknown[]): void => void logged.push(line)
  const secret = { value: `whsec_${Buffer.from(canaries.hook).toString('base64')}` }
  const kept: string[] = []
  const sent: Buffer[] = []
  const datagrams = createSocket('udp4', (message) => void sent.push(message))
  await new Promise<void>((resolve) => datagrams.bind(0, '127.0.0.1', resolve))
  onTestFinished(() => void datagrams.close())
  const write = (...texts: string[]): void => void kept.push(...texts)
  const sink = createEventSink((event) => write(JSON.stringify(event)))
  for (const watched of [client, keyed])
    for (const type of Object.keys(CHANNELS) as ClientEvent['type'][]) watched.on(type, sink)
  const captured: Promise<unknown>[] = []
  for (const watched of [client, keyed])
    watched.on('tls.handshake', (event) => void captured.push(captureEvidence(event).then(({ text }) => write(text))))
  const logs = [client, keyed].flatMap((watched) => [
    validationLog(watched, { write }),
    collectEvidence(watched, { write }),
  ])
  const outlets = [client, keyed].flatMap((watched, index) => {
    const { url, client: own } = collected
    const { fetch } = own
    return [
      ...(['ocsf', 'ecs', 'cef', 'leef', 'otlp'] as const).map((format) =>
        toFile(watched, { path: join(folder, `${index}.${format}`), format }),
      ),
      toHttp(watched, { url, fetch, format: 'ecs' }),
      webhook(watched, { url, fetch, secret }),
      violationReports(watched, { url, fetch }),
      violationReports(watched, { url, fetch, format: 'network-error', name: 'nel' }),
      logTo(watched, { debug: log, info: log, warn: log, error: log }),
      toSyslog(watched, { to: { protocol: 'udp', host: '127.0.0.1', port: datagrams.address().port } }),
    ]
  })
  const init = { method: 'POST', body: canaries.body, headers: { cookie: `sid=${canaries.cookie}` } }
  const answer = await client.fetch(`${api}/v1?q=${canaries.query}`, init)
  expect(await answer.text()).toBe(canaries.answer)
  await client.fetch(`${api}/refuse?q=${canaries.query}`, init).catch(() => undefined)
  await refusalOf(keyed.fetch(`https://${API}:${attacker.port}/?q=${canaries.query}`, init), 'ERR_TRUST_PIN_MISMATCH')
  await vi.waitUntil(() => outlets.every(({ queued }) => queued === 0), patience)
  await Promise.all([...outlets, ...logs].map((outlet) => outlet.close()))
  await Promise.all(captured)
  await vi.waitUntil(() => sent.length > 0 && sink.queued === 0, patience)

  const files = [0, 1].flatMap((index) =>
    ['ocsf', 'ecs', 'cef', 'leef', 'otlp'].map((format) => readFileSync(join(folder, `${index}.${format}`), 'utf8')),
  )
  const wire = collected.server.requests.flatMap(({ rawHeaders, body }) => [
    ...rawHeaders,
    Buffer.from(body).toString(),
  ])
  const everything = [...files, ...wire, JSON.stringify(logged), ...sent.map(String), ...kept]
  expect(kept.filter((text) => text.includes('ERR_TRUST_PIN_MISMATCH')).length).toBeGreaterThanOrEqual(3)
  expect(everything.every((text) => text.length > 0)).toBe(true)
  expect(everything.join('\n')).toContain('token.refresh')
  expect(everything.join('\n')).toContain('ERR_TRUST_PIN_MISMATCH')
  const forms = Object.values(canaries).flatMap((text) => [
    text,
    ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(text).toString(form)),
  ])
  expect(forms.filter((form) => everything.some((text) => text.includes(form)))).toEqual([])
  expect(server.requests.some(({ body }) => Buffer.from(body).includes(canaries.body))).toBe(true) // they were in play
  expect(server.requests.some(({ headers }) => headers.authorization === `Bearer ${canaries.access}`)).toBe(true)
}, 60_000)

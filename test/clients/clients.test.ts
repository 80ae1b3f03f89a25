/** Packages that others wrote, through ours: what works goes on working, and a peer with another key gets no request. */
import { readFileSync } from 'node:fs'
import { type Client, PinfetchError } from 'pinfetch'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { placeOf as markedPlaceOf } from '../../scripts/docs/markers.ts'
import { testClient } from '../support/client.ts'
import { AGENT_CLIENTS } from './agent-clients.ts'
import { answer, type ClientCase, PIECES, type Served } from './case.ts'
import { FETCH_CLIENTS } from './fetch-clients.ts'
import { SOCKET_CLIENTS } from './socket-clients.ts'

const HOST = 'api.example'
const ca = testCa()
const pinned = ca.issue({ names: [HOST] })
const stranger = ca.issue({ names: [HOST] })
const clientOf = (): Client => testClient({ pins: { [HOST]: [pinned.pin] }, anchors: ca.anchorPem })
const CLIENTS = [...FETCH_CLIENTS, ...AGENT_CLIENTS, ...SOCKET_CLIENTS]

describe.each(CLIENTS)('$name through $through', (one) => {
  const { lacks = {}, hides } = one
  const start = async (identity = pinned) => {
    const server = await serverFor(one, identity)
    const uses = one.open(clientOf(), `https://${HOST}:${server.port}`)
    onTestFinished(async () => {
      uses.close?.()
      await server.close()
    })
    return { server, uses }
  }

  test('a request', async () => {
    const { uses, server } = await start()
    expect(JSON.stringify(await uses.request())).toMatch(/"ok"|"id":"x"/)
    expect(server.requests()).toBeGreaterThan(0)
  })

  if (!('stream' in lacks))
    test('a stream', async () => {
      const { uses } = await start()
      const pieces = await uses.stream?.()
      expect(pieces?.join('')).toBe(PIECES.join(''))
      expect(pieces?.length).toBeGreaterThan(1)
    })

  if (!('upload' in lacks))
    test('an upload', async () => {
      const { uses, server } = await start()
      await uses.upload?.(new Uint8Array(300_000).fill(65))
      expect(server.bytes()).toBeGreaterThanOrEqual(300_000)
    })

  if (!('abort' in lacks))
    test('an abort', async () => {
      const { uses, server } = await start()
      const control = new AbortController()
      const aborted = uses.abort?.(control.signal).then(
        () => 'answered',
        () => 'ended',
      )
      await expect.poll(() => server.requests()).toBeGreaterThan(0)
      control.abort()
      expect(await aborted).toBe('ended')
    })

  test('a server with another key gets no request: ERR_TRUST_PIN_MISMATCH', async () => {
    const { uses, server } = await start(stranger)
    const error: unknown = await uses.request().then(
      () => expect.fail('it was answered'),
      (refusal: unknown) => refusal,
    )
    expect([server.requests(), server.bytes()]).toEqual([0, 0])
    const place = placeOf(error)
    expect(place === undefined, `${place}: ${String(error)}`).toBe(hides !== undefined)
    places.set(one, place ?? `an error without it: ${hides}`)
  })
})

test('README has the table of this run', () => {
  const rows = CLIENTS.map((one) => {
    const missing = Object.values(one.lacks ?? {}).length === 0 ? '' : ` (${reasons(one.lacks)})`
    const works = ['request', 'stream', 'upload', 'abort'].filter((use) => !(use in (one.lacks ?? {})))
    const place = places.get(one)
    return `| ${one.name} | ${versionOf(one.name)} | \`${one.through}\` | ${works.join(', ')}${missing} | ${place?.includes(' ') ? place : `\`${place}\``} |`
  })
  expect(places.size).toBe(CLIENTS.length)
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const head = ['| package | version | through | works | the error is found at |', '|---|---|---|---|---|']
  expect(markedPlaceOf(readme, 'clients').table).toBe(`${[...head, ...rows].join('\n')}\n`)
})

/** Of each package, where its user finds our code. */
const places = new Map<ClientCase, string>()

/** Of what ran, as it is installed. */
function versionOf(name: string): string {
  if (name.startsWith('node:')) return 'of Node'
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

function reasons(lacks: ClientCase['lacks'] = {}): string {
  return Object.entries(lacks)
    .map(([use, reason]) => `no ${use}: ${reason}`)
    .join('; ')
}

async function serverFor({ serve, answer: own }: ClientCase, identity: TestCertificate): Promise<Served> {
  if (serve !== undefined) return serve(identity)
  const server = await startTlsServer({ identity, handler: own ?? answer })
  const { port, requests, close } = server
  return { port, requests: () => requests.length, bytes: () => server.applicationBytes, close }
}

/** Where a user finds our error, or its code, in what a package throws. */
function placeOf(error: unknown, path = 'error', depth = 0): string | undefined {
  if (error instanceof PinfetchError) return path
  if (typeof error !== 'object' || error === null || depth === 4) return undefined
  if (Reflect.get(error, 'code') === 'ERR_TRUST_PIN_MISMATCH') return `${path}.code`
  for (const member of ['cause', 'detail', 'originalError']) {
    const place = placeOf(Reflect.get(error, member), `${path}.${member}`, depth + 1)
    if (place !== undefined) return place
  }
  return undefined
}

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createTestRepository, createTestRuntime, startTlsServer, type TestHosts, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { runModule } from '../support/run.ts'
import { refresh, settled } from '../support/scene.ts'

const HOST = 'api.example.com'
const PINS = 'pins.example.com'
const ca = testCa()
const first = ca.issue({ names: [HOST] })
const backup = ca.issue({ names: [HOST] })
const pinsIdentity = ca.issue({ names: [PINS] })

type Answer = (response: ServerResponse, path: string) => void

interface Pins {
  answer: Answer | undefined
  missing: string | undefined
  readonly asked: string[]
}

/** A client on the manifest of a server that answers for `status.json` whatever a test wants. */
async function start(options: { hosts?: TestHosts } = {}) {
  const runtime = createTestRuntime({ now: Date.now() })
  const hosts = options.hosts ?? { [HOST]: [first.pin, backup.pin] }
  const repository = await createTestRepository({ hosts, clock: runtime.clock })
  const pins: Pins = { answer: undefined, missing: undefined, asked: [] }
  const server = await until(
    startTlsServer({
      identity: pinsIdentity,
      handler: ({ path }, response) => {
        const name = path.slice(1)
        pins.asked.push(name)
        if (pins.answer !== undefined && name === 'status.json') return pins.answer(response, name)
        const bytes = name === pins.missing ? undefined : repository.files().get(name)
        response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
      },
    }),
  )
  const api = await until(startTlsServer({ identity: first }))
  const manifest = { url: `https://${PINS}:${server.port}/`, root: repository.root, memoryOnly: true }
  const network = { resolver: async (): Promise<readonly string[]> => ['127.0.0.1'] }
  const client = testClient({ manifest, anchors: ca.anchorPem, runtime, resolver: () => network.resolver() })
  await settled(client.ready(), runtime)
  return { client, runtime, repository, pins, server, api, network, url: `https://${HOST}:${api.port}/` }
}

type World = Awaited<ReturnType<typeof start>>

/** The refresh is refused with this code; what was in force serves on; and the next good answer is taken. */
async function expectRefused({ client, runtime, pins, url }: World, code: string, answer: Answer): Promise<void> {
  pins.answer = answer
  await expect(refresh(client, runtime)).rejects.toMatchObject({ code })
  expect((await client.fetch(url)).status).toBe(200)
  pins.answer = undefined
  await refresh(client, runtime)
  expect(client.health().manifest?.lastError).toBeUndefined()
}

describe('a manifest server that misbehaves on the wire', () => {
  test('and never ends a body is left after the limit: ERR_MANIFEST_FETCH_TOO_LARGE (case 107)', async () => {
    const world = await start()
    let sent = 0
    await expectRefused(world, 'ERR_MANIFEST_FETCH_TOO_LARGE', (response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1_024))) sent += 1_024
        if (!response.destroyed) response.once('drain', pour)
      }
      response.writeHead(200)
      pour()
    })
    expect(sent).toBeLessThan(50_000_000) // buffers of the system, not the pouring of a whole test
  })

  test('and sends a gzip bomb is refused unopened: ERR_MANIFEST_FETCH_ENCODED (case 108)', async () => {
    const bomb = gzipSync(Buffer.alloc(8_000_000))
    await expectRefused(await start(), 'ERR_MANIFEST_FETCH_ENCODED', (response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
  })

  test('and sends a byte now and then is ERR_MANIFEST_FETCH_TIMEOUT at the deadline (case 109)', async () => {
    await expectRefused(await start(), 'ERR_MANIFEST_FETCH_TIMEOUT', (response) => {
      response.writeHead(200)
      drip(response, () => response.write('{'))
    })
  })

  test('and never ends its headers is ERR_MANIFEST_FETCH_TIMEOUT at the deadline (case 110)', async () => {
    await expectRefused(await start(), 'ERR_MANIFEST_FETCH_TIMEOUT', (response) => {
      const { socket } = response
      socket?.write('HTTP/1.1 200 OK\r\n')
      drip(response, () => socket?.write('x-a: b\r\n'))
    })
  })

  test.each([301, 302, 303, 307, 308])(
    'and redirects with %i, here or elsewhere, is not followed: ERR_MANIFEST_FETCH_REDIRECT (case 111)',
    async (status) => {
      const world = await start()
      const elsewhere = await until(startTlsServer({ identity: pinsIdentity }))
      for (const location of ['/elsewhere.json', `https://${PINS}:${elsewhere.port}/status.json`]) {
        await expectRefused(world, 'ERR_MANIFEST_FETCH_REDIRECT', (response) =>
          response.writeHead(status, { location }).end(),
        )
      }
      expect([elsewhere.accepted, world.pins.asked.includes('elsewhere.json')]).toEqual([0, false])
    },
  )

  test.each([401, 403, 404, 429, 500, 503])(
    'F44, F62: and answers %i is ERR_MANIFEST_FETCH_HTTP, and asked again (case 112)',
    async (status) => {
      await expectRefused(await start(), 'ERR_MANIFEST_FETCH_HTTP', (response) => response.writeHead(status).end('no'))
    },
  )

  test('and cuts the connection is ERR_MANIFEST_FETCH_NETWORK (case 114)', async () => {
    await expectRefused(await start(), 'ERR_MANIFEST_FETCH_NETWORK', (response) => response.socket?.destroy())
  })

  test('or whose name does not resolve, or whose key nobody vouches for, is ERR_MANIFEST_FETCH_NETWORK (case 114)', async () => {
    const { client, runtime, server, network } = await start()
    server.destroyConnections()
    const resolve = network.resolver
    network.resolver = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))
    await expect(refresh(client, runtime)).rejects.toMatchObject({
      code: 'ERR_MANIFEST_FETCH_NETWORK',
      kind: 'transient',
    })
    network.resolver = resolve
    server.setIdentity(testCa().issue({ names: [PINS] }))
    await expect(refresh(client, runtime)).rejects.toMatchObject({
      code: 'ERR_MANIFEST_FETCH_NETWORK',
      kind: 'transient',
    })
    server.setIdentity(pinsIdentity)
    await refresh(client, runtime)
    expect(client.health().state).toBe('ready')
  })

  test('but for the content type is believed (case 118)', async () => {
    const { client, runtime, pins, repository } = await start()
    await repository.publish({ hosts: { [HOST]: [first.pin, backup.pin], 'new.example.com': [first.pin, backup.pin] } })
    pins.answer = (response, path) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end(repository.files().get(path))
    await refresh(client, runtime)
    expect(client.manifest.version).toBe(2)
  })

  test('F51: a 304 confirms what is held, whatever its body and however weak its tag', async () => {
    const { client, runtime, pins, repository } = await start()
    const tags: unknown[] = []
    pins.answer = (response, path) => {
      tags.push(response.req.headers['if-none-match'])
      if (tags.at(-1) === 'W/"1"') response.writeHead(304, { etag: 'W/"2"' }).end('{"another":"body"}')
      else response.writeHead(200, { etag: 'W/"1"' }).end(repository.files().get(path))
    }
    for (let round = 0; round < 3; round += 1) await refresh(client, runtime)
    expect(tags).toEqual([undefined, 'W/"1"', 'W/"1"'])
    expect(client.health().state).toBe('ready')
  })

  test('F52: a root missing in the chain keeps the client at the one before, says ERR_MANIFEST_ROOT_UNAVAILABLE, and heals', async () => {
    const { client, runtime, repository, pins, url } = await start()
    const rejected: string[] = []
    client.on('manifest.rejected', ({ code }) => rejected.push(code))
    await repository.rotateRoot()
    await repository.rotateRoot()
    await repository.publish({ hosts: { [HOST]: [first.pin, backup.pin], 'new.example.com': [first.pin, backup.pin] } })
    pins.missing = 'roots/2.json'
    await refresh(client, runtime)
    expect([client.health().manifest?.rootVersion, rejected]).toEqual([1, ['ERR_MANIFEST_ROOT_UNAVAILABLE']])
    expect((await client.fetch(url)).status).toBe(200)
    pins.missing = undefined
    await refresh(client, runtime)
    expect(client.health().manifest?.rootVersion).toBe(3)
  })
})

test('wrong pins for the host of the manifest refuse requests to it, and updates go on (case 117)', async () => {
  const hosts = { [HOST]: [first.pin, backup.pin], [PINS]: [first.pin, backup.pin] } // not its key
  const { client, runtime, repository, server } = await start({ hosts })
  await refusalOf(client.fetch(`https://${PINS}:${server.port}/status.json`), 'ERR_TRUST_PIN_MISMATCH')
  server.destroyConnections()
  await repository.publish({ hosts: { [HOST]: [first.pin, backup.pin], [PINS]: [pinsIdentity.pin, backup.pin] } })
  await refresh(client, runtime)
  expect((await client.fetch(`https://${PINS}:${server.port}/status.json`)).status).toBe(200)
})

describe('a deny', () => {
  test('of every pin closes the host: ERR_TRUST_PIN_DENIED for a server with a denied key, ERR_TRUST_PIN_NONE_ACTIVE for any other (case 148)', async () => {
    const { client, runtime, repository, api, url } = await start()
    expect((await client.fetch(url)).status).toBe(200)
    const requests = api.requests.length
    await repository.deny([first.pin], 'one leaked')
    await refresh(client, runtime)
    const stranger = ca.issue({ names: [HOST] })
    for (const [identity, code] of [
      [first, 'ERR_TRUST_PIN_DENIED'],
      [stranger, 'ERR_TRUST_PIN_MISMATCH'],
    ] as const) {
      api.setIdentity(identity)
      await refusalOf(client.fetch(url), code)
    }
    await repository.deny([first.pin, backup.pin], 'both leaked')
    await refresh(client, runtime)
    for (const [identity, code] of [
      [first, 'ERR_TRUST_PIN_DENIED'],
      [backup, 'ERR_TRUST_PIN_DENIED'],
      [stranger, 'ERR_TRUST_PIN_NONE_ACTIVE'],
    ] as const) {
      api.setIdentity(identity)
      await refusalOf(client.fetch(url), code)
    }
    expect(api.requests.length).toBe(requests)
  })

  test('cuts pooled sockets and requests in flight at once; a pin that only went lets them finish (case 149)', async () => {
    for (const denied of [true, false]) {
      const { client, runtime, repository, api, url } = await start()
      expect((await client.fetch(url)).status).toBe(200)
      let finish: () => void = () => undefined
      const slow = await until(
        startTlsServer({
          identity: first,
          handler: (_request, response) => {
            response.writeHead(200).write('half')
            finish = () => response.end('whole')
          },
        }),
      )
      const response = await client.fetch(`https://${HOST}:${slow.port}/`)
      const idle = api.connections[0]
      const gone = idle === undefined || idle.socket.destroyed ? undefined : once(idle.socket, 'close')
      if (denied) await repository.deny([first.pin], 'leaked')
      else await repository.publish({ hosts: { [HOST]: [backup.pin, ca.root.pin] } })
      await refresh(client, runtime)
      await gone // no further time passes on the client’s clock
      const body = response.text()
      finish()
      if (denied) await expect(body).rejects.toThrow()
      else expect(await body).toBe('halfwhole')
    }
  })
})

describe('F44, F45: a source that does not answer at the start', () => {
  test.each<[string, Answer]>([
    ['404', (response) => response.writeHead(404).end()],
    ['500', (response) => response.writeHead(500).end()],
    ['nothing', () => undefined],
  ])(
    '%s: the copy on disk serves; without one pins in code do, or ERR_TRUST_NO_TRUSTED_MANIFEST',
    async (_, answer) => {
      const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-'))
      onTestFinished(() => rmSync(cacheDir, { recursive: true }))
      const { pins, server, repository, runtime, url } = await start()
      const manifest = { url: `https://${PINS}:${server.port}/`, root: repository.root, cacheDir, startupMs: 30_000 }
      const settings = { manifest, anchors: ca.anchorPem, runtime }
      const before = testClient(settings)
      await settled(before.ready(), runtime)
      await before.close()
      pins.answer = answer

      const warm = testClient(settings)
      await settled(warm.ready(), runtime)
      expect((await warm.fetch(url)).status).toBe(200)

      const { cacheDir: __, ...cold } = { ...manifest, memoryOnly: true }
      const bundled = testClient({ ...settings, manifest: cold, pins: { [HOST]: [first.pin] } })
      await settled(bundled.ready(), runtime)
      expect((await bundled.fetch(url)).status).toBe(200)

      const nothing = testClient({ ...settings, manifest: cold })
      await refusalOf(settled(nothing.fetch(url), runtime), 'ERR_TRUST_NO_TRUSTED_MANIFEST')
    },
  )
})

test('F67: a client that was frozen past the end of its manifest serves its first request after one refresh', async () => {
  const { client, runtime, repository, pins, url } = await start()
  runtime.setWall(runtime.clock.now() + 15 * 86_400_000)
  await repository.publishStatus()
  pins.asked.length = 0
  const responses = await settled(Promise.all([client.fetch(url), client.fetch(url)]), runtime)
  expect(responses.map(({ status }) => status)).toEqual([200, 200])
  expect(pins.asked.filter((path) => path === 'status.json')).toHaveLength(1)
})

test('a client that watches a directory keeps no process alive, closed or not (cases 140, 141)', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfetch-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const repository = await createTestRepository({ hosts: { [HOST]: [first.pin, backup.pin] } })
  const files = JSON.stringify(
    [...repository.files()].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]),
  )
  const script = (end: string) => `
    import { mkdirSync, writeFileSync } from 'node:fs'
    import { dirname, join } from 'node:path'
    import { createClient } from './src/index.ts'
    for (const [path, bytes] of ${files}) {
      mkdirSync(dirname(join(process.env.DIR, path)), { recursive: true })
      writeFileSync(join(process.env.DIR, path), Buffer.from(bytes, 'base64'))
    }
    const root = Buffer.from(process.env.ROOT, 'base64')
    const client = createClient({ manifest: { url: process.env.DIR, root, memoryOnly: true } })
    await client.ready()
    console.log(client.manifest.version)
    ${end}`
  const env = { ROOT: Buffer.from(repository.root).toString('base64'), DIR: directory }
  for (const end of ['', 'await client.close()']) {
    expect(await runModule(script(end), env)).toEqual({ exitCode: 0, stdout: '1\n', stderr: '' })
  }
})

function drip(response: ServerResponse, write: () => void): void {
  const timer = setInterval(
    () => (response.destroyed || response.socket?.destroyed ? clearInterval(timer) : write()),
    20,
  )
  onTestFinished(() => clearInterval(timer))
}

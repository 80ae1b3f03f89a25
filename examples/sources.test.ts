/** Both adapters against what they are made for: a real Redis, and a server that answers GetObject as S3 does. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { createClient } from 'pinfetch'
import { createTestRepository, startTlsServer, testCa } from 'pinfetch/testing'
import { createClient as createRedis, type RedisClientType } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { redisSource } from './redis-source.ts'
import { s3Source } from './s3-source.ts'

const hosts = (...seeds: string[]) => ({
  'api.example.com': seeds.map((seed) => `sha256/${createHash('sha256').update(seed).digest('base64')}` as const),
})

const redisServer = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'redis-server'))
  .find((path) => existsSync(path))

if (redisServer === undefined) process.stderr.write('not run: the Redis adapter, as no redis-server is installed\n')

test.runIf(process.env['CI'] === 'true')('redis-server is installed where skipping counts as failing', () => {
  expect(redisServer).toBeDefined()
})

describe.skipIf(redisServer === undefined)('redisSource', () => {
  test('starts from Redis, hears of the next manifest at once, and leaves the application’s connection alone', async () => {
    const redis = await startRedis()
    const repository = await createTestRepository({ hosts: hosts('one', 'two') })
    const publish = async (): Promise<void> => {
      for (const [path, bytes] of repository.files()) await redis.set(`pins:${path}`, Buffer.from(bytes))
      await redis.publish('pins:changed', 'whatever this says')
    }
    await publish()
    const client = createClient({ manifest: { custom: redisSource(redis), root: repository.root, memoryOnly: true } })
    await client.ready()
    expect(client.manifest.version).toBe(1)

    const activated = new Promise((resolve) => client.on('manifest.activated', ({ to }) => resolve(to)))
    await repository.publish({ hosts: hosts('two', 'three') })
    await publish()
    expect(await activated).toBe(2) // the next poll is minutes away
    await client.close()
    expect(await redis.ping()).toBe('PONG')
  })

  test('reads no more of a document than it may', async () => {
    const redis = await startRedis()
    await redis.set('pins:status.json', 'x'.repeat(1_000))
    const source = redisSource(redis)
    const limits = { maxBytes: 10, signal: new AbortController().signal }
    expect(await source.get('status.json', limits)).toHaveLength(11)
    expect(await source.get('roots/2.json', limits)).toBeUndefined()
  })
})

describe('s3Source', () => {
  test('starts from a bucket behind a pinned connection, and is answered 304 by the object’s ETag', async () => {
    const { bucket, client, repository } = await startS3()
    await client.ready()
    expect(client.manifest.version).toBe(1)
    await client.manifest.refresh()
    expect(bucket.answers.slice(-1)).toEqual(['status.json 304'])
    expect(bucket.answers).toContain('roots/2.json 403')

    await repository.publish({ hosts: hosts('two', 'three') })
    await client.manifest.refresh()
    expect(client.manifest.version).toBe(2)
  })

  test('starts as well where a bucket may be listed, and an absent key is 404', async () => {
    const { bucket, client } = await startS3({ mayList: true })
    await client.ready()
    expect(bucket.answers).toContain('roots/2.json 404')
  })

  test('a status that may not be read is ERR_MANIFEST_FETCH_HTTP', async () => {
    const { bucket, client } = await startS3()
    await client.ready()
    bucket.deny = true
    await expect(client.manifest.refresh()).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_HTTP' })
    expect(client.manifest.version).toBe(1)
  })

  test('an object that never ends is read one byte past what is allowed', async () => {
    const { bucket, client } = await startS3()
    await client.ready()
    bucket.endless = true
    await expect(client.manifest.refresh()).rejects.toMatchObject({ code: 'ERR_MANIFEST_FETCH_TOO_LARGE' })
  })
})

async function startS3({ mayList = false } = {}) {
  const ca = testCa()
  const repository = await createTestRepository({ hosts: hosts('one', 'two') })
  const identity = ca.issue({ names: ['pins.s3.example.com'] })
  const bucket = { answers: [] as string[], deny: false, endless: false }
  const server = await startTlsServer({
    identity,
    handler: ({ path, headers }, response) => {
      const key = path.replace(/^\/prod\//, '')
      const object = bucket.deny ? undefined : repository.files().get(key)
      const etag = `"${createHash('md5')
        .update(object ?? '')
        .digest('hex')}"`
      const matches = headers['if-none-match'] === etag && !bucket.endless
      const status = object === undefined ? (mayList ? 404 : 403) : matches ? 304 : 200
      bucket.answers.push(`${key} ${status}`)
      if (object === undefined) response.writeHead(status).end('<Error><Code>AccessDenied</Code></Error>')
      else if (matches) response.writeHead(304, { etag }).end()
      else response.writeHead(200, { etag })
      if (status === 200 && bucket.endless) writeForEver(response)
      else if (status === 200) response.end(object)
    },
  })
  onTestFinished(() => server.close())
  const transport = { anchors: ca.anchorPem, resolver: async () => ['127.0.0.1'] }
  const s3 = createClient({ ...transport, pins: { 'pins.s3.example.com': [identity.pin] } })
  const custom = s3Source(`https://pins.s3.example.com:${server.port}/prod/`, s3.fetch)
  const client = createClient({ manifest: { custom, root: repository.root, memoryOnly: true } })
  onTestFinished(async () => void (await Promise.all([client.close(), s3.close()])))
  return { bucket, client, repository }
}

function writeForEver(response: {
  write: (chunk: Uint8Array) => boolean
  destroyed: boolean
  once: (event: 'drain', run: () => void) => unknown
}) {
  const piece = new Uint8Array(4_096)
  while (!response.destroyed && response.write(piece));
  if (!response.destroyed) response.once('drain', () => writeForEver(response))
}

async function startRedis(): Promise<RedisClientType> {
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn(redisServer ?? '', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    const gone = once(server, 'exit')
    server.kill()
    await gone
  })
  for await (const chunk of server.stdout) if (String(chunk).includes('Ready to accept connections')) break
  const redis: RedisClientType = createRedis({ url: `redis://127.0.0.1:${port}` })
  await redis.connect()
  onTestFinished(() => redis.destroy())
  return redis
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

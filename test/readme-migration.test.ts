/** The samples of README that lead here from other kinds of pinning, as printed; and what they say of those. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ClientRequest } from 'node:http'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import type { PeerCertificate, SecureVersion } from 'node:tls'
import { type ClientOptions, createClient, type ManifestOptions } from 'pinfetch'
import { type KeyType, startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { until } from './support/client.ts'
import { startTestPins } from './support/pins.ts'

const README = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const HOST = 'api.partner.com'
const ca = testCa()
const [current, reserve, stranger] = [1, 2, 3].map(() => ca.issue({ names: [HOST] })) as [
  TestCertificate,
  TestCertificate,
  TestCertificate,
]
const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor

test.each([
  ['From a checkServerIdentity recipe', 200],
  ['From static pins', 200],
  ['From a list like HPKP’s', 200],
])('%s: the sample gets its answer, and a stranger none: ERR_TRUST_PIN_MISMATCH', async (title, status) => {
  const { printed, refused } = await play(title, current)
  expect([printed, refused]).toEqual([[status], undefined])
  expect(await play(title, stranger)).toMatchObject({ printed: [], refused: 'ERR_TRUST_PIN_MISMATCH', octets: 0 })
})

test('From static pins: they serve while no manifest could be had, and no longer once one was accepted', async () => {
  expect(await play('From static pins', current, { manifest: 'gone' })).toMatchObject({ printed: [200] })
  const others = await play('From static pins', current, { manifest: 'other pins' })
  expect(others).toMatchObject({ printed: [], refused: 'ERR_TRUST_PIN_MISMATCH' })
})

test.each<[KeyType, boolean]>([
  ['RSA-2048', true],
  ['P-256', false],
])('the hash of `cert.pubkey` of a recipe is a pin for %s: %s', async (keyType, isPin) => {
  const { seen } = await recipe({ keyType })
  const { pubkey } = seen[0] as PeerCertificate & { pubkey: Buffer }
  expect(`sha256/${sha256(pubkey)}` === seen.pin).toBe(isPin)
  expect(pubkey.length === 65 && pubkey[0] === 4).toBe(!isPin) // the bare point (SEC 1 §2.3.3)
  expect(seen[0]?.fingerprint256.replaceAll(':', '').toLowerCase()).not.toBe(
    Buffer.from(seen.pin.slice('sha256/'.length), 'base64').toString('hex'),
  )
})

test('a recipe does not look at the name of a server, unless it says so itself', async () => {
  const { seen, refused } = await recipe({ name: 'other.example' })
  expect([seen.map(({ subjectaltname }) => subjectaltname), refused]).toEqual([['DNS:other.example'], undefined])
})

test('under TLS 1.2 a recipe looks after the client certificate was shown, and never at all when a session is resumed', async () => {
  const { seen, server } = await recipe({ times: 2 })
  expect(server.sessionsReused).toBe(1)
  expect(seen).toHaveLength(1)
  const late = await recipe({ refuses: true, maxVersion: 'TLSv1.2' })
  expect([late.refused, late.server.clientCertificates.length]).toEqual(['refused', 1])
})

/** Runs the sample below a heading: its pins are those of the partner, its hosts loopback servers. */
async function play(title: string, identity: TestCertificate, { manifest = 'same pins' } = {}) {
  const api = await until(startTlsServer({ identity }))
  const pinned = manifest === 'other pins' ? [reserve.pin] : [current.pin, reserve.pin]
  const pins = await startTestPins({ ca, name: 'pins.example.com', hosts: { [HOST]: pinned } })
  if (manifest === 'gone') await pins.server.close()
  const [, code = ''] = new RegExp(`^### ${title}$[\\s\\S]*?\`\`\`ts\\n([\\s\\S]*?)\`\`\``, 'm').exec(README) ?? []
  const runnable = code
    .replaceAll(/^import .*$/gm, '')
    .replaceAll('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=', current.pin.slice('sha256/'.length))
    .replaceAll('n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=', reserve.pin.slice('sha256/'.length))
    .replaceAll(`https://${HOST}/`, `https://${HOST}:${api.port}/`)
    .replace('https://pins.example.com/', pins.manifest.url)
    .replace("'./root.json'", 'root')
  expect(runnable).toContain('createClient(')
  const printed: unknown[] = []
  const console = { log: (line: unknown) => printed.push(line) }
  const local = ({ manifest: source, ...options }: ClientOptions) => {
    const { cacheDir: _, ...memory } = (source ?? {}) as ManifestOptions
    const client = createClient({
      ...options,
      ...(source === undefined ? {} : { manifest: { ...memory, memoryOnly: true } }),
      anchors: ca.anchorPem,
      resolver: async () => ['127.0.0.1'],
    })
    onTestFinished(() => client.close())
    return client
  }
  const module = { get: (...given: Parameters<typeof get>) => answered(get(...given)) }
  let answer: Promise<string | undefined> | undefined
  const answered = (request: ClientRequest): void => {
    answer = new Promise((resolve) => {
      request
        .once('response', (response) => resolve(void response.resume()))
        .once('error', (error) => resolve(codeOf(error)))
    })
  }
  const run = new AsyncFunction('createClient', 'https', 'root', 'console', runnable)
  const ran: string | undefined = await run(local, module, pins.repository.root, console).then(() => undefined, codeOf)
  const refused = ran ?? (await answer)
  return { printed, refused, octets: api.applicationBytes }
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error)

/** What such a recipe gets to see: an agent of node:https with a `checkServerIdentity`. */
async function recipe({
  name = HOST,
  keyType = 'P-256',
  times = 1,
  refuses = false,
  maxVersion = 'TLSv1.3',
}: {
  readonly name?: string
  readonly keyType?: KeyType
  readonly times?: number
  readonly refuses?: boolean
  readonly maxVersion?: SecureVersion
}) {
  const identity = ca.issue({ names: [name], keyType })
  const server = await until(startTlsServer({ identity, requestCert: true, maxVersion }))
  const own = ca.issue({ subject: 'orders', extendedKeyUsage: ['clientAuth'] })
  const seen: PeerCertificate[] & { pin: string } = Object.assign([], { pin: identity.pin })
  const agent = new Agent({
    ca: ca.anchorPem,
    cert: own.pem,
    key: own.keyPem,
    servername: HOST,
    keepAlive: false,
    checkServerIdentity: (_, certificate) => {
      seen.push(certificate)
      return refuses ? new Error('refused') : undefined
    },
  })
  let refused: string | undefined
  for (let sent = 0; sent < times; sent += 1) {
    refused = await new Promise<string | undefined>((resolve) => {
      get(server.origin, { agent }, (response) => response.resume().once('close', () => resolve(undefined))).on(
        'error',
        ({ message }) => resolve(message),
      )
    })
  }
  return { seen, server, refused }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

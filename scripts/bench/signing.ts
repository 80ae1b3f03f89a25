import {
  createHash,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type Hash,
  type Hmac,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'
import aws4 from 'aws4'
import { createSignatureSync } from 'http-message-sig'
import { createSigner, httpbis } from 'http-message-signatures'
import { localSigner } from '../../src/keys/signer.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { httpSignature } from '../../src/signing/http-signature.ts'
import type { RequestSigner, SignableRequest } from '../../src/signing/signing.ts'
import { sigV4 } from '../../src/signing/sigv4.ts'
import { type BoundRatio, bounded, median, pairedRatio, rounded, seededRandom, shuffled } from './statistics.ts'

/**
 * What a signature costs from the whole request, its body included, to the header fields that carry it: ours beside what one would
 * write with the packages that there are, over the same components, with keys read beforehand and node:crypto under all of them.
 * No network; rounds that take turns, each by a new order.
 *
 * @returns Microseconds, median of the rounds' medians; ratios of paired rounds with their 95 % interval.
 */
export async function measureSigning(rounds: number): Promise<unknown> {
  const secret = createSecretKey(randomBytes(64))
  const ed25519 = generateKeyPairSync('ed25519').privateKey
  return {
    Ed25519: against(MIN_FASTER, await race(rounds, messageSigners(ed25519))),
    'HMAC-SHA-256': against(MIN_FASTER, await race(rounds, messageSigners(secret))),
    SigV4: against(NO_SLOWER, await race(rounds, v4Signers())),
  }
}

type Contender = () => unknown
type Series = ReadonlyMap<string, readonly number[]>

function messageSigners(key: KeyObject): ReadonlyMap<string, Contender> {
  const isSecret = key.type === 'secret'
  const algorithm = isSecret ? 'hmac-sha256' : 'ed25519'
  const ours = bound(
    httpSignature({ keys: localSigner(key, { keyId: KEY_ID }), components: COVERED, expiresInSec: 300, nonce: false }),
  )
  const theirKey = createSigner(key, algorithm, KEY_ID)
  const raw = isSecret
    ? (data: Uint8Array) => createHmac('sha256', key).update(data).digest()
    : (data: Uint8Array) => sign(null, data, key)
  return new Map<string, Contender>([
    ['pinfetch', () => ours(requestOf(HEADERS))],
    [
      'http-message-signatures',
      () => {
        const created = new Date()
        return httpbis.signMessage(
          {
            ...{ key: theirKey, fields: COVERED, params: ['created', 'expires', 'keyid'] },
            paramValues: { created, expires: new Date(created.getTime() + 300_000) },
          },
          { method: METHOD, url: URL_TEXT, headers: { ...HEADERS, 'content-digest': contentDigest() } },
        )
      },
    ],
    [
      'http-message-sig',
      () => {
        const created = Math.floor(Date.now() / 1_000)
        const fields = Object.entries({ ...HEADERS, 'content-digest': contentDigest() })
        return createSignatureSync(
          {
            ...{ kind: 'request', method: METHOD, targetUri: URL_TEXT },
            fields: fields.map(([name, value]) => ({ name, value })),
          },
          {
            ...{ label: 'sig', components: COVERED, signer: { algorithm, sign: raw } },
            parameters: { created, expires: created + 300, keyid: KEY_ID },
          },
        )
      },
    ],
  ])
}

function v4Signers(): ReadonlyMap<string, Contender> {
  const region = 'eu-central-1'
  const service = 'execute-api'
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
  const source = { ...credentials, secretAccessKey: { value: credentials.secretAccessKey } }
  const ours = bound(sigV4({ service, region, credentials: source }))
  const { host, pathname } = new URL(URL_TEXT)
  const smithy = new SignatureV4({ region, service, credentials, sha256: NodeSha256, applyChecksum: false })
  return new Map<string, Contender>([
    ['pinfetch', () => ours(requestOf(HEADERS))],
    [
      '@smithy/signature-v4',
      () => {
        const request = { method: METHOD, protocol: 'https:', hostname: host, path: pathname, query: QUERY, body: BODY }
        return smithy.sign(new HttpRequest({ ...request, headers: { ...HEADERS, host } }))
      },
    ],
    [
      'aws4',
      () => {
        const path = URL_TEXT.slice(URL_TEXT.indexOf(host) + host.length)
        const request = { service, region, host, method: METHOD, path, body: BODY, headers: { ...HEADERS } }
        return aws4.sign(request, credentials)
      },
    ],
  ])
}

/** The signer of a client, whose patch is what the client adds. */
function bound(signer: RequestSigner): (request: SignableRequest) => unknown {
  const { sign: signing } = signer.bind({ runtime: systemRuntime, emit: () => undefined, clockOffset: () => 0 })
  const { signal } = new AbortController()
  return (request) => signing(request, { signal })
}

/** As a client has it: nothing of it is remembered from the request before. */
function requestOf(headers: Readonly<Record<string, string>>): SignableRequest {
  const body = Buffer.from(BODY)
  return {
    ...{ kind: 'request', method: METHOD, url: URL_TEXT, origin: ORIGIN, fields: Object.entries(headers) },
    body: {
      ...{ kind: 'bytes', bytes: body },
      digest: (algorithm) => createHash(algorithm).update(body).digest(),
    },
  }
}

const contentDigest = (): string => `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`

/** node:crypto as the AWS SDK wraps it for Node. */
class NodeSha256 {
  readonly #hash: Hash | Hmac
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined ? createHash('sha256') : createHmac('sha256', secret as string | NodeJS.ArrayBufferView)
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(data as string | NodeJS.ArrayBufferView)
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
  reset(): void {
    throw new Error('not used')
  }
}

async function race(rounds: number, contenders: ReadonlyMap<string, Contender>): Promise<Series> {
  const series = new Map<string, number[]>([...contenders.keys()].map((name) => [name, []]))
  const random = seededRandom(rounds)
  for (let round = -WARM_UP; round < rounds; round += 1) {
    for (const [name, contender] of shuffled([...contenders], random)) {
      const us = await perSignature(contender)
      if (round >= 0) series.get(name)?.push(us)
    }
  }
  return series
}

/** The p50 of signatures one after the other, timed by the dozen. */
async function perSignature(contender: Contender): Promise<number> {
  const times: number[] = []
  for (let batch = 0; batch < 25; batch += 1) {
    const start = performance.now()
    for (let i = 0; i < PER_BATCH; i += 1) await contender()
    times.push(((performance.now() - start) * 1_000) / PER_BATCH)
  }
  return median(times)
}

/** How many times as long the others take; the bound is for the fastest of them. */
function against(min: number, series: Series): unknown {
  const ours = series.get('pinfetch') ?? []
  const others = [...series].filter(([name]) => name !== 'pinfetch')
  const [fastest = ''] = others.toSorted(([, a], [, b]) => median(a) - median(b)).map(([name]) => name)
  const times = (name: string): BoundRatio => bounded(pairedRatio(series.get(name) ?? [], ours), { min })
  return {
    us: Object.fromEntries([...series].map(([name, values]) => [name, rounded(median(values), 2)])),
    'times as long as pinfetch': Object.fromEntries(others.map(([name]) => [name, times(name)])),
    fastest,
  }
}

const ORIGIN = 'https://api.example.com'
const QUERY = { account: 'DE02', limit: '10' }
const URL_TEXT = `${ORIGIN}/v1/payments/pending?account=DE02&limit=10`
const METHOD = 'POST'
const HEADERS = {
  ...{ accept: 'application/json', 'content-type': 'application/json', 'x-request-id': 'b9f3c1de-7d0b-4ef0' },
  ...{ 'idempotency-key': '8e03978e-40d5-43dd-bc93-6894a57f9324', 'user-agent': 'bench' },
}
const BODY = JSON.stringify({ amount: '120.00', currency: 'EUR', reference: 'r'.repeat(900) })
const COVERED = ['@method', '@target-uri', 'content-type', 'content-digest']
const KEY_ID = 'bench-2026'
const PER_BATCH = 12
const WARM_UP = 5
const MIN_FASTER = 1.3
const NO_SLOWER = 1

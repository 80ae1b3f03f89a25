import { createHash, createSecretKey, generateKeyPairSync } from 'node:crypto'
import {
  localSigner,
  type RequestMessage,
  type Signer,
  signResponses,
  type VerificationKey,
  verificationKey,
  verifyRequests,
} from 'pinfetch/signing'
import { createTestRuntime } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { VerifyError } from '../../src/errors/errors.ts'
import { keysById } from '../../src/keys/verification-key.ts'
import { componentIdentifier } from '../../src/signing/component.ts'
import type { FieldLine, Message } from '../../src/signing/message.ts'
import { inspectResponse } from '../../src/signing/response-inspection.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readSignatures } from '../../src/signing/signature-fields.ts'
import { isFull } from '../support/tier.ts'

const MUTATIONS = isFull ? 1_000_000 : 6_000
const ORIGIN = 'https://api.example.com'
const NOW = Date.UTC(2026, 0, 1)
const runtime = createTestRuntime({ now: NOW })
const seed = Number(process.env['PINFETCH_SEED'] ?? 9421)

const keyed = (private_: Parameters<typeof localSigner>[0], public_: Parameters<typeof verificationKey>[0]) => ({
  signer: localSigner(private_, { keyId: 'k' }),
  key: verificationKey(public_, { keyId: 'k' }),
})
const secret = createSecretKey(Buffer.alloc(32, 3))
const ed25519 = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
/** Most by the quickest. */
const KEYS = [
  keyed(secret, secret),
  keyed(secret, secret),
  keyed(secret, secret),
  keyed(ed25519.privateKey, ed25519.publicKey),
  keyed(p256.privateKey, p256.publicKey),
] as const
const ALGORITHMS = ['hmac-sha256', 'ed25519', 'ecdsa-p256-sha256'] as const

/** Bytes as they are on the wire, one line each, and where a change must never be accepted. */
interface Wire {
  readonly bytes: Buffer
  readonly isSealed: (at: number) => boolean
  readonly base: string
}

function wireOf(first: string, fields: readonly FieldLine[], body: string, message: Message): Wire {
  const lines = [first, ...fields.map(([name, value]) => `${name}: ${value}`)]
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1')
  const text = bytes.toString('latin1')
  const sealed: (readonly [number, number])[] = [[bytes.length - body.length, bytes.length]]
  const seal = (part: string): void => void sealed.push([text.indexOf(part), text.indexOf(part) + part.length])
  const { components = [], parametersText = '' } = readSignatures(message.fields).get('sig') ?? {}
  seal(parametersText)
  seal(fields.find(([name]) => name === 'signature')?.[1].slice('sig='.length) ?? '')
  for (const { name, key, req } of components) {
    const value = req ? undefined : fields.find(([field]) => field === name)?.[1]
    if (value !== undefined)
      seal(key === undefined ? value : (value.split(', ').find((one) => one.startsWith(key)) ?? ''))
  }
  if (message.kind === 'request') seal(first.slice(0, first.lastIndexOf(' ')))
  else seal(String(message.status))
  const isSealed = (at: number): boolean => sealed.some(([start, end]) => start <= at && at < end)
  return { bytes, isSealed, base: signatureBase(components, parametersText, message) }
}

interface Parsed {
  readonly first: string
  readonly fields: readonly FieldLine[]
  readonly body: Buffer
}

/** As a parser of HTTP would that takes nothing but what RFC 9112 allows; `undefined` for what it refuses. */
function parse(bytes: Buffer): Parsed | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const fields: FieldLine[] = []
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) return undefined
    fields.push([name.toLowerCase(), value.replace(/^[\t ]+|[\t ]+$/g, '')])
  }
  return { first, fields, body: bytes.subarray(end + 4) }
}

type Verify = (parsed: Parsed) => Promise<Message | undefined>

async function mutate(wires: readonly Wire[], verifiers: readonly Verify[]): Promise<{ accepted: number }> {
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  let accepted = 0
  for (let number = 0; number < MUTATIONS; number += 1) {
    const which = number % wires.length
    const [wire, verify] = [wires[which], verifiers[which]]
    if (wire === undefined || verify === undefined) throw new Error('no wire')
    const bytes = Buffer.from(wire.bytes)
    const at = below(bytes.length)
    // half of them a bit, half of them any octet
    bytes[at] = below(2) === 0 ? (bytes[at] ?? 0) ^ (1 << below(8)) : ((bytes[at] ?? 0) + 1 + below(255)) % 256
    const parsed = parse(bytes)
    const message = parsed && (await verify(parsed))
    if (message === undefined) continue
    accepted += 1
    const { components = [], parametersText = '' } = readSignatures(message.fields).get('sig') ?? {}
    const where = `seed ${seed}, mutation ${number} at ${at}: ${JSON.stringify(bytes.toString('latin1'))}`
    if (wire.isSealed(at)) expect.fail(`accepted, ${where}`)
    if (signatureBase(components, parametersText, message) !== wire.base) expect.fail(`another base, ${where}`)
  }
  return { accepted }
}

async function orRefused<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof VerifyError) return undefined
    throw error // hostile input never fails in another way
  }
}

async function signedRequest(signer: Signer): Promise<Wire> {
  const body = '{"amount":"10.00","to":"DE89370400440532013000"}'
  const digest = createHash('sha256').update(body).digest('base64')
  const fields: FieldLine[] = [
    ['host', 'api.example.com'],
    ['accept', '*/*'],
    ['authorization', 'Bearer abc.def-ghi'],
    ['content-type', 'application/json'],
    ['content-digest', `sha-256=:${digest}:`],
    ['priority', 'u=1, i'],
    ['x-free', 'nobody signs this'],
  ]
  const message = { kind: 'request', method: 'POST', url: `${ORIGIN}/transfers?id=7&dry=1`, fields } as const
  const components = [
    '@method',
    '@target-uri',
    'authorization',
    'content-type',
    'content-digest',
    { name: 'priority', key: 'u' },
  ]
  const covered = components.map((one) => componentIdentifier(one as never))
  const text = `(${covered.map((one) => one.text).join(' ')});created=${NOW / 1_000};keyid="k";nonce="n-1";tag="pay"`
  const signature = await signer.sign(Buffer.from(signatureBase(covered, text, message)), {
    signal: AbortSignal.any([]),
  })
  const all = [
    ...fields,
    ['signature-input', `sig=${text}`] as const,
    ['signature', `sig=:${Buffer.from(signature).toString('base64')}:`] as const,
  ]
  return wireOf('POST /transfers?id=7&dry=1 HTTP/1.1', all, body, { ...message, fields: all })
}

function requestVerifier(key: VerificationKey): Verify {
  const verify = verifyRequests({ keys: key, algorithms: ALGORITHMS, maxAgeSec: 60, origin: ORIGIN, runtime })
  return ({ first, fields, body }) =>
    orRefused(async () => {
      const [, method = '', url = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.1$/.exec(first) ?? []
      if (url === '') return undefined
      return (await verify({ method, url, rawHeaders: fields.flat() }, body)).message
    })
}

const SENT = {
  authority: 'api.example.com',
  method: 'GET',
  path: '/accounts?page=2',
  headers: ['accept', '*/*', 'x-id', '7'],
}
const REQUEST: RequestMessage = {
  kind: 'request',
  method: 'GET',
  url: `${ORIGIN}/accounts?page=2`,
  fields: [
    ['accept', '*/*'],
    ['x-id', '7'],
  ],
}

async function signedResponse(keys: Signer): Promise<Wire> {
  const body = '{"accounts":[{"id":1,"balance":"10.00"}]}'
  const headers: FieldLine[] = [
    ['date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
    ['content-type', 'application/json'],
    ['cache-control', 'no-store'],
    ['x-free', 'nobody signs this'],
  ]
  const added = await signResponses({ keys, runtime, tag: 'pay' })(
    { status: 200, headers, body: Buffer.from(body) },
    REQUEST,
  )
  const fields: FieldLine[] = [...headers, ...Object.entries(added)]
  return wireOf('HTTP/1.1 200 OK', fields, body, { kind: 'response', status: 200, fields, request: REQUEST })
}

function responseVerifier(key: VerificationKey, body: 'hold' | 'stream'): Verify {
  const policy = { keys: keysById([key]), algorithms: ALGORITHMS, maxAgeSec: 60, clockSkewSec: 0 }
  const required = ['@status', 'content-type'].map((name) => ({
    ways: [[componentIdentifier(name)]],
    code: 'ERR_VERIFY_COVERAGE' as const,
  }))
  const rules = {
    policy,
    required,
    require: 'always',
    bindRequest: true,
    digest: 'require',
    body,
    maxHeldBytes: 1_000,
  } as const
  return ({ first, fields, body: bytes }) =>
    orRefused(async () => {
      const [, status = ''] = /^HTTP\/1\.1 ([2-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*$/.exec(first) ?? []
      if (status === '') return undefined
      const inspection = inspectResponse(SENT, rules, { runtime, emit: () => undefined })
      const head = { status: Number(status), fields: fields.flat().map((text) => Buffer.from(text, 'latin1')) }
      inspection.begin(head)
      const check = await inspection.judge(head, [])
      check.update(bytes)
      check.end()
      return { kind: 'response', status: head.status, fields, request: REQUEST }
    })
}

const timeout = isFull ? 3_600_000 : 120_000

test(`of ${MUTATIONS} requests with one octet changed none passes that says something else`, { timeout }, async () => {
  const wires = await Promise.all(KEYS.map(({ signer }) => signedRequest(signer)))
  const verifiers = KEYS.map(({ key }) => requestVerifier(key))
  for (const [at, wire] of wires.entries()) expect(await verifiers[at]?.(parse(wire.bytes) as Parsed)).toBeDefined()
  const { accepted } = await mutate(wires, verifiers)
  expect(accepted).toBeGreaterThan(MUTATIONS / 100) // what nobody signed may change: the test sees acceptance
})

test(`of ${MUTATIONS} responses with one octet changed none passes that says something else`, { timeout }, async () => {
  const wires = await Promise.all(KEYS.map(({ signer }) => signedResponse(signer)))
  const verifiers = KEYS.map(({ key }, at) => responseVerifier(key, at % 2 === 0 ? 'hold' : 'stream'))
  for (const [at, wire] of wires.entries()) expect(await verifiers[at]?.(parse(wire.bytes) as Parsed)).toBeDefined()
  const { accepted } = await mutate(wires, verifiers)
  expect(accepted).toBeGreaterThan(MUTATIONS / 100)
})

import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompactSign, flattenedVerify } from 'jose'
import { localSigner } from 'pinfetch/signing'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { canonicalJson, type JsonValue } from '../../../src/encoding/canonical-json.ts'
import { createEmitter } from '../../../src/events/emitter.ts'
import type { HandshakeEvent } from '../../../src/events/handshake.ts'
import { verificationKey } from '../../../src/keys/verification-key.ts'
import { captureEvidence, collectEvidence } from '../../../src/monitor/evidence/collect.ts'
import { fileName, keepFile } from '../../../src/monitor/evidence/files.ts'
import { sealedText } from '../../../src/monitor/evidence/seal.ts'
import { verifyEvidence } from '../../../src/monitor/evidence/verify.ts'
import { sha256 } from '../../../src/monitor/validation-record.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { createAnchors } from '../../../src/trust/anchors.ts'
import { evaluateTrust, type TrustInput } from '../../../src/trust/evaluate.ts'
import { rememberJudgement } from '../../../src/trust/judgement.ts'
import { testClient, until } from '../../support/client.ts'
import { originOf, policyFor } from '../../support/policy.ts'
import { handshakeOf } from './event.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const stranger = testCa().root
const now = toUnixMs(Date.now())
const pair = generateKeyPairSync('ed25519')
const signer = localSigner(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { keyId: 'orders-1' })
const key = verificationKey(pair.publicKey, { keyId: 'orders-1' })

/** A handshake as a connector tells it: judged, and led to what it was judged by. */
function judged(more: Partial<HandshakeEvent> = {}, pin = stranger.pin): HandshakeEvent {
  const origin = originOf(`https://${HOST}`)
  const policy = policyFor(origin, [pin], { anchors: createAnchors(ca.anchorPem) })
  const presented = server.chain
  const input: TrustInput = { presented, identity: { kind: 'dns', name: HOST }, policy, now }
  const verdict = evaluateTrust(input)
  const event = handshakeOf({
    at: now,
    presented,
    ...(verdict.kind === 'rejected'
      ? {
          outcome: 'refused',
          code: verdict.findings[0].code,
          findings: verdict.findings,
          chain: verdict.chain,
        }
      : {}),
    ...more,
  })
  rememberJudgement(event, { input })
  return event
}

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-evidence-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('evidence is signed as a JWS without its payload, which others verify too', async () => {
  const { evidence, signature = '', text } = await captureEvidence(judged(), { signer })
  expect(verifyEvidence(Buffer.from(text), key)).toMatchObject({
    signature: 'verified',
    differences: [],
    again: { outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' },
  })
  const [header = '', , made = ''] = signature.split('.')
  const payload = Buffer.from(canonicalJson(evidence)).toString('base64url')
  const jws = { protected: header, payload, signature: made }
  expect((await flattenedVerify(jws, pair.publicKey)).protectedHeader).toEqual({
    alg: 'EdDSA',
    kid: 'orders-1',
    typ: 'pinfetch-evidence+jws',
  })
})

test.each(['ec', 'rsa'] as const)('with a key of kind %s as well', async (kind) => {
  const { privateKey, publicKey } =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const { text } = await captureEvidence(judged(), { signer: localSigner(privateKey) })
  expect(verifyEvidence(Buffer.from(text), verificationKey(publicKey, { keyId: '' })).signature).toBe('verified')
})

test('a signature that is missing, of another key, of another kind, or made for something else is none', async () => {
  const sealed = await captureEvidence(judged(), { signer })
  const { signature: _, ...unsigned } = sealed
  const verify = (text: string, with_: Parameters<typeof verifyEvidence>[1]) => () =>
    verifyEvidence(Buffer.from(text), with_)
  const code = (expected: string) => expect.objectContaining({ code: expected })
  expect(verify(sealedText(unsigned), key)).toThrow(code('ERR_VERIFY_MISSING'))
  const other = verificationKey(generateKeyPairSync('ed25519').publicKey, { keyId: '' })
  expect(verify(sealed.text, other)).toThrow(code('ERR_VERIFY_FAILED'))
  const curve = verificationKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, { keyId: '' })
  expect(verify(sealed.text, curve)).toThrow(code('ERR_VERIFY_ALG_MISMATCH'))
  const payload = Buffer.from(canonicalJson(sealed.evidence))
  for (const header of [{ alg: 'EdDSA' }, { alg: 'EdDSA', typ: 'pinfetch-evidence+jws', crit: ['x'], x: 1 }]) {
    const jws = await new CompactSign(payload)
      .setProtectedHeader(header)
      .sign(pair.privateKey, { crit: { x: true } })
      .then((made) => made.split('.'))
    const forged = { ...unsigned, signature: `${jws[0]}..${jws[2]}` }
    expect(verify(sealedText(forged), key)).toThrow(code('ERR_VERIFY_MALFORMED'))
  }
  expect(verify(sealed.text, key)).not.toThrow()
  expect(verifyEvidence(Buffer.from(sealed.text)).signature).toBe('unchecked')
  expect(verifyEvidence(Buffer.from(sealedText(unsigned))).signature).toBe('unsigned')
})

test('every member that is changed, every one that is left out and every one that is added is found', async () => {
  const { text } = await captureEvidence(judged(), { signer })
  const document = JSON.parse(text) as { evidence: JsonValue }
  let changes = 0
  for (const changed of variantsOf(document.evidence)) {
    const edited = canonicalJson({ ...document, evidence: changed })
    expect(() => verifyEvidence(Buffer.from(edited))).toThrow(
      expect.objectContaining({ code: 'ERR_MONITOR_EVIDENCE_ALTERED' }),
    )
    changes += 1
  }
  expect(changes).toBeGreaterThan(200)

  // Whoever can write the file can write a digest that fits, and not a signature.
  const [some] = variantsOf(document.evidence)
  const forged = { ...document, evidence: some ?? null, sha256: sha256(canonicalJson(some ?? null)) }
  expect(() => verifyEvidence(Buffer.from(canonicalJson(forged)), key)).toThrow(
    expect.objectContaining({ code: 'ERR_VERIFY_FAILED' }),
  )
})

test.each([
  ['host', (handshake: Record<string, unknown>) => Object.assign(handshake, { host: 'other.example.com' })],
  ['certificates', (handshake: Record<string, unknown>) => Object.assign(handshake, { certificates: [] })],
  ['path of the handshake', (handshake: Record<string, unknown>) => Object.assign(handshake, { path: [] })],
  [
    'verdict of the handshake',
    (handshake: Record<string, unknown>) => {
      delete handshake['code']
      handshake['verdict'] = 'accepted'
    },
  ],
])('what is read first is what was judged: %s', async (what, change) => {
  const { evidence } = await captureEvidence(judged())
  const copy = JSON.parse(canonicalJson(evidence))
  change(copy.handshake)
  const text = canonicalJson({ evidence: copy, sha256: sha256(canonicalJson(copy)) })
  expect(verifyEvidence(Buffer.from(text)).differences.join('; ')).toContain(`${what}: recorded`)
})

test('what the verdict rests on, changed under a digest that fits, gives another verdict or none', async () => {
  const { evidence } = await captureEvidence(judged())
  const edit = (change: (judged: Record<string, never>) => void): (() => unknown) => {
    const copy = JSON.parse(canonicalJson(evidence))
    change(copy.judged)
    return () => verifyEvidence(Buffer.from(canonicalJson({ evidence: copy, sha256: sha256(canonicalJson(copy)) })))
  }
  const differs = (change: Parameters<typeof edit>[0]) =>
    (edit(change)() as ReturnType<typeof verifyEvidence>).differences.join('; ')
  expect(differs(() => undefined)).toBe('')
  expect(
    differs((judged: { policy?: { pinGroups: { spki: string }[][] } }) => {
      for (const pin of judged.policy?.pinGroups[0] ?? []) pin.spki = server.pin
    }),
  ).toContain('code: recorded ERR_TRUST_PIN_MISMATCH, judged again none')
  expect(
    differs((judged: { now?: number }) => {
      judged.now = now + 400 * 86_400_000
    }),
  ).toContain('judged again ERR_TRUST_CERT_EXPIRED')
  expect(
    differs((judged: { anchors?: { certificates: object[] } }) => {
      if (judged.anchors !== undefined) judged.anchors.certificates = []
    }),
  ).toContain('judged again ERR_TRUST_UNKNOWN_ISSUER')
  expect(
    differs((judged: { verdict?: { code: string } }) => {
      if (judged.verdict !== undefined) judged.verdict.code = 'ERR_TRUST_PIN_DENIED'
    }),
  ).toContain('recorded ERR_TRUST_PIN_DENIED, judged again ERR_TRUST_PIN_MISMATCH')
  const malformed = expect.objectContaining({ code: 'ERR_MONITOR_EVIDENCE_MALFORMED' })
  expect(edit((judged: { policy?: object }) => Object.assign(judged.policy ?? {}, { newRule: 1 }))).toThrow(malformed)
  expect(
    edit((judged: { anchors?: { certificates: { der: string }[] } }) => {
      for (const anchor of judged.anchors?.certificates ?? []) anchor.der = 'AAAA'
    }),
  ).toThrow(malformed)
  const evil = '\u001b[2J\u202e'
  expect(
    edit((judged: { policy?: object }) => Object.assign(judged.policy ?? {}, { [`${evil}${'x'.repeat(9_000)}`]: 1 })),
  ).toThrow(expect.objectContaining({ message: expect.stringMatching(/^evidence: [\x20-\x7e]{10,300}$/) }))
})

test.each([
  ['no JSON', 'hello'],
  ['a member twice', '{"evidence":{},"evidence":{},"sha256":""}'],
  ['another shape', '{"evidence":{}}'],
  ['no bundle', canonicalJson({ evidence: { a: 1 }, sha256: sha256('{"a":1}') })],
  ['too deep', `${'['.repeat(100)}${']'.repeat(100)}`],
  ['too long', ' '.repeat(4 * 1024 ** 2 + 1)],
])('refuses %s: ERR_MONITOR_EVIDENCE_MALFORMED', (_, text) => {
  expect(() => verifyEvidence(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: 'ERR_MONITOR_EVIDENCE_MALFORMED' }),
  )
})

test('a thousand failures leave few files: one for each kind within an hour, and no more than the limit', async () => {
  const dir = await folder()
  const { on, emit } = createEmitter()
  const collected = collectEvidence({ on }, { dir, limit: { perHour: 8, files: 5 } })
  for (let index = 0; index < 500; index += 1) emit(judged())
  for (let index = 0; index < 500; index += 1)
    emit(judged({ host: `h${index}.example.com`, at: toUnixMs(now + index) }))
  await collected.close()
  expect(collected).toMatchObject({ written: 8, suppressed: 992, failed: 0 })
  const names = (await readdir(dir)).sort()
  expect(names).toHaveLength(5) // the oldest three went
  expect(names[0]).toMatch(/^\d{8}T\d{6}\.\d{3}Z-h2\.example\.com-[0-9a-f]{12}\.json$/)
  if (process.platform !== 'win32') expect((await stat(join(dir, names[0] ?? ''))).mode & 0o777).toBe(0o600)
  for (const name of names) {
    const { differences } = verifyEvidence(await readFile(join(dir, name)))
    expect(differences).toEqual([expect.stringMatching(/^host: recorded h\d\.example\.com/)]) // as it was made up here
  }
})

test('the same violation an hour later is kept again; octets are bounded, and files of others stay', async () => {
  const dir = await folder()
  await writeFile(join(dir, 'notes.txt'), 'of a person')
  const { on, emit } = createEmitter()
  const hourly = collectEvidence({ on }, { dir })
  for (let hour = 0; hour < 4; hour += 1) emit(judged({ at: toUnixMs(now + hour * 3_600_000) }))
  await hourly.close()
  expect(hourly.written).toBe(4)
  const bounded = collectEvidence({ on }, { dir, limit: { bytes: 1 } })
  emit(judged({ at: toUnixMs(now + 9 * 3_600_000) }))
  await bounded.close()
  expect((await readdir(dir)).filter((name) => name.endsWith('.json'))).toHaveLength(1)
  expect(await readFile(join(dir, 'notes.txt'), 'utf8')).toBe('of a person')
})

test('a folder that cannot be made, a disk that is full and a signer that is away harm no request', async () => {
  const file = join(await folder(), 'not-a-folder')
  await writeFile(file, '')
  const { port } = await until(startTlsServer({ identity: server }))
  const client = testClient({ pins: { [HOST]: [stranger.pin] }, anchors: ca.anchorPem, mode: 'report' })
  const told: string[] = []
  client.on('outlet.failed', ({ message }) => void told.push(message))
  const full = (): never => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' })
  }
  const failing = [
    collectEvidence(client, { dir: join(file, 'evidence') }),
    collectEvidence(client, { write: full }),
    collectEvidence(client, { write: () => undefined, signer: { ...signer, sign: async () => full() } }),
  ]
  expect((await client.fetch(`https://${HOST}:${port}/`)).status).toBe(200)
  for (const one of failing) {
    await one.close()
    expect(one).toMatchObject({ written: 0, failed: 1, failure: expect.stringMatching(/ENOTDIR|ENOSPC/) })
  }
  expect(told).toHaveLength(3)
})

test('a folder that is missing is made, for this user alone', async () => {
  const dir = join(await folder(), 'deep', 'evidence')
  const { on, emit } = createEmitter()
  const collected = collectEvidence({ on }, { dir })
  emit(judged())
  await collected.close()
  expect(await readdir(dir)).toHaveLength(1)
  if (process.platform !== 'win32') expect((await stat(dir)).mode & 0o777).toBe(0o700)
})

test('a writer that failed is told of once, and once more when it is back', async () => {
  const { on, emit } = createEmitter()
  let isFull = true
  const write = (): void => {
    if (isFull) throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', syscall: 'write' })
  }
  const collected = collectEvidence({ on }, { write })
  const told: string[] = []
  for (const type of ['outlet.failed', 'outlet.recovered'] as const) on(type, (event) => void told.push(event.type))
  for (let index = 0; index < 3; index += 1) emit(judged({ host: `h${index}.example.com` }))
  await expect.poll(() => collected.failed).toBe(3)
  isFull = false
  for (let index = 3; index < 5; index += 1) emit(judged({ host: `h${index}.example.com` }))
  await collected.close()
  expect(told).toEqual(['outlet.failed', 'outlet.recovered'])
  expect(collected).toMatchObject({ written: 2, failed: 3, failure: undefined })
})

test('a kind that could not be kept is due again', async () => {
  const { on, emit } = createEmitter()
  let isFull = true
  const write = (): void => {
    if (isFull) throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', syscall: 'write' })
  }
  const collected = collectEvidence({ on }, { write, limit: { perHour: 3 } })
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    emit(judged())
    await expect.poll(() => collected.failed).toBe(attempt)
  }
  isFull = false
  emit(judged())
  await expect.poll(() => collected.written).toBe(1)
  emit(judged())
  emit(judged({ host: 'other.example.com' })) // what failed counts against the hour
  await collected.close()
  expect(collected).toMatchObject({ written: 1, failed: 2, suppressed: 2 })
})

test('the file that was just written stays, also where the clock was set back', async () => {
  const dir = await folder()
  const { on, emit } = createEmitter()
  const collected = collectEvidence({ on }, { dir, limit: { files: 1 } })
  emit(judged())
  await expect.poll(() => collected.written).toBe(1)
  emit(judged({ at: toUnixMs(now - 9 * 3_600_000) }))
  await collected.close()
  expect(collected.written).toBe(2)
  const [name = '', ...more] = await readdir(dir)
  expect(more).toEqual([])
  const { evidence } = verifyEvidence(await readFile(join(dir, name)))
  expect(evidence.handshake.at).toBe(new Date(now - 9 * 3_600_000).toISOString())
})

test('processes that tidy one folder at once do not fail by each other', async () => {
  const dir = await folder()
  const names = Array.from({ length: 40 }, (_, index) => fileName(now + index, HOST, 'a'.repeat(64)))
  await Promise.all(names.map((name) => keepFile(dir, name, '{}', { files: 3, bytes: 1_000 })))
  expect((await readdir(dir)).length).toBeLessThanOrEqual(names.length)
  await keepFile(dir, fileName(now + 99, HOST, 'b'.repeat(64)), '{}', { files: 3, bytes: 1_000 })
  expect(await readdir(dir)).toHaveLength(3)
})

test('a handshake of which nobody knows what it was judged by is evidence of what was seen', async () => {
  const { text } = await captureEvidence(handshakeOf({ outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' }))
  const verified = verifyEvidence(Buffer.from(text))
  expect(verified.again).toBeUndefined()
  expect(verified.evidence.handshake.code).toBe('ERR_TRUST_PIN_MISMATCH')
})

test('the host decides nothing about where a file goes', async () => {
  const dir = await folder()
  await mkdir(join(dir, 'in'))
  const { on, emit } = createEmitter()
  const collected = collectEvidence({ on }, { dir: join(dir, 'in') })
  emit(judged({ host: `../../${'x'.repeat(300)}/\0` }))
  await collected.close()
  expect(await readdir(join(dir, 'in'))).toEqual([expect.stringMatching(/^[A-Za-z0-9._-]{20,200}$/)])
  expect(await readdir(dir)).toEqual(['in'])
})

test.each([
  [{}, 'either dir or write'],
  [{ dir: 'a', write: () => undefined }, 'either dir or write'],
  [{ dir: 'a', limit: { files: 0 } }, 'limit.files'],
  [{ dir: 'a', singer: 1 }, 'singer'],
])('refuses the options %j: ERR_CONFIG_INVALID', (options, what) => {
  const { on } = createEmitter()
  expect(() => collectEvidence({ on }, options as never)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(what) }),
  )
})

/** The value with one leaf changed, one member or element left out, or one added: one variant for each place. */
function* variantsOf(value: JsonValue | undefined): Generator<JsonValue> {
  if (typeof value === 'string') yield value === '' ? 'x' : `${value[0] === 'A' ? 'B' : 'A'}${value.slice(1)}`
  else if (typeof value === 'number') yield value + 1
  else if (typeof value === 'boolean') yield !value
  else if (value === null) yield 0
  else if (Array.isArray(value)) {
    yield [...value, 0]
    for (const [index, element] of (value as readonly JsonValue[]).entries()) {
      yield value.filter((_, at) => at !== index)
      for (const changed of variantsOf(element)) yield value.map((one, at) => (at === index ? changed : one))
    }
  } else if (value !== undefined) {
    const members = value as Readonly<Record<string, JsonValue>>
    yield { ...members, added: 1 }
    for (const [name, member] of Object.entries(members)) {
      yield Object.fromEntries(Object.entries(members).filter(([other]) => other !== name))
      for (const changed of variantsOf(member)) yield { ...members, [name]: changed }
    }
  }
}

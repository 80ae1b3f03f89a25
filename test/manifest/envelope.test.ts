import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { generateSigningKey, type SigningKey } from '../../src/publisher/keys.ts'
import { signDocument } from '../../src/publisher/sign.ts'
import {
  codeOf,
  createWorld,
  type Forgery,
  forge,
  forgedEnvelope,
  host,
  payloadOf,
  startedWorld,
  text,
  type World,
} from './world.ts'

/** What a client with manifest 1 in force says to the given status; it must still have manifest 1 in force afterwards. */
async function judge(
  make: (world: World, status: Record<string, unknown>) => Uint8Array | Promise<Uint8Array>,
): Promise<string> {
  const { world, updater } = await startedWorld()
  const view = updater.current()
  await world.repository.publishStatus({ now: world.now() })
  const status = payloadOf(world.repository.files().get('status.json'))
  world.serve('status.json', await make(world, status))
  const code = await codeOf(world.refresh(updater)).catch((error: Error) => error.message)
  expect(updater.current()).toBe(view)
  const accepted = updater.health().statusVersion === 2
  await updater.close()
  return accepted ? 'accepted' : code
}

const signersOf = (world: World) => world.repository.roles().status.keys

const judgeForgery = (forgery: Forgery) => judge((world, status) => forge(status, 'status', signersOf(world), forgery))

const judgeEnvelope = (change: (envelope: ReturnType<typeof forgedEnvelope>) => unknown) =>
  judge((world, status) => text(JSON.stringify(change(forgedEnvelope(status, 'status', signersOf(world))))))

let strangers: SigningKey[]
beforeAll(async () => {
  strangers = await Promise.all(Array.from({ length: 16 }, () => generateSigningKey()))
})

describe('threshold', () => {
  test('a status that nobody of the role signed is refused with ERR_MANIFEST_SIG_THRESHOLD (case 38)', async () => {
    expect(await judge((_, status) => forge(status, 'status', strangers.slice(0, 1)))).toBe(
      'ERR_MANIFEST_SIG_THRESHOLD',
    )
  })

  test('one good signature among unknown keys is not two: ERR_MANIFEST_SIG_THRESHOLD (case 39)', async () => {
    const keys = [await generateSigningKey(), await generateSigningKey()]
    const world = await createWorld({ roles: { manifest: { keys, threshold: 2 } } })
    await world.repository.publishManifest([host()], { now: world.now() })
    const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/')) as string
    const payload = payloadBytes(world.repository.files().get(path))
    world.serve(path, forge(payload, 'manifest', [keys[0] as SigningKey, ...strangers.slice(0, 3)]))
    const updater = world.start()
    expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_SIG_THRESHOLD')
    expect(updater.current().kind).toBe('cold')
    world.serve(path, forge(payload, 'manifest', [...strangers.slice(0, 3), ...keys]))
    await world.refresh(updater)
    expect(updater.current().kind).toBe('fresh')
    await updater.close()
  })

  test('one key that signs twice is refused with ERR_MANIFEST_SIG_DUPLICATE_KID (case 40)', async () => {
    const twice = judge((world, status) => forge(status, 'status', [...signersOf(world), ...signersOf(world)]))
    expect(await twice).toBe('ERR_MANIFEST_SIG_DUPLICATE_KID')
  })

  test('a manifest signed by the status key is refused with ERR_MANIFEST_SIG_THRESHOLD (case 41)', async () => {
    const world = await createWorld()
    await world.repository.publishManifest([host()], { now: world.now() })
    const path = [...world.repository.files().keys()].find((name) => name.startsWith('manifests/')) as string
    world.serve(path, forge(payloadBytes(world.repository.files().get(path)), 'manifest', signersOf(world)))
    const updater = world.start()
    expect(await codeOf(world.drive(updater.refresh()))).toBe('ERR_MANIFEST_SIG_THRESHOLD')
    await updater.close()
  })

  test.each<[string, (entry: Record<string, unknown>) => unknown]>([
    ['a wrong', (entry) => ({ ...entry, signature: 'A'.repeat(86) })],
    ['an empty', (entry) => ({ ...entry, signature: '' })],
  ])('%s signature beside the threshold does no harm (case 42)', async (_, spoil) => {
    const [extra] = strangers
    const accepted = await judge((world, status) => {
      const good = forgedEnvelope(status, 'status', signersOf(world))
      const bad = forgedEnvelope(status, 'status', [extra as SigningKey])
      return text(
        JSON.stringify({
          ...good,
          signatures: [...bad.signatures.map((entry) => spoil(entry as Record<string, unknown>)), ...good.signatures],
        }),
      )
    })
    expect(accepted).toBe('accepted')
  })

  test('an empty signature of the only signer is refused with ERR_MANIFEST_SIG_THRESHOLD', async () => {
    expect(await judgeForgery({ entry: (entry) => ({ ...entry, signature: '' }) })).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  })

  test('a changed payload under a good signature is refused with ERR_MANIFEST_SIG_THRESHOLD', async () => {
    const code = await judge((world, status) => {
      const { signatures } = forgedEnvelope(status, 'status', signersOf(world))
      const { payload } = forgedEnvelope({ ...status, version: 3 }, 'status', signersOf(world))
      return text(JSON.stringify({ payload, signatures }))
    })
    expect(code).toBe('ERR_MANIFEST_SIG_THRESHOLD')
  })
})

describe('protected header', () => {
  test('another typ is refused with ERR_MANIFEST_SIG_TYP_MISMATCH (case 43)', async () => {
    const code = await judge((world, status) => forge(status, 'manifest', signersOf(world)))
    expect(code).toBe('ERR_MANIFEST_SIG_TYP_MISMATCH')
  })

  test('the right typ over another kind of payload is refused with ERR_MANIFEST_PAYLOAD_TYPE (case 44)', async () => {
    const code = await judge((world, status) => forge({ ...status, type: 'manifest' }, 'status', signersOf(world)))
    expect(code).toBe('ERR_MANIFEST_PAYLOAD_TYPE')
  })

  test.each([
    ['b64', { b64: false, crit: ['b64'] }],
    ['crit', { crit: ['exp'], exp: 1 }],
    ['jwk', { jwk: { kty: 'OKP' } }],
    ['jku', { jku: 'https://evil.example/' }],
    ['x5u', { x5u: 'https://evil.example/' }],
    ['x5c', { x5c: ['AAAA'] }],
    ['cty', { cty: 'json' }],
  ])('%s is refused with ERR_MANIFEST_SIG_HEADER_FORBIDDEN (cases 45, 46)', async (_, members) => {
    expect(await judgeForgery({ header: (header) => ({ ...header, ...members }) })).toBe(
      'ERR_MANIFEST_SIG_HEADER_FORBIDDEN',
    )
  })

  test('an unprotected header is refused with ERR_MANIFEST_ENVELOPE_SHAPE (case 47)', async () => {
    const code = await judgeForgery({ entry: (entry) => ({ ...entry, header: { kid: 'x' } }) })
    expect(code).toBe('ERR_MANIFEST_ENVELOPE_SHAPE')
  })

  test.each(['EdDSA', 'none', 'HS256', 'ES256'])(
    'alg %s with an Ed25519 key is refused with ERR_MANIFEST_SIG_ALG_MISMATCH (case 48)',
    async (alg) => {
      expect(await judgeForgery({ header: (header) => ({ ...header, alg }) })).toBe('ERR_MANIFEST_SIG_ALG_MISMATCH')
    },
  )

  test.each<[string, (header: Record<string, unknown>) => unknown]>([
    ['not JSON (case 54)', () => '{'],
    ['an array', () => []],
    ['without kid', ({ alg, typ }) => ({ alg, typ })],
    ['with a numeric alg', (header) => ({ ...header, alg: 1 })],
    ['with a member twice', (header) => `${JSON.stringify(header).slice(0, -1)},"alg":"none"}`],
  ])('one that is %s is refused with ERR_MANIFEST_SIG_HEADER_INVALID', async (_, header) => {
    expect(await judgeForgery({ header })).toBe('ERR_MANIFEST_SIG_HEADER_INVALID')
  })
})

describe('envelope', () => {
  test.each<[string, (envelope: ReturnType<typeof forgedEnvelope>) => unknown]>([
    ['padded base64url (case 50)', (envelope) => ({ ...envelope, payload: `${envelope.payload}=` })],
    ['whitespace in base64url (case 50)', (envelope) => ({ ...envelope, payload: ` ${envelope.payload}` })],
    ['base64 of the other alphabet', (envelope) => ({ ...envelope, payload: 'ab+/' })],
    ['a flattened JWS (case 52)', ({ payload, signatures: [entry = {}] }) => ({ payload, ...(entry as object) })],
    ['a further member', (envelope) => ({ ...envelope, comment: '' })],
    ['no signature', (envelope) => ({ ...envelope, signatures: [] })],
    ['a payload that is no text', (envelope) => ({ ...envelope, payload: {} })],
    ['an array', (envelope) => [envelope]],
    ['brackets without end', () => Array.from({ length: 500 }).reduce((inner) => [inner], 1)],
  ])('%s is refused with ERR_MANIFEST_ENVELOPE_SHAPE', async (_, change) => {
    expect(await judgeEnvelope(change)).toBe('ERR_MANIFEST_ENVELOPE_SHAPE')
  })

  test('seventeen signatures are refused with ERR_MANIFEST_ENVELOPE_SHAPE (case 53)', async () => {
    const code = await judge((world, status) => forge(status, 'status', [...strangers, ...signersOf(world)]))
    expect(code).toBe('ERR_MANIFEST_ENVELOPE_SHAPE')
  })

  test('a member twice is refused with ERR_MANIFEST_ENVELOPE_SHAPE', async () => {
    const code = await judge((world, status) => {
      const envelope = JSON.stringify(forgedEnvelope(status, 'status', signersOf(world)))
      return text(`{"payload":"AAAA",${envelope.slice(1)}`)
    })
    expect(code).toBe('ERR_MANIFEST_ENVELOPE_SHAPE')
  })

  test.each<[string, (world: World, status: Record<string, unknown>) => Uint8Array]>([
    ['a compact JWS (case 51)', () => text('eyJhbGciOiJFZDI1NTE5In0.e30.AAAA')],
    ['a captive portal’s HTML (case 55)', () => text('<!doctype html><html></html>')],
    [
      'a byte order mark (case 57)',
      (world, status) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), forge(status, 'status', signersOf(world))]),
    ],
    ['nothing', () => new Uint8Array()],
  ])('%s is refused with ERR_MANIFEST_ENVELOPE_JSON', async (_, make) => {
    expect(await judge(make)).toBe('ERR_MANIFEST_ENVELOPE_JSON')
  })

  test('invalid UTF-8 is refused with ERR_MANIFEST_ENVELOPE_UTF8 outside, ERR_MANIFEST_PAYLOAD_UTF8 inside (case 56)', async () => {
    const bad = Uint8Array.of(0x22, 0xff, 0x22)
    expect(await judge(() => bad)).toBe('ERR_MANIFEST_ENVELOPE_UTF8')
    expect(await judge((world) => forge(bad, 'status', signersOf(world)))).toBe('ERR_MANIFEST_PAYLOAD_UTF8')
  })

  test('white space after the envelope is accepted and kept as it came (case 61)', async () => {
    const { world, updater } = await startedWorld()
    await world.repository.publishStatus({ now: world.now() })
    const served = Buffer.concat([world.repository.files().get('status.json') as Uint8Array, Buffer.from(' \n')])
    world.serve('status.json', served)
    await world.refresh(updater)
    const base = createHash('sha256').update('acme/pins').digest('hex').slice(0, 16)
    const newest = (await world.store.list(`${base}/prod/status/`)).toSorted().at(-1) as string
    expect(Buffer.from((await world.store.get(newest)) as Uint8Array).equals(served)).toBe(true)
    await updater.close()
  })
})

describe('payload as JSON', () => {
  const judgePayload = (make: (status: Record<string, unknown>) => Uint8Array | string) =>
    judge((world, status) => {
      const payload = make(status)
      return forge(typeof payload === 'string' ? text(payload) : payload, 'status', signersOf(world))
    })

  test('one that is not JSON is refused with ERR_MANIFEST_PAYLOAD_JSON (case 58)', async () => {
    expect(await judgePayload((status) => `${JSON.stringify(status)},`)).toBe('ERR_MANIFEST_PAYLOAD_JSON')
    expect(await judgePayload((status) => `\ufeff${JSON.stringify(status)}`)).toBe('ERR_MANIFEST_PAYLOAD_JSON')
  })

  test.each([
    ['plain', '"version":7'],
    ['escaped', '"vers\\u0069on":7'],
  ])('a member twice, %s, is refused with ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY (case 59)', async (_, member) => {
    const code = await judgePayload((status) => `${JSON.stringify(status).slice(0, -1)},${member}}`)
    expect(code).toBe('ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY')
  })

  test('thirteen levels are refused with ERR_MANIFEST_PAYLOAD_DEPTH, twelve are not (case 60)', async () => {
    const nested = (levels: number) => Array.from({ length: levels - 1 }).reduce((inner) => [inner], 1)
    expect(await judgePayload((status) => JSON.stringify({ ...status, later: nested(13) }))).toBe(
      'ERR_MANIFEST_PAYLOAD_DEPTH',
    )
    expect(await judgePayload((status) => JSON.stringify({ ...status, later: nested(12) }))).toBe('accepted')
  })
})

test('a malleated ES256 signature over the same payload is the same document (case 49)', async () => {
  const { world, updater } = await startedWorld({ alg: 'ES256' })
  const envelope = JSON.parse(Buffer.from(world.repository.files().get('status.json') as Uint8Array).toString()) as {
    signatures: { signature: string }[]
  }
  for (const entry of envelope.signatures) entry.signature = malleate(entry.signature)
  world.serve('status.json', text(JSON.stringify(envelope)))
  await world.refresh(updater)
  expect(updater.health().statusVersion).toBe(1)
  expect(world.eventsOf('manifest.rejected')).toEqual([])
  await updater.close()
})

test('the same payload signed again is no change (case 81)', async () => {
  const { world, updater } = await startedWorld()
  const [extra] = strangers
  const payload = payloadBytes(world.repository.files().get('status.json'))
  world.serve('status.json', await signDocument(payload, 'status', [extra as SigningKey, ...signersOf(world)]))
  const view = updater.current()
  await world.refresh(updater)
  expect(updater.current()).toBe(view)
  await updater.close()
})

function payloadBytes(document: Uint8Array | undefined): Uint8Array {
  const { payload } = JSON.parse(Buffer.from(document ?? new Uint8Array()).toString()) as { payload: string }
  return new Uint8Array(Buffer.from(payload, 'base64url'))
}

/** (r, s) and (r, n − s) both verify. */
function malleate(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url')
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const negated = (P256_ORDER - s).toString(16).padStart(64, '0')
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(negated, 'hex')]).toString('base64url')
}

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

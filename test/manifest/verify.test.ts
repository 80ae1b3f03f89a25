import { calculateJwkThumbprint } from 'jose'
import { expect, test } from 'vitest'
import { ManifestError } from '../../src/errors/errors.ts'
import {
  holderOf,
  parseEnvelope,
  thumbprint,
  type VerificationKey,
  verifyThreshold,
} from '../../src/manifest/verify.ts'
import { generateSigningKey, type SigningKey } from '../../src/publisher/keys.ts'
import { type Forgery, forge, text } from './world.ts'

const WHERE = { document: 'status' } as const
const keys = await Promise.all([
  generateSigningKey({ holder: 'bob' }),
  generateSigningKey({ holder: 'bob' }),
  generateSigningKey({ holder: 'alice' }),
])

const known = ({ kid, alg, holder, publicJwk }: SigningKey): VerificationKey => ({ kid, alg, holder, jwk: publicJwk })
const signed = (by: readonly SigningKey[], forgery?: Forgery) => forge({ version: 1 }, 'status', by, forgery)
const parse = (bytes: Uint8Array) => parseEnvelope(bytes, WHERE)

/** Code and message of a refusal. */
async function refusalOf(run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    if (error instanceof ManifestError) return `${error.code} ${error.message}`
    throw error
  }
  return 'accepted'
}

test.each<[string, () => Uint8Array, string]>([
  ['bytes', () => Uint8Array.of(0x22, 0xff, 0x22), 'ERR_MANIFEST_ENVELOPE_UTF8 status: not UTF-8 text'],
  ['a page', () => text('<html>'), 'ERR_MANIFEST_ENVELOPE_JSON status: not JSON'],
  [
    'another shape',
    () => text('{}'),
    'ERR_MANIFEST_ENVELOPE_SHAPE status: expected {"payload", "signatures": 1 to 16 of {"protected", "signature"}}, all base64url',
  ],
  [
    'a member that is there twice',
    () =>
      text(
        `{"payload": "", ${Buffer.from(signed([keys[0]]))
          .toString()
          .slice(1)}`,
      ),
    'ERR_MANIFEST_ENVELOPE_SHAPE status: expected {"payload", "signatures": 1 to 16 of {"protected", "signature"}}, all base64url',
  ],
  [
    'a key that signed twice',
    () => signed([keys[0], keys[0]]),
    'ERR_MANIFEST_SIG_DUPLICATE_KID status: one key signed twice',
  ],
  [
    'a header that is none',
    () => signed([keys[0]], { header: () => ({ alg: 'Ed25519' }) }),
    'ERR_MANIFEST_SIG_HEADER_INVALID status: a protected header is not {"alg", "kid", "typ"}',
  ],
  [
    'a member that is long',
    () => signed([keys[0]], { header: (header) => ({ ...header, ['x'.repeat(30)]: 1 }) }),
    `ERR_MANIFEST_SIG_HEADER_FORBIDDEN status: a protected header has the member "${'x'.repeat(20)}"`,
  ],
  [
    'a typ that is long',
    () => signed([keys[0]], { header: (header) => ({ ...header, typ: 't'.repeat(50) }) }),
    `ERR_MANIFEST_SIG_TYP_MISMATCH status: expected typ pinfetch-status+jws, saw "${'t'.repeat(40)}"`,
  ],
])('%s is refused, saying what was expected and, cut short, what was seen', async (_, make, refused) => {
  expect(await refusalOf(() => parse(make()))).toBe(refused)
  expect(await refusalOf(() => parse(signed([keys[0]])))).toBe('accepted')
})

test('an algorithm that is not the key’s is refused by name, cut short: ERR_MANIFEST_SIG_ALG_MISMATCH', async () => {
  const envelope = parse(signed([keys[0]], { header: (header) => ({ ...header, alg: 'A'.repeat(30) }) }))
  expect(await refusalOf(() => verifyThreshold(envelope, [known(keys[0])], 1))).toBe(
    `ERR_MANIFEST_SIG_ALG_MISMATCH status: key ${keys[0].kid} has alg Ed25519, its signature says "${'A'.repeat(20)}"`,
  )
})

test('two keys of one holder are one vote, of two they are two: ERR_MANIFEST_SIG_THRESHOLD', async () => {
  const verify = (by: readonly SigningKey[]) => refusalOf(() => verifyThreshold(parse(signed(by)), keys.map(known), 2))
  expect(await verify([keys[0], keys[1]])).toBe(
    'ERR_MANIFEST_SIG_THRESHOLD status: expected good signatures of 2 of the role’s 3 keys, saw 1',
  )
  expect(await verify([keys[1], keys[2]])).toBe('accepted')
})

test('a holder that is called like another key’s kid is not that key', () => {
  const [key, other] = [known(keys[0]), known(keys[1])]
  expect(holderOf({ ...key, holder: undefined })).not.toBe(holderOf({ ...other, holder: key.kid }))
  expect(holderOf({ ...key, holder: undefined })).not.toBe(holderOf({ ...other, holder: undefined }))
})

test('a key that cannot be read is no bad signature: what went wrong is thrown on', async () => {
  const broken = { ...known(keys[0]), jwk: { ...keys[0].publicJwk, x: 'AA' } }
  await expect(verifyThreshold(parse(signed([keys[0]])), [broken], 1)).rejects.not.toBeInstanceOf(ManifestError)
})

test.each(['Ed25519', 'ES256'] as const)('a kid is the RFC 7638 thumbprint, as jose computes it: %s', async (alg) => {
  const { publicJwk } = await generateSigningKey({ alg })
  expect(thumbprint(publicJwk)).toBe(await calculateJwkThumbprint({ ...publicJwk }))
})

test('what an OKP key has beside its required members is no part of its kid (RFC 7638 §3.2, RFC 8037 §2)', () => {
  const { publicJwk } = keys[0]
  expect(thumbprint({ ...publicJwk, y: publicJwk.x })).toBe(thumbprint(publicJwk))
})

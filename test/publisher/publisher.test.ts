import { describe, expect, test } from 'vitest'
import { parseEnvelope, thumbprint } from '../../src/manifest/verify.ts'
import { statusPayload } from '../../src/publisher/documents.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { addSignature, mergeSignatures, signDocument } from '../../src/publisher/sign.ts'
import { createWorld, host, payloadOf } from '../manifest/world.ts'

const NOW = Date.UTC(2026, 0, 1)

test('a thumbprint is that of RFC 8037, appendix A.3', () => {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const
  expect(thumbprint(jwk)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})

describe.each(['Ed25519', 'ES256'] as const)('%s', (alg) => {
  test('signs a repository that a client accepts', async () => {
    const world = await createWorld({ alg })
    await world.repository.publishManifest([host()], { now: world.now() })
    const updater = world.start()
    await world.drive(updater.ready())
    await updater.close()
  })

  test('a key carries its thumbprint and keeps its private part out of documents', async () => {
    const key = await generateSigningKey({ alg, holder: 'alice' })
    expect(key.kid).toBe(thumbprint(key.publicJwk))
    const repository = await createRepository({
      repo: 'acme',
      env: 'prod',
      now: NOW,
      roles: { status: { keys: [key], threshold: 1 } },
    })
    expect(JSON.stringify(payloadOf(repository.anchor))).not.toContain(key.privateJwk.d)
    expect(payloadOf(repository.anchor)['keys']).toContainEqual({ ...key.publicJwk, alg, holder: 'alice' })
  })
})

describe('signatures', () => {
  const payload = statusPayload({
    repo: 'acme',
    env: 'prod',
    version: 1,
    issuedAt: NOW + 999,
    expires: NOW + 60_000,
    epoch: 1,
    root: { version: 1 },
    manifest: { version: 1, length: 1, sha256: 'a'.repeat(64) },
    poll: { interval: 300, spread: 0.25 },
  })
  const kidsOf = (document: Uint8Array) =>
    parseEnvelope(document, { document: 'status' })
      .entries.map(({ kid }) => kid)
      .toSorted()

  test('instants are written in seconds', () => {
    expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({
      issuedAt: '2026-01-01T00:00:00Z',
      expires: '2026-01-01T00:01:00Z',
    })
  })

  test('are added one by one over the same bytes', async () => {
    const [alice, bob] = [await generateSigningKey(), await generateSigningKey()]
    const one = await signDocument(payload, 'status', [alice])
    const two = await addSignature(await addSignature(one, 'status', bob), 'status', bob)
    expect(kidsOf(two)).toEqual([alice.kid, bob.kid].toSorted())
    expect(parseEnvelope(two, { document: 'status' }).payload).toEqual(payload)
  })

  test('of copies are merged, and only when the payload is the same', async () => {
    const [alice, bob] = [await generateSigningKey(), await generateSigningKey()]
    const copies = [await signDocument(payload, 'status', [alice]), await signDocument(payload, 'status', [bob])]
    expect(kidsOf(mergeSignatures('status', copies))).toEqual([alice.kid, bob.kid].toSorted())
    const other = await signDocument(Buffer.concat([payload, Buffer.from(' ')]), 'status', [bob])
    expect(() => mergeSignatures('status', [...copies, other])).toThrow(/different payloads/)
    expect(() => mergeSignatures('status', [])).toThrow(/nothing/)
  })
})

test('a repository keeps every root and manifest, and one status', async () => {
  const repository = await createRepository({ repo: 'acme', env: 'prod', now: NOW })
  await repository.publishManifest([host()], { now: NOW })
  await repository.rotateRoot({ now: NOW })
  await repository.publishManifest([host('new.example.com')], { now: NOW })
  expect([...repository.files().keys()].map((path) => path.replace(/[0-9a-f]{64}/, 'HASH')).toSorted()).toEqual([
    'manifests/1.HASH.json',
    'manifests/2.HASH.json',
    'roots/1.json',
    'roots/2.json',
    'status.json',
  ])
  expect(repository.versions()).toEqual({ root: 2, status: 2, manifest: 2 })
})

test('a status before any manifest is a mistake of the caller', async () => {
  const repository = await createRepository({ repo: 'acme', env: 'prod', now: NOW })
  await expect(repository.publishStatus({ now: NOW })).rejects.toThrow(/publish a manifest/)
})

import { generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  httpSignature,
  localSigner,
  memoryNonces,
  type RequestMessage,
  signResponses,
  verificationKey,
  verifyRequests,
  verifyResponses,
} from 'pinfetch/signing'
import { startTlsServer } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { componentIdentifier } from '../../src/signing/component.ts'
import { API, ca, identity, PINS, SERVER } from '../support/auth-stage.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { changed, key, type Reply, RULES, signed, signer, verifyStage } from '../support/verify-stage.ts'

const jwkOf = (kid: string, { publicKey }: ReturnType<typeof pairOf>) => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
})
const pairOf = () => generateKeyPairSync('ed25519')

describe('keys of a JWK set, fetched by the client itself (VER-05)', () => {
  async function stage(
    published: (fetched: number) => readonly object[],
    signing: (number: number) => { readonly keyId: string; readonly pair: ReturnType<typeof pairOf> },
  ) {
    let fetched = 0
    const issuer = await until(
      startTlsServer({
        identity,
        handler: (_, response) => {
          fetched += 1
          response.setHeader('content-type', 'application/jwk-set+json')
          response.end(JSON.stringify({ keys: published(fetched) })) // not signed: it is what signatures are verified with
        },
      }),
    )
    const keys = { jwksUri: `https://${SERVER}:${issuer.port}/jwks` }
    const api = await verifyStage({
      answer: (request, number) => {
        const { keyId, pair } = signing(number)
        return signed(request, {}, { keys: localSigner(pair.privateKey, { keyId }) })
      },
      verify: { keys },
    })
    return { ...api, issuer, fetched: () => fetched }
  }

  test('they are fetched once, over a pinned connection, and serve every response', async () => {
    const pair = pairOf()
    const { client, url, fetched, results } = await stage(
      () => [jwkOf('a', pair)],
      () => ({ keyId: 'a', pair }),
    )
    for (let call = 0; call < 3; call += 1) expect((await client.fetch(url())).status).toBe(200)
    expect(fetched()).toBe(1)
    expect(results.map(({ outcome }) => outcome)).toEqual(['verified', 'verified', 'verified'])
  })

  test('a key that is not among them has them fetched once more, and then it is ERR_VERIFY_KEY_UNKNOWN', async () => {
    const pair = pairOf()
    const { client, url, fetched } = await stage(
      () => [jwkOf('a', pair)],
      (number) => ({ keyId: number === 0 ? 'a' : 'b', pair }),
    )
    await client.fetch(url())
    for (let call = 0; call < 5; call += 1) await refusalOf(client.fetch(url()), 'ERR_VERIFY_KEY_UNKNOWN')
    expect(fetched()).toBe(1) // not so soon after the first time, whoever asks
  })

  test('an issuer that cannot be reached is ERR_VERIFY_KEYS_UNAVAILABLE', async () => {
    const pair = pairOf()
    const { client, url, issuer } = await stage(
      () => [],
      () => ({ keyId: 'a', pair }),
    )
    await issuer.close()
    const refusal = await refusalOf(client.fetch(url()), 'ERR_VERIFY_KEYS_UNAVAILABLE')
    expect(refusal.retryable).toBe(true)
  })

  test('an address without TLS is ERR_CONFIG_INVALID', () => {
    const keys = { jwksUri: 'http://as.example.com/jwks' }
    expect(() => verifyResponses({ ...RULES, keys })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })
})

test('keys that never come hold a response up for a while and no longer: ERR_VERIFY_KEYS_UNAVAILABLE', async () => {
  const { createTestRuntime } = await import('pinfetch/testing')
  const runtime = createTestRuntime({ now: Date.now() })
  let asked = (): void => undefined
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const keys = (): Promise<never> => {
    asked()
    return new Promise(() => undefined)
  }
  const { client, url } = await verifyStage({ verify: { keys }, client: { runtime } })
  const refused = refusalOf(client.fetch(url()), 'ERR_VERIFY_KEYS_UNAVAILABLE')
  await wasAsked
  await runtime.advance(15_000)
  await refused
})

describe('what a response has to cover of the request that was sent (VER-07)', () => {
  const client = pairOf()
  const sign = httpSignature({ keys: localSigner(client.privateKey, { keyId: 'client-1' }) })
  const init = { method: 'POST', body: '{"amount":1}', headers: { 'content-type': 'application/json' } }
  const bound = (...names: string[]) => names.map((name) => ({ name, req: true }) as const)
  const covering = (request: RequestMessage, ...more: Parameters<typeof signResponses>[0]['components'] & object) =>
    signed(request, {}, { components: ['@status', 'content-digest', ...bound('@method', '@target-uri'), ...more] })

  test('the Content-Digest of the request, or our signature over it: ERR_VERIFY_REQUEST_BINDING', async () => {
    const { client, url } = await verifyStage({
      answer: (request, number) => {
        if (number === 0) return covering(request)
        if (number === 1) return covering(request, ...bound('content-digest'))
        return covering(request, { name: 'signature', key: 'sig', req: true })
      },
      client: { sign },
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_REQUEST_BINDING')
    expect((await client.fetch(url(), init)).status).toBe(200)
    expect((await client.fetch(url(), init)).status).toBe(200)
  })

  test('our signature, where that is asked for: no answer fits twice, also to the same request', async () => {
    let kept: Reply | undefined
    const { client, url } = await verifyStage({
      answer: async (request, number) => {
        if (number === 0) return covering(request, ...bound('content-digest'))
        kept ??= await covering(request, { name: 'signature', key: 'sig', req: true })
        return kept
      },
      client: { sign },
      verify: { bindRequest: 'signature' },
    })
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_REQUEST_BINDING')
    expect((await client.fetch(url(), init)).status).toBe(200)
    await refusalOf(client.fetch(url(), init), 'ERR_VERIFY_FAILED')
    const unsigned = await verifyStage({ verify: { bindRequest: 'signature' } })
    await refusalOf(unsigned.client.fetch(unsigned.url()), 'ERR_VERIFY_REQUEST_BINDING')
  })

  test('parts of the target in place of the whole, the query among them where there is one', async () => {
    const parts = (request: RequestMessage, ...names: string[]) =>
      signed(request, {}, { components: ['@status', 'content-digest', ...bound('@method', ...names)] })
    const { client, url } = await verifyStage({
      answer: (request, number) =>
        number < 2 ? parts(request, '@authority', '@path') : parts(request, '@authority', '@path', '@query'),
    })
    expect((await client.fetch(url('/a'))).status).toBe(200)
    await refusalOf(client.fetch(url('/a?b=1')), 'ERR_VERIFY_REQUEST_BINDING')
    expect((await client.fetch(url('/a?b=1'))).status).toBe(200)
  })

  test('a field that was never sent is ERR_VERIFY_REQUEST_BINDING', async () => {
    const { client, url } = await verifyStage({
      answer: (request) => covering({ ...request, fields: [...request.fields, ['x-else', '1']] }, ...bound('x-else')),
    })
    await refusalOf(client.fetch(url()), 'ERR_VERIFY_REQUEST_BINDING')
  })
})

test('a nonce of a response counts once: ERR_VERIFY_REPLAY (VER-12)', async () => {
  const components = ['@status', 'content-digest'].map((name) => componentIdentifier(name).text).join(' ')
  const withNonce = async (): Promise<Reply> => {
    const reply = await signed(undefined, {}, { components: ['@status', 'content-digest'] })
    const { signatureBase } = await import('../../src/signing/signature-base.ts')
    const text = `(${components});created=${Math.floor(Date.now() / 1_000)};keyid="server-1";nonce="once"`
    const message = { kind: 'response', status: 200, fields: reply.headers } as const
    const base = signatureBase(['@status', 'content-digest'].map(componentIdentifier), text, message)
    const signature = await signer.sign(Buffer.from(base), { signal: AbortSignal.any([]) })
    return changed(
      changed(reply, 'signature-input', () => `sig=${text}`),
      'signature',
      () => `sig=:${Buffer.from(signature).toString('base64')}:`,
    )
  }
  const { client, url } = await verifyStage({
    answer: withNonce,
    verify: { bindRequest: false, nonces: memoryNonces() },
  })
  expect((await client.fetch(url())).status).toBe(200)
  await refusalOf(client.fetch(url()), 'ERR_VERIFY_REPLAY')
})

describe('the server’s half', () => {
  const client = pairOf()
  const sign = httpSignature({
    keys: localSigner(client.privateKey, { keyId: 'client-1' }),
    components: ['@method', '@target-uri', 'content-type', 'content-digest'],
  })
  const rules = {
    keys: verificationKey(client.publicKey, { keyId: 'client-1' }),
    algorithms: ['ed25519'],
    maxAgeSec: 60,
  } as const

  test('what a client of ours signs a server of Node verifies, and answers signed; with another body it does not', async () => {
    const outcomes: unknown[] = []
    const answer = signResponses({ keys: signer })
    const server = await until(
      startTlsServer({
        identity,
        handler: async ({ body }, response, message: IncomingMessage) => {
          const origin = `https://${API}:${server.port}`
          const verify = verifyRequests({ ...rules, origin })
          const request = await verify(message, body)
          outcomes.push(request.keyId, request.components)
          outcomes.push(await verify(message, Buffer.from('else')).catch(({ code }) => code))
          outcomes.push(await verify(message, null).catch(({ code }) => code))
          outcomes.push(
            await verifyRequests({ ...rules, origin: `https://${API}` })(message, body).catch(({ code }) => code),
          )
          const reply = { status: 201, headers: { 'content-type': 'text/plain' }, body: Buffer.from('done') }
          response.writeHead(reply.status, { ...reply.headers, ...(await answer(reply, request.message)) })
          response.end(reply.body)
        },
      }),
    )
    const verify = verifyResponses({ ...RULES, keys: key, bindRequest: 'signature' })
    const pinned = testClient({ pins: PINS, anchors: ca.anchorPem, sign, verify })
    const init = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
    const response = await pinned.fetch(`https://${API}:${server.port}/pay?x=1`, init)
    expect([response.status, await response.text()]).toEqual([201, 'done'])
    expect(outcomes).toEqual([
      'client-1',
      ['"@method"', '"@target-uri"', '"content-type"', '"content-digest"'],
      'ERR_VERIFY_DIGEST_MISMATCH',
      'ERR_VERIFY_DIGEST_MISMATCH',
      'ERR_VERIFY_FAILED', // under another origin
    ])
  })

  test('a Request of fetch is verified like one of Node', async () => {
    const reply = await signed(undefined)
    expect(reply.status).toBe(200)
    const { signatureBase } = await import('../../src/signing/signature-base.ts')
    const covered = ['@method', '@target-uri'].map(componentIdentifier)
    const text = `("@method" "@target-uri");created=${Math.floor(Date.now() / 1_000)};keyid="client-1"`
    const of = { kind: 'request', method: 'GET', url: 'https://api.example.com/a?b', fields: [] } as const
    const signature = await localSigner(client.privateKey).sign(Buffer.from(signatureBase(covered, text, of)), {
      signal: AbortSignal.any([]),
    })
    const headers = {
      'Signature-Input': `sig=${text}`,
      Signature: `sig=:${Buffer.from(signature).toString('base64')}:`,
    }
    const verify = verifyRequests({ ...rules, origin: 'https://api.example.com' })
    // behind a proxy the URL is another one, and is not asked
    expect(await verify(new Request('http://10.0.0.1:8080/a?b', { headers }), null)).toMatchObject({
      keyId: 'client-1',
    })
    await refusalOf(verify(new Request('https://api.example.com/a?c', { headers }), null), 'ERR_VERIFY_FAILED')
    await refusalOf(
      verify(new Request('https://api.example.com/a?b', { headers }), Buffer.from('x')),
      'ERR_VERIFY_COVERAGE',
    )
  })

  test('a component that a response lacks is ERR_SIGN_COMPONENT_MISSING, one of a request ERR_SIGN_COMPONENT_INVALID', async () => {
    const response = { status: 200, body: Buffer.from('x') }
    await expect(signResponses({ keys: signer, components: ['x-none'] })(response)).rejects.toMatchObject({
      code: 'ERR_SIGN_COMPONENT_MISSING',
    })
    await expect(signResponses({ keys: signer, components: ['@method'] })(response)).rejects.toMatchObject({
      code: 'ERR_SIGN_COMPONENT_INVALID',
    })
    expect(() => signResponses({ keys: signer, label: 'Not A Key' })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
  })

  test('a key that fails is ERR_SIGN_SIGNER_UNAVAILABLE', async () => {
    const failing = { ...signer, sign: () => Promise.reject(new Error('hunter2')) }
    const refusal = await signResponses({ keys: failing })({ status: 200 }).catch((error) => error)
    expect(refusal).toMatchObject({ code: 'ERR_SIGN_SIGNER_UNAVAILABLE', retryable: true })
    expect(String(refusal.cause)).not.toContain('hunter2')
  })
})

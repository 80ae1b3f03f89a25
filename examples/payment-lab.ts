/**
 * The other side of examples/payment.ts: a bank on loopback, as FAPI 2.0 has it. Its authorization server knows the client by key and
 * binds tokens to certificate or proof; its API verifies token, binding, signature and body with the server's half of
 * `pinfetch/signing`, answers an Idempotency-Key once, and signs its answers.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { calculateJwkThumbprint, decodeProtectedHeader, flattenedVerify, importJWK, jwtVerify, SignJWT } from 'jose'
import { PinfetchError } from 'pinfetch'
import { localJwks, verifyToken } from 'pinfetch/auth'
import { type Component, localSigner, signResponses, verificationKey, verifyRequests } from 'pinfetch/signing'
import { startTlsServer, type TestHandler, testCa } from 'pinfetch/testing'

export interface Received {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
}

export interface Sent {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Somebody between client and bank, inside of TLS: what the bank gets, and what the client gets. */
export interface Intruder {
  readonly request?: (request: Received) => Received
  readonly response?: (response: Sent) => Sent
}

/** @param covered What the bank's signatures cover. Default: also the request that is answered. */
export async function startBank(intruder: Intruder = {}, covered?: readonly Component[]) {
  const ca = testCa({ name: 'Bank' })
  const identity = ca.issue({ names: ['api.bank.test', 'login.bank.test'] })
  const keys = {
    client: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    messages: generateKeyPairSync('ed25519'),
    bank: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    tokens: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  }
  const seen = new Set<string>()
  const payments = new Map<string, Sent>()
  const refusals: string[] = []
  const interactions: string[] = []

  const login = async (form: URLSearchParams, message: IncomingMessage): Promise<object> => {
    const assertion = await verifyToken(form.get('client_assertion') ?? '', {
      keys: jwks(keys.client.publicKey, 'client-1'),
      issuer: 'orders',
      audience: issuer,
      algorithms: ['ES256'],
      type: null,
      requiredClaims: ['jti'],
    })
    once(seen, assertion.claims['jti'])
    const proof = message.headers['dpop']
    const bound =
      typeof proof === 'string'
        ? { jkt: await proven(proof, { method: 'POST', url: `${issuer}/token`, seen }) }
        : undefined
    const token = await new SignJWT({ cnf: bound ?? { 'x5t#S256': shownOn(message) }, scope: form.get('scope') })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'tokens-1' })
      .setIssuer(issuer)
      .setAudience(api)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(keys.tokens.privateKey)
    return {
      access_token: token,
      token_type: bound === undefined ? 'Bearer' : 'DPoP',
      expires_in: 300,
      scope: form.get('scope'),
    }
  }

  const pay = async (request: Received, message: IncomingMessage): Promise<Sent> => {
    const fields = new Headers(pairs(request.rawHeaders))
    await authorized(fields, request, message)
    const body = request.body.length === 0 ? null : request.body
    const jws = fields.get('x-jws-signature')
    if (jws !== null) await verifyJws(jws, request.body, keys.messages.publicKey)
    const verified = jws === null ? (await verify(request, body)).message : undefined
    const interaction = fields.get('x-fapi-interaction-id') ?? ''
    interactions.push(interaction)
    const key = fields.get('idempotency-key') ?? ''
    const known = payments.get(key)
    const sent = known ?? {
      status: 201,
      headers: { 'content-type': 'application/json' },
      body: receiptOf(request.body),
    }
    if (known === undefined && request.method === 'POST') payments.set(key, sent)
    const headers = { ...sent.headers, 'x-fapi-interaction-id': interaction }
    const answered = verified ?? {
      kind: 'request' as const,
      method: request.method,
      url: api + request.url,
      fields: [],
    }
    const signature = await sign({ status: sent.status, headers, body: Buffer.from(sent.body) }, answered)
    return { ...sent, headers: { ...headers, ...signature } }
  }

  const authorized = async (fields: Headers, { method, url }: Received, message: IncomingMessage): Promise<void> => {
    const [scheme, token = ''] = (fields.get('authorization') ?? '').split(' ')
    const expected = { issuer, audience: api, algorithms: ['ES256'], type: 'at+jwt' } as const
    const { claims } = await verifyToken(token, { ...expected, keys: jwks(keys.tokens.publicKey, 'tokens-1') })
    const { jkt, 'x5t#S256': thumbprint } = claims['cnf'] as { jkt?: string; 'x5t#S256'?: string }
    const proof = { method, url: api + url.replace(/\?.*/s, ''), seen, token }
    const holds =
      jkt === undefined
        ? scheme === 'Bearer' && thumbprint === shownOn(message)
        : scheme === 'DPoP' && jkt === (await proven(fields.get('dpop') ?? '', proof))
    if (!holds) throw new Error('the token is bound to somebody else')
  }

  const answering =
    (act: (request: Received, message: IncomingMessage) => Promise<Sent>): TestHandler =>
    ({ method, path: url, rawHeaders, body }, response, message) => {
      const refuse = (error: unknown): Sent => {
        refusals.push(error instanceof PinfetchError ? error.code : String(error))
        return { status: 400, headers: { 'content-type': 'application/json' }, body: '{"error":"invalid_request"}' }
      }
      const answer = ({ status, headers, body: text }: Sent): void => void response.writeHead(status, headers).end(text)
      act({ method, url, rawHeaders, body }, message).catch(refuse).then(answer)
    }
  const untouched = { request: (one: Received) => one, response: (one: Sent) => one, ...intruder }
  const [apiServer, loginServer] = await Promise.all([
    startTlsServer({
      identity,
      requestCert: true,
      handler: answering(async (request, message) =>
        request.url === '/jwks'
          ? published(keys.bank.publicKey)
          : untouched.response(await pay(untouched.request(request), message)),
      ),
    }),
    startTlsServer({
      identity,
      requestCert: true,
      handler: answering(async ({ url, body }, message): Promise<Sent> => {
        if (url.startsWith('/.well-known/')) return json({ issuer, token_endpoint: `${issuer}/token` })
        const token = await login(new URLSearchParams(Buffer.from(body).toString()), message)
        return json(token)
      }),
    }),
  ])
  const [api, issuer] = [`https://api.bank.test:${apiServer.port}`, `https://login.bank.test:${loginServer.port}`]
  const verify = verifyRequests({
    keys: verificationKey(keys.messages.publicKey, { keyId: 'payments-2026' }),
    origin: api,
    algorithms: ['ed25519'],
    maxAgeSec: 60,
    tag: 'fapi-2-request',
    components: ['@method', '@target-uri', 'authorization', 'x-fapi-interaction-id'],
  })
  const sign = signResponses({
    keys: localSigner(keys.bank.privateKey, { keyId: 'bank-1' }),
    tag: 'fapi-2-response',
    ...(covered && { components: covered }),
  })
  const clients = testCa({ name: 'Clients' })
  const certificate = (): { cert: string; key: string } => {
    const { pem, keyPem } = clients.issue({ subject: 'orders', extendedKeyUsage: ['clientAuth'] })
    return { cert: pem, key: keyPem }
  }
  return {
    api,
    issuer,
    /** In place of what a server publishes at /.well-known/oauth-authorization-server. */
    metadata: { token_endpoint: `${issuer}/token` },
    clientKey: localSigner(keys.client.privateKey, { keyId: 'client-1' }),
    messageKey: localSigner(keys.messages.privateKey, { keyId: 'payments-2026' }),
    bankKey: verificationKey(keys.bank.publicKey, { keyId: 'bank-1' }),
    /** PEM, for a client that reads them from files. */
    keys: { client: pkcs8(keys.client.privateKey), messages: pkcs8(keys.messages.privateKey) },
    certificate,
    ca,
    pin: identity.pin,
    payments,
    refusals,
    interactions,
    requests: apiServer.requests,
    /** For createClient. A real one has a manifest here. */
    trust: { pins: { '*.bank.test': [identity.pin] }, anchors: ca.anchorPem, resolver: async () => ['127.0.0.1'] },
    close: async () => void (await Promise.all([apiServer.close(), loginServer.close()])),
  }
}

const pkcs8 = (key: KeyObject): string => String(key.export({ format: 'pem', type: 'pkcs8' }))

function json(value: object): Sent {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  return { status: 200, headers, body: JSON.stringify(value) }
}

/** RFC 7517 §5. */
function published(key: KeyObject): Sent {
  return json({ keys: [{ ...key.export({ format: 'jwk' }), kid: 'bank-1', use: 'sig' }] })
}

function jwks(key: KeyObject, kid: string) {
  return localJwks({ keys: [{ ...key.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] })
}

function receiptOf(body: Uint8Array): string {
  const { amount } = JSON.parse(Buffer.from(body).toString() || '{}') as { amount?: string }
  return JSON.stringify({ id: randomUUID(), status: 'accepted', amount })
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, raw[at + 1] ?? '']] : []))
}

/** RFC 8705 §3.1. */
function shownOn({ socket }: IncomingMessage): string {
  return createHash('sha256')
    .update((socket as TLSSocket).getPeerCertificate().raw)
    .digest('base64url')
}

/** RFC 9449 §4.3. @returns the thumbprint of the key that signed the proof. */
async function proven(
  proof: string,
  expected: { readonly method: string; readonly url: string; readonly seen: Set<string>; readonly token?: string },
): Promise<string> {
  const { jwk = {} } = decodeProtectedHeader(proof)
  const options = { typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: 60 }
  const { payload } = await jwtVerify(proof, await importJWK(jwk, 'ES256'), options)
  const { token } = expected
  const ath = token === undefined ? undefined : createHash('sha256').update(token).digest('base64url')
  const { htm, htu } = payload as { htm?: string; htu?: string }
  if (htm !== expected.method || htu !== expected.url || payload['ath'] !== ath)
    throw new Error('the proof is for another request')
  once(expected.seen, payload.jti)
  return calculateJwkThumbprint(jwk)
}

/** RFC 7797. */
async function verifyJws(jws: string, payload: Uint8Array, key: KeyObject): Promise<void> {
  const [header = '', , signature = ''] = jws.split('.')
  await flattenedVerify({ protected: header, payload, signature }, key, { algorithms: ['EdDSA'] })
}

function once(seen: Set<string>, jti: unknown): void {
  if (typeof jti !== 'string' || seen.has(jti)) throw new Error('seen before')
  seen.add(jti)
}

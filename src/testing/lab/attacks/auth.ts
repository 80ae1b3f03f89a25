import { createHmac, generateKeyPairSync } from 'node:crypto'
import { bearer } from '../../../auth/bearer.ts'
import { verifyToken } from '../../../auth/verify-token.ts'
import { localJwks } from '../../../keys/jwks.ts'
import { localSigner } from '../../../keys/signer.ts'
import { verificationKey } from '../../../keys/verification-key.ts'
import { systemRuntime } from '../../../ports/system.ts'
import { httpSignature } from '../../../signing/http-signature.ts'
import { memoryNonces } from '../../../signing/nonce-store.ts'
import { verifyRequests } from '../../../signing/verify-requests.ts'
import type { TestRequest } from '../../tls-server.ts'
import type { Attack, AttackResult, Attempt } from '../attack.ts'
import type { Contender } from '../contenders.ts'
import {
  asAttempt,
  attempt,
  codeIn,
  control,
  ended,
  givenFor,
  HOST,
  scenario,
  startStage,
  witnessOf,
} from '../stage.ts'
import type { World } from '../world.ts'

/** Credentials and signatures in the hands of somebody whom TLS lets in. */
export const auth: readonly Attack[] = [
  {
    id: 'A01',
    group: 'authentication',
    title: 'Has an answer of the API point to another origin, so that the token is sent there',
    codes: ['ERR_AUTH_ORIGIN_NOT_ALLOWED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const thief = await startStage(keep, genuine)
        const next = JSON.stringify({ next: thief.url })
        const api = await startStage(keep, genuine, { handler: (_, response) => response.end(next) })
        const scheme = bearer({ source: { value: TOKEN }, allowedOrigins: [new URL(api.url).origin] })
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { auth: scheme } })))
        // Who has no credentials of its own is given them with every request.
        const init = open.client === undefined ? { headers: { authorization: `Bearer ${TOKEN}` } } : {}
        const { text } = await ended(open.fetch(api.url, init))
        const { next: target } = JSON.parse(text) as { readonly next: string }
        const attack = await attempt(open, target, witnessOf(thief), init)
        const hasToken = thief.peer.requests.some(({ headers }) => headers.authorization?.endsWith(TOKEN))
        const accepted = await control(open, api.url, init)
        return { attack: { ...attack, ...(hasToken ? { gained: 'the token' } : {}) }, control: accepted }
      }),
  },
  {
    id: 'A02',
    group: 'authentication',
    title: 'Signs a token with the public key of the issuer as the secret of an HMAC',
    codes: ['ERR_VERIFY_ALG_MISMATCH'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
        const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'rsa' }
        const text = (alg: string): string =>
          [{ alg, kid: 'rsa', typ: 'at+jwt' }, claimsOf(ISSUER)]
            .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
            .join('.')
        const pem = publicKey.export({ type: 'spki', format: 'pem' })
        const forged = `${text('HS256')}.${createHmac('sha256', pem).update(text('HS256')).digest('base64url')}`
        const genuine = world.ca.issue({ names: [HOST] })
        const tokens = [forged, await signedBy(privateKey, text('RS256'))]
        const { url } = await startStage(keep, genuine, { handler: (_, response) => response.end(tokens.shift()) })
        const open = await keep(contender.open(givenFor(world, [genuine.pin])))
        const isKnown = open.client !== undefined
        const attack = await received(() => open.fetch(url), isKnown, jwk)
        return { attack, control: await received(() => open.fetch(url), isKnown, jwk) }
      }),
  },
  gatewayAttack({
    id: 'A03',
    title: 'Changes the body of a request in a gateway that ends TLS with the pinned key',
    code: 'ERR_VERIFY_DIGEST_MISMATCH',
    gained: 'a changed body',
    passOn: (request) => [{ ...request, body: Buffer.from('{"amount":9999}') }],
  }),
  gatewayAttack({
    id: 'A04',
    title: 'Sends a request a second time from a gateway that ends TLS with the pinned key',
    code: 'ERR_VERIFY_REPLAY',
    gained: 'a second payment',
    passOn: (request) => [request, request],
  }),
]

/** A token that came in an answer, at somebody who verifies it or, having nothing to do so, takes its word. */
async function received(ask: () => Promise<Response>, isKnown: boolean, jwk: object): Promise<Attempt> {
  const ending = await ended(ask())
  if (!ending.isAnswered || !isKnown) return asAttempt(ending)
  const options = { issuer: ISSUER, audience: ISSUER, algorithms: ['RS256'], type: 'at+jwt' } as const
  return verifyToken(ending.text, { ...options, keys: localJwks({ keys: [jwk] }) }).then(
    () => asAttempt({ isAnswered: true }),
    (error: unknown) => asAttempt({ isAnswered: false, ...codeIn(error) }),
  )
}

async function signedBy(key: ReturnType<typeof generateKeyPairSync>['privateKey'], text: string): Promise<string> {
  const signer = localSigner(key, { algorithm: 'rsa-v1_5-sha256' })
  const signature = await signer.sign(Buffer.from(text), { signal: new AbortController().signal })
  return `${text}.${Buffer.from(signature).toString('base64url')}`
}

function claimsOf(issuer: string): object {
  const now = Math.floor(systemRuntime.clock.now() / 1_000)
  return { iss: issuer, aud: issuer, sub: 'victim', iat: now, exp: now + 300 }
}

/** What a gateway does with a request on its way to a service that verifies the signatures of those who sign. */
function gatewayAttack(of: {
  readonly id: string
  readonly title: string
  readonly code: Attack['codes'][number]
  readonly gained: string
  readonly passOn: (request: TestRequest) => readonly TestRequest[]
}): Attack {
  const { id, title, code, gained, passOn } = of
  const run = (contender: Contender, world: World): Promise<AttackResult> =>
    scenario(async (keep) => {
      const { privateKey } = generateKeyPairSync('ed25519')
      const genuine = world.ca.issue({ names: [HOST] })
      const stage = await startStage(keep, genuine)
      const sign = httpSignature({ keys: localSigner(privateKey, { keyId: 'victim' }) })
      const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { sign } })))
      const verify = verifyRequests({
        keys: verificationKey(privateKey, { keyId: 'victim' }),
        algorithms: ['ed25519'],
        maxAgeSec: 300,
        nonces: memoryNonces(),
        origin: new URL(stage.url).origin,
      })
      /** Whether all of these are taken: of a client that cannot sign, because nothing can be asked of it. */
      const serve = async (requests: readonly TestRequest[]): Promise<Attempt> => {
        for (const { method, path, rawHeaders, body } of open.client === undefined ? [] : requests) {
          const refusal = await verify({ method, url: path, rawHeaders }, body).then(() => undefined, codeIn)
          if (refusal !== undefined) return asAttempt({ isAnswered: false, ...refusal })
        }
        return asAttempt({ isAnswered: true })
      }
      const send = async (): Promise<TestRequest> => {
        const headers = { 'content-type': 'application/json' }
        await ended(open.fetch(stage.url, { method: 'POST', body: '{"amount":1}', headers }))
        const request = stage.peer.requests.at(-1)
        if (request === undefined) throw new Error('no request came')
        return request
      }
      const attack = await serve(passOn(await send()))
      const isTaken = attack.outcome === 'accepted'
      return { attack: isTaken ? { ...attack, gained } : attack, control: await serve([await send()]) }
    })
  return { id, group: 'authentication', title, codes: [code], beatsFetch: true, run }
}

const TOKEN = 'lab.7Qm2fXk9vT4pZc8wL1nR'
const ISSUER = 'https://login.example'

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { oauth } from '../../../auth/oauth.ts'
import { systemRuntime } from '../../../ports/system.ts'
import type { TestHandler } from '../../tls-server.ts'
import type { Attack, Attempt } from '../attack.ts'
import { asAttempt, ended, givenFor, HOST, scenario, startStage } from '../stage.ts'

/** A token in the hands of somebody who has read a log of the API, or of a gateway in front of it. */
export const stolenToken: readonly Attack[] = [
  {
    id: 'A05',
    group: 'authentication',
    title:
      'Steals an access token with the request that it was in, and uses it: bare, with that proof, with one of his own',
    codes: [],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const guard = createGuard()
        const protect: TestHandler = ({ method, headers }, response) => {
          if (guard.admits({ method, headers, url: api.url })) response.end(GRANTED)
          else response.writeHead(401, { 'www-authenticate': 'DPoP error="invalid_token"' }).end()
        }
        const api = await startStage(keep, genuine, { handler: protect })
        const server = await startStage(keep, genuine, {
          handler: ({ headers }, response) => {
            const body = { access_token: guard.issue(headers), token_type: 'DPoP', expires_in: 600 }
            response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
          },
        })
        const issuer = new URL(server.url).origin
        const auth = oauth({
          issuer,
          metadata: { token_endpoint: `${server.url}token` },
          client: { id: 'victim', authentication: { method: 'client_secret_post', secret: { value: CLIENT_SECRET } } },
          grant: { type: 'client_credentials' },
          senderConstraint: { dpop: { signer: 'ephemeral-es256' } },
          allowedOrigins: [new URL(api.url).origin],
        })
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { auth } })))
        // Who can ask for no token is given one, which is bound to no key.
        const init = open.client === undefined ? { headers: { authorization: `Bearer ${guard.issue({})}` } } : {}
        const first = await ended(open.fetch(api.url, init))
        const { authorization = '', dpop = '' } = api.peer.requests.at(-1)?.headers ?? {}
        const token = authorization.split(' ').at(-1) ?? ''
        const thefts: readonly IncomingHttpHeaders[] = [
          { authorization: `Bearer ${token}` },
          { authorization: `DPoP ${token}`, dpop: String(dpop) },
          { authorization: `DPoP ${token}`, dpop: proofOf(token, api.url) },
        ]
        const isOpen = thefts.some((headers) => guard.admits({ method: 'GET', headers, url: api.url }))
        const second = await ended(open.fetch(api.url, init))
        return {
          attack: isOpen ? WON : UNHARMED,
          control: first.text === GRANTED ? asAttempt(second) : asAttempt(first),
        }
      }),
  },
]

interface Guarded {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly url: string
}

/** A resource server as RFC 9449 §7 has it, and the authorization server that it believes. */
function createGuard() {
  const bound = new Map<string, string | undefined>()
  const seen = new Set<string>()
  return {
    /** A token, bound to the key of the proof with which it was asked for. */
    issue: ({ dpop }: IncomingHttpHeaders): string => {
      const token = Buffer.from(systemRuntime.random(24)).toString('base64url')
      bound.set(token, dpop === undefined ? undefined : readProof(String(dpop)).jkt)
      return token
    },
    admits: ({ method, headers, url }: Guarded): boolean => {
      const [scheme, token = ''] = (headers.authorization ?? '').split(' ')
      const key = bound.get(token)
      if (key === undefined) return scheme === 'Bearer' && bound.has(token)
      const proof = scheme === 'DPoP' && headers['dpop'] !== undefined ? readProof(String(headers['dpop'])) : undefined
      if (proof?.jkt !== key || seen.has(proof.jti)) return false
      seen.add(proof.jti)
      return proof.htm === method && proof.htu === url && proof.ath === hashOf(token)
    },
  }
}

interface Proof {
  /** Of the key that it is signed with (RFC 7638); none where the signature is wrong. */
  readonly jkt: string | undefined
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly ath: string
}

function readProof(text: string): Proof {
  const [header = '', claims = '', signature = ''] = text.split('.')
  const { jwk } = decoded(header) as { readonly jwk: JsonWebKey }
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
  const isSigned = verify('sha256', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url'))
  return { ...(decoded(claims) as Omit<Proof, 'jkt'>), jkt: isSigned ? thumbprintOf(jwk) : undefined }
}

/** By a key of the thief. */
function proofOf(token: string, url: string): string {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = (publicKey as KeyObject).export({ format: 'jwk' })
  const claims = { jti: 'of-the-thief', htm: 'GET', htu: url, iat: 0, ath: hashOf(token) }
  const input = [{ typ: 'dpop+jwt', alg: 'ES256', jwk }, claims].map(encoded).join('.')
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const thumbprintOf = ({ crv, kty, x, y }: JsonWebKey): string => hashOf(JSON.stringify({ crv, kty, x, y }))
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url')
const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const decoded = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())

const UNHARMED: Attempt = { ...asAttempt({ isAnswered: false }), outcome: 'unharmed' }
const WON: Attempt = { ...asAttempt({ isAnswered: true }), gained: 'what the token opens' }
const GRANTED = 'granted'
const CLIENT_SECRET = 'lab-client-Zq91mmw2-secret-of-32-octets'

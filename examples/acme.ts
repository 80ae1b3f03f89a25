/**
 * A client certificate that renews itself: `certificate.renew` orders one from an ACME server (RFC 8555), proving the name with
 * http-01. It needs a CA whose profile gives clientAuth, as private ones do (step-ca, pebble) and few public ones.
 *
 * Two keys: the account's, which the CA knows, and a fresh one for every certificate, which never leaves this process.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'

export interface AcmeOptions {
  readonly directory: string
  /** The name in the certificate; the ACME server asks it for the proof. */
  readonly name: string
  /** Where this process answers the ACME server: port 80 of `name`, or what is forwarded from there. */
  readonly httpPort: number
  /** DER of a PKCS #10 request for the name: made by whatever holds the key. */
  readonly request: () => { readonly csr: Uint8Array; readonly keyPem: string }
  /** The connections to the ACME server: a client that pins it. */
  readonly fetch: typeof globalThis.fetch
  readonly account?: KeyObject
  readonly pollMs?: number
}

/** For `certificate: { cert, key, renew: acmeRenewal({ … }) }`. */
export function acmeRenewal(options: AcmeOptions): () => Promise<{ cert: string; key: string }> {
  const { account = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, pollMs = 1_000 } = options
  return async () => {
    const server = await connect(options, account)
    const order = await server.post('newOrder', { identifiers: [{ type: 'dns', value: options.name }] })
    for (const url of order.body['authorizations'] as string[]) await authorize(server, url, options.httpPort, pollMs)
    const { csr, keyPem } = options.request()
    await server.post(String(order.body['finalize']), { csr: base64url(csr) })
    const done = await server.until(String(order.location), 'valid', pollMs)
    const chain = await server.post(String(done.body['certificate']), undefined)
    return { cert: chain.text, key: keyPem }
  }
}

interface Answer {
  readonly body: Record<string, unknown>
  readonly text: string
  readonly location: string | null
}

async function connect({ directory, fetch }: AcmeOptions, account: KeyObject) {
  const urls = (await (await fetch(directory)).json()) as Record<string, string>
  const jwk = publicJwk(account)
  let keyId: string | undefined
  let nonce: string | null = null

  /** `undefined` as payload is POST-as-GET (RFC 8555 §6.3). A nonce that was refused comes with the next one (§6.5). */
  const post = async (where: string, payload: unknown, attempts = 10): Promise<Answer> => {
    const url = urls[where] ?? where
    nonce ??= (await fetch(String(urls['newNonce']), { method: 'HEAD' })).headers.get('replay-nonce')
    const header = { alg: 'ES256', nonce, url, ...(keyId === undefined ? { jwk } : { kid: keyId }) }
    const text = [JSON.stringify(header), payload === undefined ? '' : JSON.stringify(payload)].map(base64url).join('.')
    const signature = sign('sha256', Buffer.from(text), { key: account, dsaEncoding: 'ieee-p1363' })
    const [head, body] = text.split('.')
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/jose+json' },
      body: JSON.stringify({ protected: head, payload: body, signature: base64url(signature) }),
    })
    nonce = response.headers.get('replay-nonce')
    const answer = await response.text()
    if (answer.includes('urn:ietf:params:acme:error:badNonce') && attempts > 1)
      return post(where, payload, attempts - 1)
    if (!response.ok) throw new Error(`ACME ${response.status} from ${new URL(url).pathname}: ${answer.slice(0, 300)}`)
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    return { text: answer, body: isJson ? JSON.parse(answer) : {}, location: response.headers.get('location') }
  }
  keyId = (await post('newAccount', { termsOfServiceAgreed: true })).location ?? undefined

  const until = async (url: string, status: string, pollMs: number): Promise<Answer> => {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const answer = await post(url, undefined)
      if (answer.body['status'] === status) return answer
      if (answer.body['status'] === 'invalid') throw new Error(`ACME refused: ${answer.text.slice(0, 300)}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    throw new Error(`ACME: ${url} is not ${status} after ${MAX_LOOKS} looks`)
  }
  return { post, until, thumbprint: base64url(createHash('sha256').update(JSON.stringify(jwk)).digest()) }
}

/** http-01 (RFC 8555 §8.3): the server fetches a text that only the account's owner can know. */
async function authorize(
  server: Awaited<ReturnType<typeof connect>>,
  url: string,
  httpPort: number,
  pollMs: number,
): Promise<void> {
  const { body } = await server.post(url, undefined)
  if (body['status'] === 'valid') return
  const challenges = body['challenges'] as { type: string; url: string; token: string }[]
  const challenge = challenges.find(({ type }) => type === 'http-01')
  if (challenge === undefined) throw new Error('the ACME server offers no http-01 challenge')
  const path = `/.well-known/acme-challenge/${challenge.token}`
  const listener = createServer((request, response) => {
    if (request.url === path) response.end(`${challenge.token}.${server.thumbprint}`)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => listener.listen(httpPort, resolve))
  try {
    await server.post(challenge.url, {})
    await server.until(url, 'valid', pollMs)
  } finally {
    listener.close()
  }
}

/** Members in the order of RFC 7638, so that the same object is header and thumbprint. */
function publicJwk(key: KeyObject): Record<string, string> {
  const { crv, kty, x, y } = key.export({ format: 'jwk' })
  return { crv: String(crv), kty: String(kty), x: String(x), y: String(y) }
}

const base64url = (data: string | Uint8Array): string => Buffer.from(data).toString('base64url')

const MAX_LOOKS = 60

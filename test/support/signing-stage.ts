import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http2'
import type { ClientEvent, ClientOptions } from 'pinfetch'
import type { FieldLine, RequestMessage, RequestSigner, SignableRequest } from 'pinfetch/signing'
import { startTlsServer, type TestRequest, type TestTlsServer, type TlsServerOptions } from 'pinfetch/testing'
import { componentIdentifier } from '../../src/signing/component.ts'
import { digestField, digestsMatch, readDigest } from '../../src/signing/content-digest.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readSignatures } from '../../src/signing/signature-fields.ts'
import { API, ca, identity, PINS } from './auth-stage.ts'
import { testClient, until } from './client.ts'

const SECRET = Buffer.from('kd83-signing-Zq91mmw2-secret-of-32-octets')

/** Derived components, and every field that the request is said to have. */
const everything = ({ fields }: SignableRequest): string[] => [
  '@method',
  '@target-uri',
  '@authority',
  ...fields.map(([name]) => name).filter((name) => name !== 'signature' && name !== 'signature-input'),
]

export interface TestSigner extends RequestSigner {
  /** What it was given to sign. */
  readonly seen: SignableRequest[]
  /** One more for each time that a digest was asked for. */
  readonly digests: Buffer[]
}

/** A signer by RFC 9421 of the test's own, with Content-Digest; it covers all that it is shown. */
export function testSigner(
  options: Partial<RequestSigner> & {
    readonly components?: (request: SignableRequest) => readonly string[]
    /** Seconds; what the clock of the server is thought to be. */
    readonly created?: (offsetMs: number) => number
    readonly onResponse?: () => 'done' | 'retry'
  } = {},
): TestSigner {
  const { label = 'test', components = everything, created, onResponse, ...rest } = options
  const seen: SignableRequest[] = []
  const digests: Buffer[] = []
  let nonce = 0
  return {
    name: `test ${label}`,
    headers: ['content-digest', 'signature', 'signature-input'],
    label,
    body: 'digest',
    seen,
    digests,
    bind: ({ clockOffset }) => ({
      sign: (request) => {
        seen.push(request)
        const { body } = request
        const isGiven = request.fields.some(([name]) => name === 'content-digest')
        const added: Record<string, string> = {}
        if (body.kind === 'bytes' && !isGiven) {
          digests.push(body.digest('sha256'))
          added['content-digest'] = digestField(['sha-256'], body.digest)
        }
        const message = { ...request, fields: [...request.fields, ...Object.entries(added)] }
        const covered = components(message).map((name) => componentIdentifier(name))
        nonce += 1
        const time = created === undefined ? '' : `;created=${created(clockOffset(request.origin))}`
        const parameters = `(${covered.map(({ text }) => text).join(' ')})${time};nonce="${label}-${nonce}"`
        const base = signatureBase(covered, parameters, message)
        added['signature-input'] = `${label}=${parameters}`
        added.signature = `${label}=:${createHmac('sha256', SECRET).update(base).digest('base64')}:`
        return { headers: added }
      },
      ...(onResponse === undefined ? {} : { onResponse }),
    }),
    ...rest,
  }
}

/** What a server sees of a request, line by line. */
export function messageOf(request: TestRequest, authority: string): RequestMessage {
  const fields: FieldLine[] = []
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(at, at + 2)
    if (!name.startsWith(':')) fields.push([name.toLowerCase(), value])
  }
  return { kind: 'request', method: request.method, url: `https://${authority}${request.path}`, fields }
}

/** Whether every signature of a request, and its Content-Digest, is true; the labels of them. */
export function verified(request: TestRequest, authority: string): readonly string[] {
  const message = messageOf(request, authority)
  const digest = message.fields.find(([name]) => name === 'content-digest')?.[1]
  if (digest !== undefined) {
    const read = readDigest(digest)
    const hash = (name: string) => createHash(name).update(request.body).digest()
    if (read.kind !== 'digests' || !digestsMatch(read.digests, hash)) return ['a wrong digest']
  }
  const signatures = [...readSignatures(message.fields)]
  return signatures.map(([label, { components, parametersText, signature }]) => {
    const base = signatureBase(components, parametersText, message)
    const expected = createHmac('sha256', SECRET).update(base).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected) ? label : `${label} is wrong`
  })
}

/** An API on loopback TLS and a client that signs. */
export async function signingStage(
  sign: RequestSigner | readonly RequestSigner[],
  options: {
    readonly api?: Partial<TlsServerOptions>
    readonly client?: Partial<ClientOptions>
    /** Spoken by both. */
    readonly isHttp2?: boolean
  } = {},
) {
  const { isHttp2 = false } = options
  const requests: TestRequest[] = []
  const speaker = http2Server(requests)
  const spoken: Partial<TlsServerOptions> = isHttp2
    ? { alpn: ['h2'], onSocket: (socket) => void speaker.emit('connection', socket) }
    : {}
  const api: TestTlsServer = await until(startTlsServer({ identity, ...spoken, ...options.api }))
  const http2 = isHttp2 ? 'require' : 'never'
  const client = testClient({ pins: PINS, anchors: ca.anchorPem, sign, http2, ...options.client })
  const events: ClientEvent[] = []
  for (const type of [
    'sign.overridden',
    'sign.retried',
    'sign.notRetried',
    'clock.offset',
    'redirect.stripped',
  ] as const)
    client.on(type, (event) => void events.push(event))
  const authority = `${API}:${api.port}`
  return {
    api,
    client,
    events,
    requests: isHttp2 ? requests : api.requests,
    authority,
    url: (path = '/') => `https://${authority}${path}`,
    /** Of each request so far the labels of its signatures. */
    verified: () => (isHttp2 ? requests : api.requests).map((request) => verified(request, authority)),
  }
}

function http2Server(requests: TestRequest[]) {
  return createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', (chunk) => void chunks.push(Buffer.from(chunk)))
    message.on('end', () => {
      const { method, url: path, headers, rawHeaders } = message
      requests.push({ method, path, headers, rawHeaders, body: Buffer.concat(chunks), connection: 0 })
      response.end('ok')
    })
  })
}

import type { ServerResponse } from 'node:http'
import type { ClientOptions } from '../client/options.ts'
import type { PinText } from '../encoding/pin.ts'
import { type TestCa, type TestCertificate, testCa } from './ca.ts'
import { LOOPBACK } from './loopback.ts'
import { startTlsServer, type TestRequest, type TestTlsServer } from './tls-server.ts'

/**
 * A service to test code against that pins it: TLS on loopback with a CA and keys of its own, answered by a function from Request
 * to Response. Works in vitest, node:test or any other runner, for it is nothing but a value that is to be closed.
 *
 * @example
 * // vitest
 * const server = await startPinnedServer({ handler: async (request) => Response.json({ got: await request.text() }) })
 * onTestFinished(() => server.close())
 * const client = createClient({ ...server.clientOptions })
 * await client.fetch(`${server.url}/orders`, { method: 'POST', body: 'one' })
 * expect(server.requests[0]?.method).toBe('POST')
 *
 * @example
 * // node:test
 * test('refuses a key that is not pinned', async () => {
 *   await using server = await startPinnedServer()
 *   await using client = createClient({ ...server.clientOptions })
 *   server.rotate({ to: 'stranger' })
 *   await assert.rejects(client.fetch(server.url), { code: 'ERR_TRUST_PIN_MISMATCH' })
 *   assert.equal(server.requests.length, 0)
 * })
 */
export async function startPinnedServer(options: PinnedServerOptions = {}): Promise<PinnedServer> {
  const { handler = () => new Response('ok'), names = ['localhost'], ca = testCa() } = options
  const [name = 'localhost'] = names
  const issue = (): TestCertificate => ca.issue({ names })
  let [shown, backup] = [issue(), issue()]
  const requests: Request[] = []

  const tls = await startTlsServer({
    identity: shown,
    handler: (received, response) => {
      const request = requestOf(received, `https://${name}:${tls.port}`)
      if (request !== undefined) requests.push(request.clone() as Request)
      void answer(request, handler, response)
    },
  })
  const pins = (): readonly PinText[] => [shown.pin, backup.pin]

  return {
    url: `https://${name}:${tls.port}`,
    ca,
    requests,
    tls,
    get pins() {
      return pins()
    },
    get clientOptions() {
      return { pins: { [name]: pins() }, anchors: ca.anchorPem, resolver: async () => [LOOPBACK] }
    },
    rotate: ({ to = 'backup' } = {}) => {
      const next = to === 'backup' ? backup : issue()
      if (to === 'backup') [shown, backup] = [backup, issue()]
      tls.setIdentity(next)
      tls.destroyConnections()
    },
    close: tls.close,
    [Symbol.asyncDispose]: tls.close,
  }
}

/** How it answers, and who it is. */
export interface PinnedServerOptions {
  /** Answers each request; one that throws is a 500 with its message. Default: 200 and `ok`. */
  readonly handler?: (request: Request) => Response | Promise<Response>
  /** DNS names of the certificate; the first is that of `url`. Default `localhost`. */
  readonly names?: readonly string[]
  /** Who issues the certificates. Default: a CA that nobody else has. */
  readonly ca?: TestCa
}

/** A TLS server with a key that is pinned and one in reserve, and the options of a client for it. */
export interface PinnedServer extends AsyncDisposable {
  /** Without a slash at the end: `https://localhost:40123`. */
  readonly url: string
  readonly ca: TestCa
  /** The key that is shown, and the backup that `rotate` shows next. */
  readonly pins: readonly PinText[]
  /**
   * For `createClient`: the pins as they are now, the CA as only anchor, and a resolver that sends every name to loopback. Read anew
   * after `rotate`, as a client of today's release has them; a client that was made before keeps what it had.
   */
  readonly clientOptions: Pick<ClientOptions, 'pins' | 'anchors' | 'resolver'>
  /** What arrived, in order, whole; bodies can be read although the handler has read them. */
  readonly requests: readonly Request[]
  /**
   * Another key from now on, and open connections are cut as by a restart. `backup`, the default, is pinned already, and a new
   * backup takes its place: a client survives one rotation and not the second, unless it learns of the new pins. `stranger` is a
   * key that nobody pins, of the same CA: what a mistaken or forged certificate looks like.
   */
  readonly rotate: (options?: { readonly to?: 'backup' | 'stranger' }) => void
  /** The server underneath: its connections, what of TLS went wrong, and how many bytes arrived. */
  readonly tls: TestTlsServer
  /** Destroys every connection and stops listening. */
  readonly close: () => Promise<void>
}

/** `undefined` for a method that fetch does not know: CONNECT, TRACE, TRACK. */
function requestOf({ method, path, rawHeaders, body }: TestRequest, origin: string): Request | undefined {
  if (/^(connect|trace|track)$/i.test(method)) return undefined
  const headers = new Headers()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  const hasBody = body.length > 0 && !/^(get|head)$/i.test(method)
  return new Request(new URL(path, origin), { method, headers, ...(hasBody ? { body: Buffer.from(body) } : {}) })
}

async function answer(
  request: Request | undefined,
  handler: NonNullable<PinnedServerOptions['handler']>,
  response: ServerResponse,
): Promise<void> {
  try {
    const { status, statusText, headers, body } =
      request === undefined ? new Response(null, { status: 405 }) : await handler(request)
    for (const [name, value] of headers) if (name !== 'set-cookie') response.setHeader(name, value)
    const cookies = headers.getSetCookie()
    if (cookies.length > 0) response.setHeader('set-cookie', cookies)
    if (statusText === '') response.writeHead(status)
    else response.writeHead(status, statusText)
    for await (const chunk of body ?? []) response.write(chunk)
    response.end()
  } catch (error) {
    if (response.headersSent)
      response.destroy() // the body broke off, and so does what the client gets
    else response.writeHead(500).end(error instanceof Error ? error.message : String(error))
  }
}

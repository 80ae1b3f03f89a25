import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { type ClientOptions, createClient } from 'pinfetch'
import { startTlsServer, type TestHandler, type TestRequest, testCa } from 'pinfetch/testing'
import { Agent } from 'undici'

export interface World {
  /** The road under observation. */
  readonly fetch: typeof globalThis.fetch
  /** The URL of a route. */
  readonly at: (route: string) => string
  readonly routes: Routes
  /** Resolves when the server has read as many requests in this case. */
  readonly arrived: (count: number) => Promise<void>
}

export interface Case {
  readonly name: string
  /** What one sees through a road; the servers' view is added. */
  readonly run: (world: World) => Promise<unknown>
  readonly wanted?: Wanted
  /** What the servers saw depends on how far the request came, and is left out. */
  readonly isRace?: boolean
}

/** Where ours is meant to differ. */
export interface Wanted {
  readonly reason: string
  /** What one sees through it. */
  readonly ours: unknown
  /** The lean road alone differs. */
  readonly onlyLean?: boolean
  /** The versions of Node where it does. Default all. */
  readonly on?: (node: number) => boolean
}

export interface Routes {
  /** Added by cases as they are loaded, by path. */
  readonly http: Map<string, TestHandler>
  /** Answers with bytes. What came of the request so far is its head at least. */
  readonly raw: Map<string, (socket: TLSSocket) => void>
}

export const NODE = Number.parseInt(process.versions.node, 10)

/**
 * One server and three roads to it: the runtime's fetch with undici's Agent, ours, and ours where it has to take the long
 * way (`window: null` says nothing, and is no member that the lean road knows).
 *
 * @param redirect Of the client. Where it follows, so does the runtime's fetch, and the order and case of header names are left
 *   out: a request that follows names them in its own.
 */
export async function openRoads(routes: Routes, redirect: NonNullable<ClientOptions['redirect']> = 'error') {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const web = await startTlsServer({ identity, handler: (...given) => routeOf(routes, given[0])(...given) })
  const rawRequests: string[] = []
  const raw = await startTlsServer({ identity, onSocket: (socket) => void serveRaw(socket, routes, rawRequests) })
  const client = createClient({
    resolver: async () => ['127.0.0.1'],
    pins: { localhost: [identity.pin] },
    anchors: ca.anchorPem,
    redirect,
  })
  const agent = new Agent({ connect: { ca: ca.anchorPem, host: '127.0.0.1', servername: 'localhost' } })
  const manual = redirect === 'error' ? { redirect: 'manual' } : {}
  const roads = {
    builtIn: (input, init) => fetch(input, withMore(input, init, { ...manual, dispatcher: agent })),
    lean: (input, init) => client.fetch(input, init),
    full: (input, init) => client.fetch(input, withMore(input, init, { window: null })),
  } satisfies Record<string, typeof globalThis.fetch>
  return {
    observe: async (road: keyof typeof roads, { run, isRace = false }: Case) => {
      const [fromWeb, fromRaw] = [web.requests.length, rawRequests.length]
      const at = (route: string): string => `https://localhost:${routes.raw.has(route) ? raw.port : web.port}${route}`
      const arrived = (count: number) =>
        reached(() => web.requests.length + rawRequests.length - fromWeb - fromRaw >= count)
      const saw = await outcome(() => run({ fetch: roads[road], at, routes, arrived }))
      return JSON.parse(
        JSON.stringify(
          isRace
            ? { saw }
            : {
                saw,
                received: web.requests.slice(fromWeb).map(redirect === 'error' ? received : receivedInOrder),
                raw: rawRequests.slice(fromRaw),
              },
        )
          .replaceAll(String(web.port), 'PORT')
          .replaceAll(String(raw.port), 'PORT')
          .replaceAll(/formdata-(?:undici-\d+|[0-9a-f]{32})/g, 'BOUNDARY'),
      )
    },
    close: async () => {
      await Promise.all([agent.destroy(), client.close(), web.close(), raw.close()])
    },
  }
}

/** An init of its own would reset the referrer of a Request (WHATWG Fetch, Request constructor, step 13). */
function withMore(input: unknown, init: RequestInit | undefined, more: object): RequestInit {
  const kept = init === undefined && input instanceof Request ? { referrer: input.referrer } : {}
  return Object.assign(Object.create(init ?? null), kept, more)
}

function routeOf(routes: Routes, { path }: TestRequest): TestHandler {
  const answer: TestHandler = (_, response) => response.end('ok')
  return routes.http.get(path.split('?')[0] ?? '') ?? answer
}

async function serveRaw(socket: TLSSocket, { raw }: Routes, seen: string[]): Promise<void> {
  let text = ''
  while (!text.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data').catch(() => [Buffer.from('\r\n\r\n')])) as [Buffer]
    text += chunk.toString('latin1')
  }
  const head = text.split('\r\n\r\n')[0] ?? ''
  if (head === '') return
  seen.push(head)
  raw.get(head.split(' ')[1]?.split('?')[0] ?? '')?.(socket)
}

function received({ method, path, rawHeaders, body }: TestRequest): unknown {
  return { method, path, headers: rawHeaders, body: Buffer.from(body).toString('latin1') }
}

function receivedInOrder({ method, path, headers, body }: TestRequest): unknown {
  const { 'content-length': length, ...rest } = headers
  const isForm = headers['content-type']?.startsWith('multipart/') // whose boundary has a length of its own
  const named = Object.entries(isForm ? rest : { ...rest, length }).sort()
  return { method, path, headers: named, body: Buffer.from(body).toString('latin1') }
}

/** Everything that a Response shows; the body last, read as the case wants. */
export async function seen(response: Response, read: (response: Response) => unknown = (one) => one.text()) {
  const { status, statusText, ok, url, redirected, type, bodyUsed } = response
  const headers = [...response.headers].filter(([name]) => name !== 'date')
  const isResponse = response instanceof Response && response.headers instanceof Headers
  const kind = [isResponse, String(response), response.constructor.name, Object.keys(response)]
  const hasBody = response.body instanceof ReadableStream
  const body = await outcome(() => read(response))
  return {
    status,
    statusText,
    ok,
    url,
    redirected,
    type,
    bodyUsed,
    headers,
    kind,
    hasBody,
    body,
    used: response.bodyUsed,
  }
}

export async function outcome(act: () => unknown): Promise<unknown> {
  try {
    return { value: plain(await act()) }
  } catch (error) {
    return { error: named(error) }
  }
}

/** A failed exchange is a TypeError everywhere; what it says and carries is ours. */
function named(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: error }
  const { name, message } = error
  const code = String(Reflect.get(error, 'code') ?? '')
  if (message === 'fetch failed' || code.startsWith('ERR_TRANSPORT_') || code === 'ERR_CONFIG_URL')
    return 'network error'
  return { name, message, isTypeError: error instanceof TypeError }
}

function plain(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return { arrayBuffer: Buffer.from(value).toString('latin1') }
  if (ArrayBuffer.isView(value)) return { [value.constructor.name]: Buffer.from(value.buffer).toString('latin1') }
  return value
}

async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

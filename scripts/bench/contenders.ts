import { once } from 'node:events'
import https from 'node:https'
import tls from 'node:tls'
import axios from 'axios'
import { Agent, buildConnector, request, fetch as undiciFetch } from 'undici'
import type { Served } from './server.ts'

/** What users install: the sources as tsx compiles them carry helpers that the package does not. */
const PACKAGE = new URL('../../dist/index.js', import.meta.url).href
const { createClient } = (await import(PACKAGE)) as typeof import('pinfetch')

export interface Contender {
  readonly name: string
  /** One GET, its body read to the end. */
  readonly get: (path: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Ours first. Each as its users write it; who caches TLS sessions by default does so here. */
export function createContenders({ ca, pins }: Served, port: number): readonly Contender[] {
  const origin = `https://localhost:${port}`
  const pinned = createClient({ pins: { localhost: pins }, anchors: ca })
  // A connector of its own: those that an Agent makes end, cached sessions included, with the last connection of an origin.
  const agent = new Agent({ connect: buildConnector({ ca }) })
  const nothing = async (): Promise<void> => undefined
  return [
    {
      name: 'pinfetch',
      get: async (path) => void (await (await pinned.fetch(origin + path)).arrayBuffer()),
      close: () => pinned.close(),
    },
    {
      name: 'global fetch',
      get: async (path) => void (await (await fetch(origin + path)).arrayBuffer()),
      close: nothing,
    },
    {
      name: 'undici.fetch',
      get: async (path) => void (await (await undiciFetch(origin + path, { dispatcher: agent })).arrayBuffer()),
      close: nothing,
    },
    {
      name: 'undici.request',
      get: async (path) => void (await (await request(origin + path, { dispatcher: agent })).body.arrayBuffer()),
      close: () => agent.close(),
    },
    handWritten(port, ca),
  ]
}

/** Over one HTTP/2 connection. undici's as it has to be told, or it would open one for each request. */
export function createHttp2Contenders(served: Served): readonly Contender[] {
  const { ca, pins, http2Port } = served
  const origin = `https://localhost:${http2Port}`
  const pinned = createClient({ pins: { localhost: pins }, anchors: ca, http2: 'require' })
  const { dispatcher } = pinned
  const agent = new Agent({ connect: { ca }, allowH2: true, connections: 1, pipelining: 128 })
  return [
    {
      name: 'pinfetch',
      get: async (path) => void (await (await pinned.fetch(origin + path)).arrayBuffer()),
      close: () => pinned.close(),
    },
    {
      name: 'pinfetch, request()',
      get: async (path) => void (await (await request(origin + path, { dispatcher })).body.arrayBuffer()),
      close: async () => undefined,
    },
    {
      name: 'undici.fetch',
      get: async (path) => void (await (await undiciFetch(origin + path, { dispatcher: agent })).arrayBuffer()),
      close: async () => undefined,
    },
    {
      name: 'undici.request',
      get: async (path) => void (await (await request(origin + path, { dispatcher: agent })).body.arrayBuffer()),
      close: () => agent.close(),
    },
  ]
}

/** The same clients of others, through ours and without. */
export function createAgentContenders({ ca, pins }: Served, port: number): readonly Contender[] {
  const origin = `https://localhost:${port}`
  const pinned = createClient({ pins: { localhost: pins }, anchors: ca })
  const plain = new https.Agent({ ca, keepAlive: true, maxSockets: 256, scheduling: 'lifo' })
  const nothing = async (): Promise<void> => undefined
  const overHttps = (agent: https.Agent) => (path: string) =>
    new Promise<void>((resolve, reject) => {
      https.get(origin + path, { agent }, (response) => response.once('end', resolve).resume()).once('error', reject)
    })
  const overAxios = (httpsAgent: https.Agent) => {
    const api = axios.create({ baseURL: origin, httpsAgent, proxy: false, responseType: 'arraybuffer' })
    return async (path: string): Promise<void> => void (await api.get(path))
  }
  return [
    { name: 'pinfetch, node:https', get: overHttps(pinned.agent), close: () => pinned.close() },
    { name: 'node:https', get: overHttps(plain), close: async () => plain.destroy() },
    { name: 'pinfetch, axios', get: overAxios(pinned.agent), close: nothing },
    { name: 'axios', get: overAxios(plain), close: nothing },
  ]
}

/** `tls.connect` and a request written by hand: as fast as Node can be, and no client at all. */
function handWritten(port: number, ca: string): Contender {
  const secureContext = tls.createSecureContext({ ca })
  const idle: tls.TLSSocket[] = []
  let session: Buffer | undefined
  const connect = async (): Promise<tls.TLSSocket> => {
    const resumable = session === undefined ? {} : { session }
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', secureContext, ...resumable })
    socket.on('session', (next) => {
      session = next
    })
    await once(socket, 'secureConnect')
    return socket.setNoDelay(true)
  }
  return {
    name: 'tls.connect',
    get: async (path) => {
      const socket = idle.pop() ?? (await connect())
      socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost:${port}\r\n\r\n`)
      let received = 0
      let expected = Number.POSITIVE_INFINITY
      while (received < expected) {
        const [chunk] = (await once(socket, 'data')) as [Buffer]
        const end = chunk.indexOf('\r\n\r\n')
        if (received === 0 && end >= 0) {
          expected = end + 4 + Number(/content-length: (\d+)/i.exec(chunk.toString('latin1', 0, end))?.[1])
        }
        received += chunk.length
      }
      if (path.startsWith('/close')) socket.destroy()
      else idle.push(socket)
    },
    close: async () => {
      for (const socket of idle) socket.destroy()
    },
  }
}

import { type Client, type ClientEvent, type ClientOptions, createClient } from '../../src/index.ts'
import { type FaultServer, type FaultServerOptions, startFaultServer, testCa } from '../../src/testing/index.ts'

export const HOST = 'api.example.com'
export const ca = testCa({ name: 'Faults' })
export const server = ca.issue({ names: [HOST] })
export const backup = ca.issue({ names: [HOST] })
/** A certificate of the same CA, for the right name, under a key that nobody pinned. */
export const stranger = ca.issue({ names: [HOST] })

/** Servers and clients of one case, and what was seen of them. */
export interface World {
  /** A server whose attempts and bytes count. Default identity: the pinned one. */
  readonly serve: (options?: Partial<FaultServerOptions>) => Promise<FaultServer>
  /** A client that pins `server` and `backup`; every name resolves to loopback. */
  readonly client: (options?: Partial<ClientOptions>) => Client
  /** Notes the outcome. Never rejects. */
  readonly call: (client: Client, to: { readonly port: number }, init?: CallInit) => Promise<string>
  /** Something to be closed with the servers. */
  readonly keep: <T extends { close(): Promise<unknown> }>(resource: T) => T
  /** Something that does not hold. */
  readonly complain: (about: string) => void
  /** An outcome that is not a call's. */
  readonly note: (outcome: string) => void
  readonly open: () => number
  readonly seen: () => Seen
  readonly closeClients: () => Promise<void>
  readonly closeServers: () => Promise<void>
}

export interface CallInit extends RequestInit {
  readonly host?: string
  readonly path?: string
}

export interface Seen {
  readonly calls: readonly string[]
  readonly attempts: number
  readonly applicationBytes: number
  readonly requests: number
  readonly requestSent: string | undefined
  readonly events: readonly string[]
  readonly complaints: readonly string[]
  /** Of the slowest call. */
  readonly elapsedMs: number
}

export function createWorld(): World {
  const servers: FaultServer[] = []
  const kept: { close(): Promise<unknown> }[] = []
  const clients: Client[] = []
  const calls: string[] = []
  const events: string[] = []
  const complaints: string[] = []
  let requestSent: string | undefined
  let elapsedMs = 0
  const sum = (count: (one: FaultServer) => number): number => servers.reduce((all, one) => all + count(one), 0)

  return {
    serve: async (options = {}) => {
      const started = await startFaultServer({ identity: server, ...options })
      servers.push(started)
      return started
    },
    client: (options = {}) => {
      const client = createClient({
        ...(options.manifest === undefined ? { pins: { [HOST]: [server.pin, backup.pin] } } : {}),
        anchors: ca.anchorPem,
        resolver: async () => ['127.0.0.1'],
        ...options,
      })
      for (const type of TOLD) client.on(type, (event: ClientEvent) => void events.push(textOf(event)))
      clients.push(client)
      return client
    },
    call: async (client, { port }, { host = HOST, path = '/', ...init } = {}) => {
      const begun = performance.now()
      let outcome: string
      try {
        const response = await client.fetch(`https://${host}:${port}${path}`, init)
        outcome = `${response.status} ${(await response.text()).slice(0, 40)}`
      } catch (error) {
        const { name, message, cause } = error as Error
        const isOfBody = message === 'terminated' && cause instanceof Error // fetch's own word, with ours behind it
        const { code, requestSent: sent } = (isOfBody ? cause : error) as { code?: unknown; requestSent?: string }
        outcome = typeof code === 'string' ? `${isOfBody ? 'terminated by ' : ''}${code}` : name
        requestSent = sent
        if (message === '') complaints.push(`an error without a message: ${outcome}`)
      }
      elapsedMs = Math.max(elapsedMs, Math.round(performance.now() - begun))
      calls.push(outcome)
      return outcome
    },
    keep: (resource) => {
      kept.push(resource)
      return resource
    },
    complain: (about) => void complaints.push(about),
    note: (outcome) => void calls.push(outcome),
    open: () => sum(({ open }) => open),
    seen: () => ({
      calls,
      attempts: sum(({ attempts }) => attempts),
      applicationBytes: sum(({ applicationBytes }) => applicationBytes),
      requests: sum(({ requests }) => requests.length),
      requestSent,
      events,
      complaints,
      elapsedMs,
    }),
    closeClients: async () => {
      await Promise.all(clients.map((client) => client.close()))
    },
    closeServers: async () => {
      await Promise.all([...servers, ...kept].map((one) => one.close()))
    },
  }
}

/** Everything but what a healthy client says all day. */
const TOLD = [
  'tls.rejected',
  'tls.reported',
  'tls.retired',
  'tls.fragile',
  'tls.keyChanged',
  'revocation.failed',
  'manifest.rejected',
  'manifest.clock',
  'manifest.stale',
  'manifest.expired',
  'manifest.fresh',
  'manifest.deny',
  'manifest.cacheError',
] as const

const textOf = (event: ClientEvent): string => ('code' in event ? `${event.type} ${event.code}` : event.type)

import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { systemRuntime } from '../ports/system.ts'
import {
  type ServerIdentity,
  startTlsServer,
  type TestRequest,
  type TestTlsServer,
  type TlsServerOptions,
} from './tls-server.ts'

/**
 * Serves a manifest repository over https as a static host or CDN does, ETag and If-None-Match included, and misbehaves
 * when told to: fails, delays, hangs, cuts off, or goes on serving what it held an hour ago.
 *
 * @param options.files Path below the base URL (`status.json`, `roots/1.json`) to bytes. A function, or an object with a
 *   `files` function as a repository is, is asked again at every request.
 */
export async function startManifestServer(options: ManifestServerOptions): Promise<ManifestServer> {
  const { files, ...tls } = options
  let current = readerOf(files)
  const requestCounts = new Map<string, number>()
  const faults = new Map<string, Fault>()

  const server = await startTlsServer({
    ...tls,
    handler: (request, response) => {
      const path = pathOf(request)
      requestCounts.set(path, (requestCounts.get(path) ?? 0) + 1)
      const fault = takeFault(faults, path)
      const answer = (): void => respond(request, response, current().get(path), fault)
      if (fault?.delayMs === undefined) answer()
      else systemRuntime.schedule(fault.delayMs, answer)
    },
  })

  return Object.assign(server, {
    url: `${server.origin}/`,
    requestCounts,
    requestsFor: (path: string) => requestCounts.get(normal(path)) ?? 0,
    respond: (path: string, fault: Fault | undefined) => {
      if (fault === undefined) faults.delete(normal(path))
      else faults.set(normal(path), fault)
    },
    snapshot: () => new Map(current()),
    serve: (source: ManifestFiles) => {
      current = readerOf(source)
    },
    freeze: () => {
      current = readerOf(new Map(current()))
    },
    thaw: () => {
      current = readerOf(files)
    },
  })
}

/** What it serves, and what it presents. */
export interface ManifestServerOptions extends Omit<TlsServerOptions, 'handler' | 'onSocket' | 'identity'> {
  readonly files: ManifestFiles
  readonly identity: ServerIdentity | readonly ServerIdentity[]
}

/** Documents by path, as they are now, or as a function answers them. */
export type ManifestFiles = FileMap | (() => FileMap) | { readonly files: () => FileMap }
type FileMap = ReadonlyMap<string, Uint8Array>

/** How the next answers for a path differ from the file's. Without `status` and `body`, the file itself is sent. */
export interface Fault {
  readonly status?: number
  readonly body?: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
  /** Real milliseconds before the first byte. */
  readonly delayMs?: number
  /** `'hang'`: no answer, ever. `'close'`: the connection is cut at once. `'truncate'`: it is cut halfway through the body. */
  readonly ending?: 'hang' | 'close' | 'truncate'
  /** For so many requests; then the file is served again. Default: until taken back. */
  readonly times?: number
}

/** A server of signed documents that counts who asks, and fails when told to. */
export interface ManifestServer extends TestTlsServer {
  /** Base URL of the repository, with the final slash. */
  readonly url: string
  readonly requestCounts: ReadonlyMap<string, number>
  readonly requestsFor: (path: string) => number
  /** Sets the fault of a path, or of every path without one of its own with `'*'`; `undefined` takes it back. */
  readonly respond: (path: string, fault: Fault | undefined) => void
  /** What would be served now. Given to `serve` later, it is a rollback. */
  readonly snapshot: () => ReadonlyMap<string, Uint8Array>
  readonly serve: (files: ManifestFiles) => void
  /** Serves what is there now from here on, whatever is published: a freeze attack, or a cache that lost its origin. */
  readonly freeze: () => void
  /** Back to the files given at the start. */
  readonly thaw: () => void
}

function respond(
  request: TestRequest,
  response: ServerResponse,
  file: Uint8Array | undefined,
  fault: Fault | undefined,
): void {
  if (fault?.ending === 'hang') return
  if (fault?.ending === 'close') {
    response.destroy()
    return
  }
  const body = fault?.body ?? file
  const status = fault?.status ?? (body === undefined ? 404 : 200)
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body)
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`
  if (status === 200 && request.headers['if-none-match'] === etag && fault?.ending === undefined) {
    response.writeHead(304, { etag, ...fault?.headers }).end()
    return
  }
  const headers = { 'content-type': 'application/json', 'content-length': bytes.length, ...fault?.headers }
  response.writeHead(status, status === 200 ? { etag, ...headers } : headers)
  if (fault?.ending === 'truncate') {
    response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
  } else {
    response.end(bytes)
  }
}

function takeFault(faults: Map<string, Fault>, path: string): Fault | undefined {
  const key = faults.has(path) ? path : '*'
  const fault = faults.get(key)
  if (fault?.times === undefined) return fault
  if (fault.times > 1) faults.set(key, { ...fault, times: fault.times - 1 })
  else faults.delete(key)
  return fault
}

function readerOf(source: ManifestFiles): () => FileMap {
  if (typeof source === 'function') return source
  return 'files' in source ? source.files : () => source
}

const pathOf = ({ path }: TestRequest): string => normal(path.split('?')[0] ?? path)

const normal = (path: string): string => path.replace(/^\/+/, '')

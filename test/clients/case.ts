import type { ServerResponse } from 'node:http'
import type { Client } from 'pinfetch'
import type { TestCertificate, TestRequest } from 'pinfetch/testing'

/** A package that others wrote, and how it is made to go through ours. */
export interface ClientCase {
  /** As npm knows it, or a module of Node. */
  readonly name: string
  readonly through: 'client.fetch' | 'client.dispatcher' | 'client.agent' | 'client.connect' | 'client.tlsOptions'
  readonly open: (client: Client, origin: string) => Uses
  /** A server that does not speak HTTP/1.1. */
  readonly serve?: (identity: TestCertificate) => Promise<Served>
  /** What its server answers, where `answer` does not know. */
  readonly answer?: (request: TestRequest, response: ServerResponse) => void
  /** Why its user does not see our code. */
  readonly hides?: string
  /** Uses that it does not have, with the reason. */
  readonly lacks?: Partial<Record<'stream' | 'upload' | 'abort', string>>
}

/** Each resolves to what the user gets, or rejects with what the user sees. */
export interface Uses {
  readonly request: () => Promise<unknown>
  /** Pieces of a body, as they come. */
  readonly stream?: () => Promise<readonly string[]>
  readonly upload?: (bytes: Uint8Array<ArrayBuffer>) => Promise<unknown>
  /** Never answered. */
  readonly abort?: (signal: AbortSignal) => Promise<unknown>
  readonly close?: () => void
}

export interface Served {
  readonly port: number
  readonly requests: () => number
  /** Decrypted. */
  readonly bytes: () => number
  readonly close: () => Promise<unknown>
}

/** Text of which every package makes sense, from a server that knows none of them. */
export function answer({ path, body }: TestRequest, response: ServerResponse): void {
  if (path.includes('hang')) return
  const isStream = path.includes('stream') || Buffer.from(body).includes('"stream":true')
  if (isStream) {
    streamed(response, PIECES)
    return
  }
  const type = { 'content-type': 'application/json' }
  response.writeHead(200, type).end(JSON.stringify({ id: 'x', Id: 'x', Key: 'x', object: 'x', ok: 'ok' }))
}

/** One after the other, each in a turn of its own. */
export function streamed(response: ServerResponse, pieces: readonly string[], type = 'text/plain'): void {
  response.writeHead(200, { 'content-type': type })
  const [first, ...rest] = pieces
  if (first !== undefined) response.write(first)
  const next = (): void => {
    const piece = rest.shift()
    if (piece === undefined) response.end()
    else response.write(piece, () => setTimeout(next, 5))
  }
  setTimeout(next, 5)
}

export const PIECES = ['one ', 'two ', 'three'] as const

/** What a reader of bytes gets, as text. */
export async function piecesOf(stream: AsyncIterable<Uint8Array | string>): Promise<readonly string[]> {
  const pieces: string[] = []
  for await (const piece of stream) pieces.push(typeof piece === 'string' ? piece : Buffer.from(piece).toString())
  return pieces
}

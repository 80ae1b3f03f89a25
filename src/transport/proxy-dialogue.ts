import type { Socket } from 'node:net'
import type { CodeIn } from '../errors/codes.ts'
import { TransportError } from '../errors/errors.ts'

/** What the two ways of asking for a tunnel have in common. */
export interface TunnelRequest {
  /** Connected, and nothing said on it so far. */
  readonly socket: Socket
  /** A name or an address, and the port: where the tunnel shall end. */
  readonly host: string
  readonly port: number
  /** Secret. Absent: the proxy is used without. */
  readonly credentials?: ProxyCredentials | undefined
}

export interface ProxyCredentials {
  readonly username: string
  readonly password: string
}

/** What a proxy said, and with how many bytes; `undefined` while more have to come. */
export type Reader<Answer> = (bytes: Buffer) => { readonly answer: Answer; readonly length: number } | undefined

/**
 * Sends a message and reads the answer. A proxy has nothing to say unasked: bytes beyond its answer would be read as the
 * server's, so they end the connection.
 *
 * @param read Throws a ProxyRefusal for what is no answer, and for one that grows too long.
 */
export function ask<Answer>(socket: Socket, message: Buffer | string, read: Reader<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const end = (): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose)
      socket.pause() // whatever comes next is for who takes over
    }
    const onError = (error: Error): void => {
      end()
      reject(error)
    }
    const onClose = (): void => onError(new ProxyRefusal('ERR_TRANSPORT_PROXY_CONNECT', 'closed the connection'))
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk])
      try {
        const found = read(received)
        if (found === undefined) return
        if (received.length > found.length) throw tooEager()
        end()
        resolve(found.answer)
      } catch (error) {
        onError(error instanceof Error ? error : new Error('unknown reason', { cause: error }))
      }
    }
    if (socket.destroyed) {
      onClose()
      return
    }
    socket.on('data', onData).on('error', onError).on('close', onClose)
    socket.resume()
    socket.write(message)
  })
}

/** Why there is no tunnel, without who is meant: `proxy.ts` knows that. */
export class ProxyRefusal extends Error {
  readonly code: CodeIn<'TRANSPORT'>

  constructor(code: CodeIn<'TRANSPORT'>, reason: string) {
    super(reason)
    this.code = code
  }
}

export function isRefusalOfTarget(error: unknown): boolean {
  return error instanceof TransportError && error.code === 'ERR_TRANSPORT_PROXY_FAILED'
}

function tooEager(): ProxyRefusal {
  const reason = 'sent bytes before it was sent any for the server, which would have passed for the server’s'
  return new ProxyRefusal('ERR_TRANSPORT_PROXY_EARLY_BYTES', reason)
}

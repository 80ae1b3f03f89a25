import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect as connectTcp, isIPv6, Socket } from 'node:net'
import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import * as z from 'zod'
import { canonicalHost, canonicalOrigin } from '../../encoding/host.ts'
import { parseOptions } from '../../encoding/options.ts'
import { onAbort } from '../../ports/signals.ts'
import { inTurns } from '../gathering.ts'
import { type Outlet, Undelivered } from './delivery.ts'
import { Format, type RecordFormat, writerOf } from './format.ts'
import { meaningOf, type Severity } from './meaning.ts'
import { carry, type OutletOptions, OutletShape, type Watched, whole } from './outlet.ts'
import { PRODUCT, type ToldEvent } from './record.ts'

/** A syslog collector (RFC 5424). */
export interface SyslogOutletOptions extends OutletOptions {
  /**
   * RFC 5426 over UDP, RFC 6587 over TCP, RFC 5425 over TLS: `connect` is that of another client, which knows the pins of the collector.
   * UDP tells nobody what was lost, and TCP not what was under way when a connection ended.
   */
  readonly to:
    | { readonly protocol: 'udp' | 'tcp'; readonly host: string; readonly port: number }
    | { readonly protocol: 'tls'; readonly host: string; readonly port: number; readonly connect: SyslogConnect }
  /** Default `cef`. */
  readonly format?: RecordFormat
  /** Number of the facility (RFC 5424 §6.2.1). Default 13, log audit. */
  readonly facility?: number
  /** Default `pinfetch`. */
  readonly appName?: string
}

type SyslogConnect = (
  target: { readonly host: string; readonly port: number },
  options: { readonly signal: AbortSignal },
) => Promise<Duplex>

/**
 * Messages of RFC 5424.
 *
 * @throws ConfigurationError
 *
 * @example
 * toSyslog(client, { to: { protocol: 'tls', host: 'siem.example.com', port: 6514, connect: collector.connect } })
 */
export function toSyslog(client: Watched, options: SyslogOutletOptions): Outlet {
  const {
    to,
    format = 'cef',
    facility = 13,
    appName = PRODUCT.name,
    ...rest
  } = parseOptions('toSyslog', Options, options)
  const write = writerOf(format)
  const head = headOf({ facility, appName })
  const road = to.protocol === 'udp' ? datagrams(to) : stream(to)
  const { host, port, protocol } = to
  return carry<ToldEvent, Unsent>(client, rest, {
    name: `syslog ${protocol} ${host}:${port}`,
    host: canonicalOrigin(new URL(urlOf(to)))?.text,
    select: whole,
    gathers: true,
    batchSize: 100,
    prepare: async (told) => {
      const messages: Buffer[] = []
      await inTurns(told, (one) => {
        const text = write(one)
        if (text !== undefined) messages.push(Buffer.from(`${head(one)}${text.replaceAll('\n', ' ')}`))
      })
      return messages.length === 0 ? undefined : { messages, sent: 0 }
    },
    deliver: async (batch, signal) => {
      for (; batch.sent < batch.messages.length; batch.sent += 1)
        await road.send(batch.messages[batch.sent] as Buffer, signal)
    },
    dispose: road.close,
  })
}

interface Unsent {
  readonly messages: readonly Buffer[]
  /** How many an attempt before this one got rid of. */
  sent: number
}

/** PRI, VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID and no STRUCTURED-DATA, each within its length (RFC 5424 §6). */
function headOf({ facility, appName }: { readonly facility: number; readonly appName: string }) {
  const [host, app] = [wordOf(hostname(), 255), wordOf(appName, 48)]
  return ({ event, at }: ToldEvent): string => {
    const priority = facility * 8 + SEVERITIES[meaningOf(event)?.severity ?? 'informational']
    return `<${priority}>1 ${new Date(at).toISOString()} ${host} ${app} ${process.pid} ${wordOf(event.type, 32)} - `
  }
}

interface Road {
  readonly send: (message: Buffer, signal: AbortSignal) => Promise<void>
  readonly close: () => void
}

function datagrams({ host, port }: { readonly host: string; readonly port: number }): Road {
  let socket: UdpSocket | undefined
  return {
    send: (message) =>
      new Promise((resolve, reject) => {
        if (socket === undefined) {
          socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
          socket.on('error', () => undefined) // an ICMP answer; the next datagram is sent all the same
          socket.unref()
        }
        const whole = message.subarray(0, MAX_DATAGRAM) // cut rather than lost: RFC 5426 §3.2 lets a receiver do the same
        socket.send(whole, port, host, (error) => (error === null ? resolve() : reject(error)))
      }),
    close: () => socket?.close(),
  }
}

/** Octet counting (RFC 6587 §3.4.1, RFC 5425 §4.3): the length in octets, a space, the message. */
function stream(to: SyslogOutletOptions['to']): Road {
  let held: Duplex | undefined
  const opened = async (signal: AbortSignal): Promise<Duplex> => {
    if (held !== undefined) return held
    const { host, port } = to
    const socket = to.protocol === 'tls' ? await to.connect({ host, port }, { signal }) : await tcp(host, port, signal)
    const forget = (): void => {
      if (held === socket) held = undefined
    }
    socket.once('close', forget).on('error', forget)
    if (signal.aborted) {
      socket.destroy() // nobody waits for it any longer
      throw signal.reason
    }
    held = socket
    if (socket instanceof Socket) socket.unref()
    socket.resume() // a collector has nothing to say; its end would not be seen
    return socket
  }
  return {
    send: async (message, signal) => {
      const socket = await opened(signal)
      await new Promise<void>((resolve, reject) => {
        const lost = (): void => reject(new Undelivered(`${to.host}:${to.port} closed the connection`))
        const stop = (): void => void socket.destroy() // a part of the message may be on its way: nothing can follow it
        socket.once('close', lost)
        onAbort(signal, stop)
        socket.write(Buffer.concat([Buffer.from(`${message.length} `), message]), (error) => {
          socket.off('close', lost)
          signal.removeEventListener('abort', stop)
          if (error === null || error === undefined) resolve()
          else reject(error)
        })
      })
    },
    close: () => {
      const socket = held
      socket?.end(() => socket.destroy()) // a collector that keeps its half open would hold ours
    },
  }
}

function tcp(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, signal })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

const urlOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `https://${isIPv6(host) ? `[${host}]` : host}:${port}/`

/** PRINTUSASCII, or `-` for nothing. */
const wordOf = (text: string, length: number): string => text.replace(/[^\x21-\x7e]/g, '').slice(0, length) || '-'

const SEVERITIES: Readonly<Record<Severity, number>> = { informational: 6, low: 5, medium: 4, high: 3, critical: 2 }
const MAX_DATAGRAM = 8_192

const Address = { host: z.string().min(1).max(255), port: z.int().min(1).max(65_535) }
const Options = z.strictObject({
  ...OutletShape,
  to: z
    .discriminatedUnion('protocol', [
      z.strictObject({ protocol: z.enum(['udp', 'tcp']), ...Address }),
      z.strictObject({
        protocol: z.literal('tls'),
        ...Address,
        connect: z.custom<SyslogConnect>((value) => typeof value === 'function', 'expected the connect of a client'),
      }),
    ])
    .refine(({ host }) => canonicalHost(host) !== undefined, 'expected a host name or an IP address'),
  format: Format.optional(),
  facility: z.int().min(0).max(23).optional(),
  appName: z.string().min(1).max(48).optional(),
})

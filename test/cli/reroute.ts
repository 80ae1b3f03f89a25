/**
 * Loaded into a command's process before it starts (`--import`): names below `bank.com` resolve to loopback, and their port
 * 443 is the one of PINFETCH_TEST_PORT, so that a walk can be typed with the host names and without the ports of real life.
 */
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

const port = Number(process.env['PINFETCH_TEST_PORT'])
const isOurs = (host: unknown): boolean => typeof host === 'string' && /(^|\.)bank\.com$/.test(host)

const { lookup } = dns
dns.lookup = ((host: string, options: unknown, callback: unknown) =>
  (lookup as (...args: readonly unknown[]) => void)(
    isOurs(host) ? '127.0.0.1' : host,
    options,
    callback,
  )) as typeof lookup
syncBuiltinESMExports() // for whoever imported it by name

const { connect } = Socket.prototype
Socket.prototype.connect = function (this: Socket, ...args: readonly unknown[]) {
  const [first, ...rest] = args
  const options = Array.isArray(first) ? first[0] : first
  const target = options as { host?: string; port?: number } | undefined
  if (isOurs(target?.host) && target?.port === 443) target.port = port
  return (connect as (...all: readonly unknown[]) => Socket).apply(this, [first, ...rest])
} as typeof connect

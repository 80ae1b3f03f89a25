import { isIP } from 'node:net'
import { parseAddress } from '../encoding/cidr.ts'
import { ask, type ProxyCredentials, ProxyRefusal, type Reader, type TunnelRequest } from './proxy-dialogue.ts'

/**
 * Asks a SOCKS proxy of version 5 for a tunnel (RFC 1928), by user name and password (RFC 1929) where it wants them and some
 * are given.
 *
 * @param request.host An address, or a name that the proxy shall resolve.
 * @throws ProxyRefusal
 */
export async function openSocksTunnel({ socket, host, port, credentials }: TunnelRequest): Promise<void> {
  const offered = credentials === undefined ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USERNAME_METHOD]
  const method = await ask(socket, Buffer.from([VERSION, offered.length, ...offered]), readMethod)
  if (method === NO_ACCEPTABLE_METHOD) throw notAuthenticated(credentials !== undefined)
  if (!offered.includes(method)) throw malformed(`it chose method ${method}, which was not offered`)
  if (method === USERNAME_METHOD && credentials !== undefined) {
    const status = await ask(socket, credentialsMessage(credentials), readAuthentication)
    if (status !== 0) throw notAuthenticated(true)
  }
  const reply = await ask(socket, connectMessage(host, port), readReply)
  if (reply !== SUCCEEDED) throw refused(reply)
}

/** RFC 1929 §2. The options see to it that each has 1 to 255 bytes. */
function credentialsMessage({ username, password }: ProxyCredentials): Buffer {
  const [name, secret] = [Buffer.from(username), Buffer.from(password)]
  return Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([secret.length]), secret])
}

/** RFC 1928 §4. */
function connectMessage(host: string, port: number): Buffer {
  const address = isIP(host) === 0 ? undefined : parseAddress(host)
  const target =
    address === undefined
      ? [DOMAIN_NAME, host.length, ...Buffer.from(host, 'latin1')]
      : [address.length === 4 ? IPV4 : IPV6, ...address]
  return Buffer.from([VERSION, CONNECT, 0, ...target, port >> 8, port & 0xff])
}

const readMethod: Reader<number> = (bytes) => {
  if (bytes[0] !== VERSION) throw malformed(`it speaks version ${bytes[0]}`)
  const method = bytes[1]
  return method === undefined ? undefined : { answer: method, length: 2 }
}

const readAuthentication: Reader<number> = (bytes) => {
  if (bytes[0] !== 1) throw malformed(`it answered credentials in version ${bytes[0]}`)
  const status = bytes[1]
  return status === undefined ? undefined : { answer: status, length: 2 }
}

/** RFC 1928 §6. What follows a refusal is not read; the address that a success names means nothing to CONNECT. */
const readReply: Reader<number> = (bytes) => {
  if (bytes[0] !== VERSION) throw malformed(`it speaks version ${bytes[0]}`)
  const [, reply, reserved, type, length = 0] = bytes
  if (reply !== undefined && reply !== SUCCEEDED) return { answer: reply, length: bytes.length }
  if (reserved !== undefined && reserved !== 0) throw malformed('its reserved octet is not 0')
  if (reply === undefined || type === undefined) return undefined
  const ofAddress = type === IPV4 ? 4 : type === IPV6 ? 16 : type === DOMAIN_NAME ? 1 + length : undefined
  if (ofAddress === undefined) throw malformed(`its address is of type ${type}`)
  const end = 4 + ofAddress + 2
  return bytes.length > 4 && bytes.length >= end ? { answer: reply, length: end } : undefined
}

function refused(reply: number): ProxyRefusal {
  const reason = REPLIES[reply] ?? 'a reply that RFC 1928 does not know'
  const code = reply === NOT_ALLOWED ? 'ERR_TRANSPORT_PROXY_DENIED' : 'ERR_TRANSPORT_PROXY_FAILED'
  return new ProxyRefusal(code, `made no tunnel: ${reason} (SOCKS reply ${reply})`)
}

function notAuthenticated(hasCredentials: boolean): ProxyRefusal {
  const reason = hasCredentials ? 'does not take the credentials given' : 'wants credentials, and there are none'
  return new ProxyRefusal('ERR_TRANSPORT_PROXY_AUTH', reason)
}

function malformed(reason: string): ProxyRefusal {
  return new ProxyRefusal('ERR_TRANSPORT_PROXY_PROTOCOL', `does not answer as a SOCKS proxy of version 5: ${reason}`)
}

const VERSION = 5
const NO_AUTHENTICATION = 0
const USERNAME_METHOD = 2 // RFC 1929
const NO_ACCEPTABLE_METHOD = 0xff
const CONNECT = 1
const IPV4 = 1
const DOMAIN_NAME = 3
const IPV6 = 4
const SUCCEEDED = 0
const NOT_ALLOWED = 2

/** RFC 1928 §6. */
const REPLIES: Readonly<Record<number, string>> = {
  1: 'general failure',
  [NOT_ALLOWED]: 'its rules do not allow the connection',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
  7: 'it does not know CONNECT',
  8: 'it does not know this type of address',
}

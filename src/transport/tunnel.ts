import { ask, ProxyRefusal, type Reader, type TunnelRequest } from './proxy-dialogue.ts'

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6). The proxy learns the host and the port, and nothing of the request that
 * will go through. Of what it answers the status alone is repeated: the rest is a stranger's text.
 *
 * @throws ProxyRefusal
 */
export async function openHttpTunnel({ socket, host, port, credentials }: TunnelRequest): Promise<void> {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const fields = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]
  if (credentials !== undefined) fields.push(`Proxy-Authorization: ${basic(credentials)}`)
  const status = await ask(socket, `${fields.join('\r\n')}\r\n\r\n`, readConnectResponse)
  if (status < 200 || status > 299) throw refused(status, credentials !== undefined)
}

/** RFC 7617 §2, in UTF-8. */
export function basic({ username, password }: NonNullable<TunnelRequest['credentials']>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/**
 * The status of the response to a CONNECT request. Its header fields mean nothing here: a 2xx has no content whatever
 * Content-Length and Transfer-Encoding say (RFC 9110 §9.3.6), and the content of others is not read. They have to be header
 * fields all the same, so that what is no HTTP is not taken for it.
 *
 * @throws ProxyRefusal
 */
export const readConnectResponse: Reader<number> = (bytes) => {
  for (let start = 0; ; ) {
    const end = bytes.indexOf('\r\n\r\n', start)
    if (end < 0) {
      requireBeginning(bytes.subarray(start))
      if (bytes.length > MAX_HEAD_BYTES) throw tooLong()
      return undefined
    }
    if (end + 4 > MAX_HEAD_BYTES) throw tooLong()
    const [statusLine = '', ...fields] = bytes.toString('latin1', start, end).split('\r\n')
    const [, text] = STATUS_LINE.exec(statusLine) ?? []
    if (text === undefined) throw malformed('its status line is none')
    if (!fields.every((field) => FIELD_LINE.test(field))) throw malformed('a line of its head is no header field')
    const status = Number(text)
    if (status === 101) throw malformed('it answered with another protocol, which nobody asked for')
    start = end + 4
    if (status < 200) continue // RFC 9110 §15.2: interim, the answer is still to come
    return { answer: status, length: status < 300 ? start : bytes.length }
  }
}

/** What cannot become a response any more is not waited for. */
function requireBeginning(bytes: Buffer): void {
  const expected = Buffer.from('HTTP/1.')
  const length = Math.min(bytes.length, expected.length)
  if (bytes.compare(expected, 0, length, 0, length) !== 0) throw malformed('it does not begin as a response of HTTP/1')
}

function refused(status: number, hasCredentials: boolean): ProxyRefusal {
  if (status === 407 || status === 401) {
    // the latter is tinyproxy's answer to a wrong password
    const reason = hasCredentials ? 'it does not take those given' : 'there are none'
    const message = `answered CONNECT with ${status}: it wants credentials, and ${reason}`
    return new ProxyRefusal('ERR_TRANSPORT_PROXY_AUTH', message)
  }
  const mayPass = status >= 500 || status === 408 || status === 429
  const code = mayPass ? 'ERR_TRANSPORT_PROXY_FAILED' : 'ERR_TRANSPORT_PROXY_DENIED'
  return new ProxyRefusal(code, `answered CONNECT with ${status}`)
}

function malformed(reason: string): ProxyRefusal {
  return new ProxyRefusal(
    'ERR_TRANSPORT_PROXY_PROTOCOL',
    `answered CONNECT with what is no HTTP/1.1 response: ${reason}`,
  )
}

function tooLong(): ProxyRefusal {
  const reason = `answered CONNECT with more than ${MAX_HEAD_BYTES} bytes of header fields`
  return new ProxyRefusal('ERR_TRANSPORT_PROXY_PROTOCOL', reason)
}

const MAX_HEAD_BYTES = 16_384 // interim responses included; as much as a response of a server may have by default
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/ // RFC 9112 §4; many leave the last space out
const FIELD_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/ // RFC 9112 §5, no obs-fold

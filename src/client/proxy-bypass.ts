import { isIP } from 'node:net'
import { type AddressBlock, isWithin, parseAddress, parseBlock } from '../encoding/cidr.ts'
import { type CanonicalOrigin, canonicalHost } from '../encoding/host.ts'

/** Whether an origin is connected to directly. */
export type Bypass = (origin: CanonicalOrigin) => boolean

/**
 * Reads one entry of `proxy.bypass` or NO_PROXY; `undefined` when it is none. As curl and Go read them, where the two agree:
 * `example.com` stands for itself and every name below it, and so do `.example.com` and `*.example.com`; an address for itself;
 * `10.0.0.0/8` for the addresses in it, where the URL has one; `*` for everything. `:8443` behind it, and it is about that port
 * alone. No name is resolved for this.
 */
export function parseBypass(entry: string): Bypass | undefined {
  if (entry === '*') return () => true
  const block = parseBlock(entry)
  if (block !== undefined) return ({ kind, host }) => kind === 'ip' && isIn(host, block)
  const [, text = '', port] = /^(\[[^\]]*\]|[^:]*)(?::([1-9]\d{0,4}))?$/.exec(entry) ?? []
  const name = canonicalHost(isIP(entry) === 6 ? entry : text.replace(/^\*?\./, ''))
  if (name === undefined || Number(port ?? 1) > 65_535) return undefined
  return ({ kind, host, port: own }) => {
    const isNamed = host === name || (kind === 'dns' && host.endsWith(`.${name}`))
    return isNamed && (port === undefined || Number(port) === own)
  }
}

function isIn(host: string, block: AddressBlock): boolean {
  const address = parseAddress(host)
  return address !== undefined && isWithin(address, block)
}

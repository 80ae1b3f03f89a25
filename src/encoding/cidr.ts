import { isIP } from 'node:net'

/** An address as bytes: 4, or 16. One of IPv4 that is written as `::ffff:0:0/96` is IPv4 (RFC 4291 §2.5.5.2). */
export type AddressBytes = readonly number[]

/** All addresses that share the first `prefix` bits (RFC 4632 §3.1, RFC 4291 §2.3). */
export interface AddressBlock {
  readonly bytes: AddressBytes
  readonly prefix: number
}

/** `undefined` when the text is no address. A zone (`fe80::1%eth0`) names an interface and is not part of it. */
export function parseAddress(text: string): AddressBytes | undefined {
  const bytes = bytesOf(text.replace(/%.*$/s, ''))
  return bytes !== undefined && isMapped(bytes) ? bytes.slice(12) : bytes
}

/** `undefined` when the text is no `address/prefix`. Bits after the prefix are kept, and mean nothing to `isWithin`. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address = '', length = '', ...rest] = text.split('/')
  const bytes = bytesOf(address)
  if (bytes === undefined || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined
  const prefix = Number(length)
  if (prefix > bytes.length * 8) return undefined
  return isMapped(bytes) && prefix >= 96 ? { bytes: bytes.slice(12), prefix: prefix - 96 } : { bytes, prefix }
}

/** Whether the address, or each address of the block, is in the other one. */
export function isWithin(inner: AddressBytes | AddressBlock, { bytes, prefix }: AddressBlock): boolean {
  const { bytes: own, prefix: length } = 'prefix' in inner ? inner : { bytes: inner, prefix: inner.length * 8 }
  if (own.length !== bytes.length || length < prefix) return false
  return own.every((byte, at) => ((byte ^ (bytes[at] ?? 0)) & ~(0xff >> clamp(prefix - at * 8)) & 0xff) === 0)
}

/** Such a block is nearly always a slip: `10.0.0.1/8` for the one host. */
export function hasHostBits({ bytes, prefix }: AddressBlock): boolean {
  return bytes.some((byte, at) => (byte & (0xff >> clamp(prefix - at * 8))) !== 0)
}

const clamp = (bits: number): number => Math.min(8, Math.max(0, bits))

const isMapped = (bytes: AddressBytes): boolean =>
  bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff

function bytesOf(text: string): AddressBytes | undefined {
  if (isIP(text) === 4) return text.split('.').map(Number)
  if (isIP(text) !== 6 || text.includes('%')) return undefined
  const groups = new URL(`http://[${text}]/`).hostname.slice(1, -1) // hexadecimal alone, with one `::` at most
  const [head = [], tail = []] = groups.split('::').map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

import { BoundedMap } from '../encoding/bounded-map.ts'
import { type AddressBlock, type AddressBytes, isWithin, parseAddress, parseBlock } from '../encoding/cidr.ts'

export interface AddressPolicy {
  /** Nothing else is connected to. */
  readonly allow?: readonly AddressBlock[] | undefined
  readonly deny: readonly AddressBlock[]
  readonly private: 'allow' | 'refuse'
}

/**
 * Why an address may not be connected to; `undefined` when it may. Pure.
 *
 * An IPv6 address that stands for an IPv4 address (mapped, NAT64, 6to4) is judged as that one, and lists are held against both.
 *
 * @param only What the manifest allows the host, in addition to the client's own policy.
 */
export function addressRefusal(
  text: string,
  policy: AddressPolicy,
  only?: readonly AddressBlock[],
): string | undefined {
  const known = placeOf(text)
  if (known === undefined) return 'is no IP address'
  const { written, address, range } = known
  const isIn = (blocks: readonly AddressBlock[]): boolean =>
    blocks.some((block) => isWithin(address, block) || isWithin(written, block))
  if (isIn(policy.deny)) return 'is in addresses.deny'
  if (policy.allow !== undefined && !isIn(policy.allow)) return 'is not in addresses.allow'
  if (only !== undefined && !isIn(only)) return 'is not in the allowedAddresses of the manifest'
  const isRefused = range !== undefined && (range.kind === 'special' || policy.private === 'refuse')
  if (!isRefused) return undefined
  const named = (policy.allow ?? []).filter((block) => isWithin(block, range.block))
  return isIn(named) ? undefined : `is ${range.about} (addresses.${range.kind === 'special' ? 'allow' : 'private'})`
}

/** Whether two texts are one address. */
export function isSameAddress(one: string, other: string): boolean {
  const [a, b] = [placeOf(one)?.written, placeOf(other)?.written]
  return a !== undefined && b !== undefined && a.length === b.length && a.every((byte, at) => byte === b[at])
}

/** Of a text alone, and a service connects to few addresses. */
function placeOf(text: string): Place | undefined {
  const known = places.get(text)
  if (known !== undefined) return known
  const written = parseAddress(text)
  if (written === undefined) return undefined
  const address = embedded(written) ?? written
  const place: Place = { written, address, range: rangeOf(address) }
  places.set(text, place)
  return place
}

interface Place {
  readonly written: AddressBytes
  /** Where packets to it end up. */
  readonly address: AddressBytes
  readonly range: Range | undefined
}

/** The IPv4 address that packets to an IPv6 address end up at. */
function embedded(address: AddressBytes): AddressBytes | undefined {
  if (isWithin(address, NAT64)) return address.slice(12)
  if (isWithin(address, SIX_TO_FOUR)) return address.slice(2, 6)
  return undefined
}

interface Range {
  readonly block: AddressBlock
  /** `special`: no API is there, but something that an attacker would like to be asked. */
  readonly kind: 'special' | 'private'
  readonly about: string
}

/** The first that the address is in; `undefined` for what is reached over the public Internet. */
function rangeOf(address: AddressBytes): Range | undefined {
  return RANGES.find(({ block }) => isWithin(address, block))
}

function blockOf(text: string): AddressBlock {
  const block = parseBlock(text)
  if (block === undefined) throw new TypeError(`${text} is no address block`)
  return block
}

const NAT64 = blockOf('64:ff9b::/96') // RFC 6052 §2.1
const SIX_TO_FOUR = blockOf('2002::/16') // RFC 3056 §2

/** IANA's special-purpose registries (RFC 6890), and the metadata services of clouds that have other addresses. */
const RANGES: readonly Range[] = (
  [
    ['0.0.0.0/8', 'special', 'unspecified'],
    ['169.254.0.0/16', 'special', 'link-local, where clouds keep their metadata service'],
    ['100.100.100.200/32', 'special', 'a metadata service (Alibaba Cloud)'],
    ['168.63.129.16/32', 'special', 'a metadata service (Azure)'],
    ['192.0.0.192/32', 'special', 'a metadata service (Oracle Cloud)'],
    ['224.0.0.0/4', 'special', 'multicast'],
    ['240.0.0.0/4', 'special', 'reserved or broadcast'],
    ['10.0.0.0/8', 'private', 'private'],
    ['100.64.0.0/10', 'private', 'shared by a carrier or a cluster'],
    ['127.0.0.0/8', 'private', 'this machine'],
    ['172.16.0.0/12', 'private', 'private'],
    ['192.0.0.0/24', 'private', 'reserved'],
    ['192.0.2.0/24', 'private', 'for documentation'],
    ['192.88.99.0/24', 'private', 'reserved'],
    ['192.168.0.0/16', 'private', 'private'],
    ['198.18.0.0/15', 'private', 'for benchmarks'],
    ['198.51.100.0/24', 'private', 'for documentation'],
    ['203.0.113.0/24', 'private', 'for documentation'],
    ['::/128', 'special', 'unspecified'],
    ['fe80::/10', 'special', 'link-local'],
    ['fec0::/10', 'special', 'site-local'],
    ['ff00::/8', 'special', 'multicast'],
    ['fd00:ec2::254/128', 'special', 'a metadata service (AWS)'],
    ['fd20:ce::254/128', 'special', 'a metadata service (Google Cloud)'],
    ['2001::/32', 'special', 'Teredo'], // two IPv4 addresses stand in it, and which of them is reached is not ours to know
    ['64:ff9b:1::/48', 'special', 'a local translation to IPv4'], // RFC 8215; where the IPv4 address stands is local as well
    ['::1/128', 'private', 'this machine'],
    ['fc00::/7', 'private', 'private'],
    ['2001::/23', 'private', 'reserved'],
    ['2001:db8::/32', 'private', 'for documentation'],
    ['3fff::/20', 'private', 'for documentation'],
    ['::/3', 'special', 'outside of what IANA gives out'], // IPv4 in IPv6 clothes that nobody wears any longer among it
    ['4000::/2', 'special', 'outside of what IANA gives out'],
    ['8000::/1', 'special', 'outside of what IANA gives out'],
  ] as const
).map(([block, kind, about]) => ({ block: blockOf(block), kind, about }))

const places = new BoundedMap<string, Place>(1_000)

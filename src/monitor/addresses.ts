import { BoundedMap } from '../encoding/bounded-map.ts'
import { parseAddress } from '../encoding/cidr.ts'
import type { HandshakeEvent } from '../events/handshake.ts'

/** What an address is one of: the number of a network, a country. Addresses of which it says the same are one place. */
export type AddressOf = (address: string) => string

export interface Move {
  readonly before: string
  readonly after: string
}

/**
 * Notices that a host is reached somewhere else: outside of every block that it was known at, after ten handshakes in a row that
 * brought none. Until then blocks are learned, those of the resolver's other answers too; afterwards the answers that nobody
 * connects to are not, or whoever forges one could announce an address today and use it tomorrow. A move is told once, and
 * learned. A host of more than 16 blocks is at home everywhere, and is watched no longer; nor is what a proxy connects to.
 *
 * @param addressOf Default: blocks of /16 for IPv4 and /32 for IPv6, about what one network is given.
 */
export function createAddressWatch(addressOf: AddressOf = blockOf): (handshake: HandshakeEvent) => Move | undefined {
  const hosts = new BoundedMap<string, Known>(MAX_HOSTS)

  /** Answers whether it is a new one. */
  const learn = (known: Known, block: string): boolean => {
    if (known.blocks.has(block)) return false
    known.blocks.add(block)
    known.quiet = 0
    if (known.blocks.size > MAX_BLOCKS) known.isEverywhere = true
    return true
  }

  return ({ host, address, addresses, proxy }) => {
    if (address === undefined || proxy !== undefined) return undefined
    let known = hosts.get(host)
    if (known !== undefined && (known.isEverywhere || known.address === address)) {
      known.quiet += 1
      return undefined
    }
    const after = placeOf(address, addressOf)
    if (after === undefined) return undefined
    if (known === undefined) {
      known = { blocks: new Set(), block: after, address, quiet: 0, isEverywhere: false }
      hosts.set(host, known)
    }
    const { block: before, quiet } = known
    const isStable = quiet >= STABLE_AFTER
    known.address = address
    known.block = after
    known.quiet += 1
    const isNew = learn(known, after)
    if (!isStable) {
      for (const other of addresses.slice(0, MAX_BLOCKS)) {
        const block = placeOf(other, addressOf)
        if (block !== undefined) learn(known, block)
      }
    }
    return isNew && isStable && !known.isEverywhere ? { before, after } : undefined
  }
}

interface Known {
  readonly blocks: Set<string>
  /** Of the newest connection. */
  block: string
  address: string
  /** Handshakes since a block was new. */
  quiet: number
  isEverywhere: boolean
}

function placeOf(address: string, addressOf: AddressOf): string | undefined {
  const place = said(address, addressOf)
  if (place instanceof Promise) place.catch(() => undefined) // no place
  return typeof place === 'string' && place !== '' ? place.slice(0, MAX_PLACE) : undefined
}

/** The application's function fails on its own, as a listener does: what else was learned of the handshake is not lost by it. */
function said(address: string, addressOf: AddressOf): unknown {
  try {
    return addressOf(address)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
    return undefined
  }
}

/** Empty for what is no address: a Unix socket. */
function blockOf(address: string): string {
  const bytes = parseAddress(address)
  if (bytes === undefined) return ''
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  if (bytes.length === 4) return `${a}.${b}.0.0/16`
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::/32`
}

const STABLE_AFTER = 10
const MAX_BLOCKS = 16
const MAX_HOSTS = 500
const MAX_PLACE = 200 // the application's own text; an event is no place for a page

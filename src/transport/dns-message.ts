import { isIP } from 'node:net'

export type AddressType = 'A' | 'AAAA'

export type DnsAnswer =
  /** `ttl` in seconds: the shortest on the way from the name to the addresses. None: the name has no address of the type. */
  | { readonly kind: 'answered'; readonly addresses: readonly string[]; readonly ttl: number }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * A query for the addresses of a name (RFC 1035 §4.1).
 *
 * @param host Canonical: labels of ASCII, 253 characters together at most.
 * @param id Default 0, as RFC 8484 §4.1 asks for: there the HTTP exchange says which answer belongs to it.
 */
export function encodeQuery(host: string, type: AddressType, id = 0): Uint8Array {
  return Uint8Array.from([...header(id, 0), ...question(host, type)])
}

/** The same as long as a multiple of 128 octets (RFC 7830, RFC 8467 §4.1): its length does not tell which name is asked for. */
export function encodePaddedQuery(host: string, type: AddressType, id: number): Uint8Array {
  const bare = [...header(id, 1), ...question(host, type)]
  const unpadded = bare.length + OPT_RECORD.length + 2 + PADDING_OPTION.length + 2
  const padding = new Uint8Array(-unpadded & (PADDED_TO - 1))
  const options = [...PADDING_OPTION, ...uint16(padding.length), ...padding]
  return Uint8Array.from([...bare, ...OPT_RECORD, ...uint16(options.length), ...options])
}

function header(id: number, additional: 0 | 1): readonly number[] {
  return [...uint16(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, additional]
}

function question(host: string, type: AddressType): readonly number[] {
  const labels = host.split('.').map((label) => [label.length, ...Buffer.from(label, 'latin1')])
  return [...labels.flat(), 0, 0, TYPES[type], 0, CLASS_IN]
}

const uint16 = (value: number): readonly number[] => [value >> 8, value & 0xff]

/** The id of a message that is as long as a header at least. */
export function idOf([high = 0, low = 0]: Uint8Array): number {
  return (high << 8) | low
}

/**
 * Reads the response to such a query: header, question and answers; nothing that comes after them is needed. Names have
 * letters, digits, `-` and `_` alone: a dot inside a label would make one name look like another.
 *
 * Hostile bytes give a failure; nothing in a message makes this throw, and no message keeps it busy.
 */
export function readAnswer(bytes: Uint8Array, host: string, type: AddressType, ownId = 0): DnsAnswer {
  try {
    return read(new Reader(bytes), host, type, ownId)
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'failed', reason: error.message }
    throw error
  }
}

function read(reader: Reader, host: string, type: AddressType, ownId: number): DnsAnswer {
  const [id, flags, questions, answers] = [reader.uint16(), reader.uint16(), reader.uint16(), reader.uint16()]
  reader.skip(4)
  if (id !== ownId || (flags & 0xf800) !== 0x8000) throw new Malformed('not a response to this query')
  if ((flags & 0x0200) !== 0) throw new Malformed('truncated')
  const rcode = flags & 0x000f
  if (rcode !== NO_ERROR && rcode !== NX_DOMAIN) throw new Malformed(`RCODE ${rcode}`)
  const isOwnQuestion = questions === 1 && reader.name() === host && reader.uint16() === TYPES[type]
  if (!isOwnQuestion || reader.uint16() !== CLASS_IN) throw new Malformed('the answer to another question')
  if (answers > MAX_RECORDS) throw new Malformed(`${answers} records`)

  const aliases = new Map<string, { readonly target: string; readonly ttl: number }>()
  const addresses: { readonly owner: string; readonly text: string; readonly ttl: number }[] = []
  for (let left = answers; left > 0; left -= 1) {
    const [owner, kind, ofClass, ttl, length] = [
      reader.name(),
      reader.uint16(),
      reader.uint16(),
      reader.uint32(),
      reader.uint16(),
    ]
    const end = reader.at + length
    if (ofClass === CLASS_IN && kind === TYPE_CNAME) {
      if (aliases.has(owner)) throw new Malformed('two aliases of one name')
      aliases.set(owner, { target: reader.name(), ttl })
    } else if (ofClass === CLASS_IN && kind === TYPES[type]) {
      addresses.push({ owner, text: addressOf(reader.take(length), type), ttl })
    } else {
      reader.skip(length)
    }
    if (reader.at !== end) throw new Malformed('a record that is not as long as it says')
  }
  return follow(host, aliases, addresses)
}

function follow(
  host: string,
  aliases: ReadonlyMap<string, { readonly target: string; readonly ttl: number }>,
  addresses: readonly { readonly owner: string; readonly text: string; readonly ttl: number }[],
): DnsAnswer {
  let name = host
  let ttl = MAX_TTL
  for (let steps = 0; ; steps += 1) {
    const alias = aliases.get(name)
    if (alias === undefined) break
    if (steps === MAX_ALIASES) throw new Malformed(`more than ${MAX_ALIASES} aliases in a row`)
    name = alias.target
    ttl = Math.min(ttl, alias.ttl)
  }
  const own = addresses.filter(({ owner }) => owner === name)
  return {
    kind: 'answered',
    addresses: [...new Set(own.map(({ text }) => text))],
    ttl: Math.min(ttl, ...own.map((address) => address.ttl)),
  }
}

function addressOf(bytes: Uint8Array, type: AddressType): string {
  const groups = [...bytes].flatMap((byte, at) =>
    at % 2 === 0 ? [((byte << 8) | (bytes[at + 1] ?? 0)).toString(16)] : [],
  )
  const text = type === 'A' ? bytes.join('.') : groups.join(':')
  if (isIP(text) !== (type === 'A' ? 4 : 6)) throw new Malformed(`${bytes.length} octets as an address`)
  return type === 'A' ? text : new URL(`http://[${text}]/`).hostname.slice(1, -1) // the canonical text, RFC 5952
}

class Malformed extends Error {}

class Reader {
  readonly #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(length: number): Uint8Array {
    const end = this.at + length
    if (end > this.#bytes.length) throw new Malformed('cut short')
    const taken = this.#bytes.subarray(this.at, end)
    this.at = end
    return taken
  }

  skip(length: number): void {
    this.take(length)
  }

  uint16(): number {
    const [high = 0, low = 0] = this.take(2)
    return (high << 8) | low
  }

  /** RFC 2181 §8: 31 bits, and one with the 32nd set is 0. */
  uint32(): number {
    const value = this.uint16() * 65_536 + this.uint16()
    return value > MAX_TTL ? 0 : value
  }

  /** RFC 1035 §4.1.4. A pointer goes to what stands before the name, each further one before the last: none can go in circles. */
  name(): string {
    const labels: string[] = []
    let resumeAt: number | undefined
    let start = this.at
    let jumps = 0
    for (let total = 0; ; ) {
      const [length = 0] = this.take(1)
      if (length === 0) break
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | (this.take(1)[0] ?? 0)
        if (target >= start) throw new Malformed('a name that points forward')
        jumps += 1
        if (jumps > MAX_JUMPS) throw new Malformed('a name of too many pointers')
        resumeAt ??= this.at
        start = target
        this.at = target
        continue
      }
      total += length + 1
      if (length > 63 || total > 254) throw new Malformed('a name that is too long')
      const label = Buffer.from(this.take(length)).toString('latin1')
      if (!/^[A-Za-z0-9_-]+$/.test(label)) throw new Malformed('a label that is not one of a host name')
      labels.push(label.toLowerCase())
    }
    this.at = resumeAt ?? this.at
    return labels.join('.')
  }
}

const TYPES = { A: 1, AAAA: 28 } as const
const TYPE_CNAME = 5
/** RFC 6891 §6.1.2: the root, type 41, what a UDP answer might be as long as, and no extended RCODE, version or flag. */
const OPT_RECORD = [0, 0, 41, 0x10, 0, 0, 0, 0, 0]
const PADDING_OPTION = [0, 12] // RFC 7830 §3
const PADDED_TO = 128 // RFC 8467 §4.1
const CLASS_IN = 1
const NO_ERROR = 0
const NX_DOMAIN = 3
const MAX_TTL = 2 ** 31 - 1
const MAX_ALIASES = 8 // resolvers of note give up between 8 and 16
const MAX_RECORDS = 256
const MAX_JUMPS = 127 // as many as a name has labels; without a limit, 256 names of 8 000 pointers take half a second

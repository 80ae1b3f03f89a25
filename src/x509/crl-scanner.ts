import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import {
  contextConstructed,
  DerError,
  DerLimitError,
  DerReader,
  encodingOf,
  octetsOfBitString,
  openElement,
  smallIntegerOf,
  TAG,
  timeOf,
} from './der.ts'
import { type Extension, parseExtensions } from './extensions.ts'
import { type DistinguishedName, parseName } from './names.ts'
import { parseSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'

/** What stands before the entries of a CertificateList (RFC 5280 §5.1.2). */
export interface CrlHeader {
  readonly version: 1 | 2
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly issuer: DistinguishedName
  readonly thisUpdate: UnixMs
  readonly nextUpdate?: UnixMs
  /** Octets that the entries take: how large an index will be. */
  readonly entriesLength: number
}

export interface CrlTrailer {
  readonly extensions: ReadonlyMap<string, Extension>
  readonly signature: Uint8Array
}

export interface CrlSink {
  /** Once, before the first entry and the first signed byte. May throw to end the scan. */
  readonly onHeader: (header: CrlHeader) => void
  /** One of revokedCertificates: `bytes` hold it whole, from the start of its content. Valid during the call alone. */
  readonly onEntry: (bytes: Uint8Array, contentStart: number, end: number) => void
  /** TBSCertList, in order and without gaps. Valid during the call alone. */
  readonly onSigned: (bytes: Uint8Array) => void
}

/**
 * Reads a CertificateList as it arrives, in pieces of any size, and holds no more of it than one element: lists of a
 * million entries exist, and parsed into objects they take gigabytes. As strict as `DerReader`.
 */
export class CrlScanner {
  readonly #sink: CrlSink
  #carry: Uint8Array = new Uint8Array()
  /** Position in the whole document of `#carry[0]`. */
  #base = 0
  #step: () => boolean = () => this.#readOuter()
  #at = 0 // within #carry
  #signedTo = 0
  #tbsStart = 0
  #tbsEnd = 0
  #outerEnd = 0
  #entriesEnd = 0
  #header: Omit<CrlHeader, 'entriesLength'> | undefined
  #innerAlgorithm: Uint8Array = new Uint8Array()
  #extensions: ReadonlyMap<string, Extension> = new Map()
  #trailer: CrlTrailer | undefined

  constructor(sink: CrlSink) {
    this.#sink = sink
  }

  /** @throws DerError as soon as what arrived cannot become a CertificateList. */
  write(chunk: Uint8Array): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk])
    this.#carry = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) // whose slices are copies, unlike a Buffer’s
    this.#at = 0
    while (this.#step()) {
      // each step reads one element, or says that it has to wait for more
    }
    this.#emitSigned()
    this.#base += this.#at
    this.#carry = this.#carry.slice(this.#at)
  }

  /** @throws DerError when the document is not complete. */
  end(): CrlTrailer {
    if (this.#trailer === undefined || this.#carry.length > 0) throw new DerError('the list is cut short')
    return this.#trailer
  }

  #readOuter(): boolean {
    const outer = this.#headAt(this.#at, Number.POSITIVE_INFINITY)
    if (outer === undefined) return false
    const tbs = this.#headAt(outer.contentStart, Number.POSITIVE_INFINITY)
    if (tbs === undefined) return false
    if (outer.tag !== TAG.sequence || tbs.tag !== TAG.sequence) throw new DerError('not a certificate list')
    this.#outerEnd = this.#base + outer.end
    this.#tbsStart = this.#base + outer.contentStart
    this.#tbsEnd = this.#base + tbs.end
    if (this.#tbsEnd > this.#outerEnd) throw new DerError('element is longer than what holds it')
    this.#signedTo = this.#tbsStart
    this.#at = outer.contentStart
    this.#step = () => this.#readHeader(tbs.contentStart - outer.contentStart)
    return true
  }

  /** Everything up to the entries at once: it is short, and nothing of it can be used before all of it is there. */
  #readHeader(headLength: number): boolean {
    const start = this.#at + headLength
    const heads: Head[] = []
    for (let at = start; ; ) {
      const isAtEnd = this.#base + at === this.#tbsEnd
      const head = isAtEnd ? undefined : this.#headAt(at, this.#tbsEnd)
      if (head === undefined && !isAtEnd) return this.#waitForHeader()
      const isEntries = head?.tag === TAG.sequence && heads.length > 0 && isTime(heads.at(-1)?.tag)
      if (head === undefined || isEntries || head.tag === contextConstructed(0)) {
        this.#parseHeader(start, at)
        this.#enterEntries(isEntries ? head : undefined, at)
        return true
      }
      if (head.end > this.#carry.length) return this.#waitForHeader()
      heads.push(head)
      at = head.end
    }
  }

  #waitForHeader(): false {
    if (this.#carry.length - this.#at > MAX_HEADER_BYTES) throw new DerLimitError('the head of the list is too long')
    return false
  }

  #parseHeader(start: number, end: number): void {
    const reader = new DerReader(this.#carry, start, end)
    const version = reader.readOptional(TAG.integer)
    if (version !== undefined && smallIntegerOf(version) !== 1) throw new DerError('list version is neither 1 nor 2')
    this.#innerAlgorithm = encodingOf(reader.read(TAG.sequence)).slice()
    const issuer = parseName(reader.read(TAG.sequence))
    const thisUpdate = instantOf(reader)
    const nextUpdate = reader.atEnd ? undefined : instantOf(reader)
    reader.expectEnd()
    this.#header = {
      version: version === undefined ? 1 : 2,
      signatureAlgorithm: parseSignatureAlgorithm(this.#innerAlgorithm),
      issuer,
      thisUpdate,
      ...(nextUpdate === undefined ? {} : { nextUpdate }),
    }
  }

  #enterEntries(entries: Head | undefined, at: number): void {
    if (this.#header === undefined) throw new DerError('the list has no head')
    const entriesLength = entries === undefined ? 0 : entries.end - entries.contentStart
    this.#sink.onHeader({ ...this.#header, entriesLength })
    this.#at = entries === undefined ? at : entries.contentStart
    this.#entriesEnd = this.#base + (entries === undefined ? at : entries.end)
    // RFC 5280 §5.1.2.6: absent rather than empty.
    if (entries !== undefined && entriesLength === 0) throw new DerError('the list of entries is empty')
    this.#step = () => this.#readEntries()
  }

  /** The hot loop: a list has a million of these. */
  #readEntries(): boolean {
    const { onEntry } = this.#sink
    const bytes = this.#carry
    const limit = Math.min(bytes.length, this.#entriesEnd - this.#base)
    let at = this.#at
    while (at + 1 < limit) {
      const short = bytes[at + 1] ?? 0
      let contentStart = at + 2
      let end = contentStart + short
      if (short >= 0x80) {
        const head = this.#headAt(at, this.#entriesEnd)
        if (head === undefined) break
        contentStart = head.contentStart
        end = head.end
        if (end - at > MAX_ENTRY_BYTES) throw new DerLimitError('an entry of the list is too long')
      }
      if (bytes[at] !== TAG.sequence) throw new DerError('an entry of the list is no sequence')
      if (this.#base + end > this.#entriesEnd) throw new DerError('element is longer than what holds it')
      if (end > bytes.length) break
      onEntry(bytes, contentStart, end)
      at = end
    }
    this.#at = at
    if (this.#base + at < this.#entriesEnd) return false
    this.#step = () => this.#readExtensions()
    return true
  }

  #readExtensions(): boolean {
    if (this.#base + this.#at < this.#tbsEnd) {
      const head = this.#headAt(this.#at, this.#tbsEnd)
      if (head === undefined || head.end > this.#carry.length) return this.#waitForHeader()
      const reader = new DerReader(this.#carry, this.#at, head.end)
      const field = openElement(reader.read(contextConstructed(0)))
      this.#extensions = parseExtensions(openElement(copyOf(field.read(TAG.sequence))))
      field.expectEnd()
      this.#at = head.end
    }
    if (this.#base + this.#at !== this.#tbsEnd) throw new DerError('bytes follow where the structure ends')
    if (this.#extensions.size > 0 && this.#header?.version !== 2) throw new DerError('extensions need version 2')
    this.#step = () => this.#readSignature()
    return true
  }

  #readSignature(): boolean {
    const rest = this.#outerEnd - this.#base - this.#at
    if (this.#carry.length - this.#at < rest) return this.#waitForHeader()
    const reader = new DerReader(this.#carry, this.#at, this.#at + rest)
    const outerAlgorithm = encodingOf(reader.read(TAG.sequence))
    // RFC 5280 §5.1.1.2, for the reason that certificates have: the outer one is not signed.
    if (Buffer.compare(outerAlgorithm, this.#innerAlgorithm) !== 0) {
      throw new DerError('the signature algorithms inside and outside differ')
    }
    const signature = octetsOfBitString(reader.read(TAG.bitString)).slice()
    reader.expectEnd()
    this.#trailer = { extensions: this.#extensions, signature }
    this.#at += rest
    this.#step = () => this.#expectNothing()
    return true
  }

  #expectNothing(): false {
    if (this.#at < this.#carry.length) throw new DerError('bytes follow where the structure ends')
    return false
  }

  #emitSigned(): void {
    if (this.#header === undefined) return
    const to = Math.min(this.#base + this.#at, this.#tbsEnd)
    if (to <= this.#signedTo) return
    this.#sink.onSigned(this.#carry.subarray(this.#signedTo - this.#base, to - this.#base))
    this.#signedTo = to
  }

  /** Identifier and length of the element there; `undefined` while they have not arrived. */
  #headAt(at: number, limit: number): Head | undefined {
    const bytes = this.#carry
    const [tag, first] = [bytes[at], bytes[at + 1]]
    if (tag === undefined || first === undefined) return undefined
    let contentStart = at + 2
    let length = first
    if (first >= 0x80) {
      const count = first & 0x7f
      if (count === 0 || count > 4) throw new DerError('length is indefinite or absurd')
      contentStart += count
      if (contentStart > bytes.length) return undefined
      length = 0
      for (let i = at + 2; i < contentStart; i += 1) length = length * 256 + (bytes[i] ?? 0)
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('length is not in its shortest form')
    }
    const end = contentStart + length
    if (this.#base + end > limit) throw new DerError('element is longer than what holds it')
    return { tag, contentStart, end }
  }
}

interface Head {
  readonly tag: number
  readonly contentStart: number
  readonly end: number
}

const isTime = (tag: number | undefined): boolean => tag === TAG.utcTime || tag === TAG.generalizedTime

function instantOf(reader: DerReader): UnixMs {
  const ms = timeOf(reader.read())
  if (ms < EARLIEST) throw new DerError('a date before 1950') // RFC 5280 §5.1.2.4: UTCTime cannot say it, nobody means it
  return toUnixMs(ms)
}

/** Outlives the piece it arrived in. */
function copyOf(element: ReturnType<DerReader['read']>): ReturnType<DerReader['read']> {
  return new DerReader(encodingOf(element).slice()).read()
}

const EARLIEST = Date.UTC(1950, 0, 1)
const MAX_HEADER_BYTES = 64 * 1024
const MAX_ENTRY_BYTES = 64 * 1024

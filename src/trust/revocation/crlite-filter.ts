import { hash } from 'node:crypto'
import { EvidenceError } from './evidence.ts'

/**
 * A CRLite filter: which of the public certificates of some logs and some time were revoked, in a few megabytes. Version 4,
 * the file as it is; the matrices are never copied.
 *
 * @see https://c2sp.org/upki-revocation (the file), Schanck, "Clubcards for the WebPKI", IEEE S&P 2025 (the query)
 */
export interface CrliteFilter {
  /** By base64 of the LogID: the timestamps of SCTs whose certificates the filter knows, both ends included. */
  readonly coverage: ReadonlyMap<string, { readonly low: number; readonly high: number }>
  /**
   * Whether the filter says that the issuer revoked the certificate; `undefined` where it was built without data of the
   * issuer. Meaningless for a certificate that it does not cover.
   *
   * @param issuer Hexadecimal SHA-256 of the issuer's SubjectPublicKeyInfo.
   * @param serialNumber Contents of the INTEGER, a leading zero included.
   */
  readonly isRevoked: (issuer: string, serialNumber: Uint8Array) => boolean | undefined
}

/** What is needed to ask about certificates of one issuer. */
interface Block {
  readonly approximate: { readonly rows: number; readonly offset: number; readonly columns: number }
  readonly exact: { readonly rows: number; readonly offset: number }
  /** The others were encoded, because they are fewer. */
  readonly isInverted: boolean
  /** Hexadecimal serial numbers for which the matrices give the wrong answer. */
  readonly exceptions: ReadonlySet<string>
}

/** @throws EvidenceError `ERR_TRUST_CRLITE_MALFORMED`, `ERR_TRUST_CRLITE_UNSUPPORTED_VERSION` */
export function readCrliteFilter(bytes: Uint8Array): CrliteFilter {
  const reader = new FilterReader(bytes)
  const version = reader.number(1)
  if (version !== VERSION || reader.number(1) !== 0) {
    const message = `expected a CRLite filter of version ${VERSION}, saw ${version}`
    throw new EvidenceError('ERR_TRUST_CRLITE_UNSUPPORTED_VERSION', message)
  }
  const coverage = readCoverage(reader)
  const blocks = readBlocks(reader)
  const approximate = Array.from({ length: reader.number(1) }, () => reader.words())
  const exact = reader.words()
  reader.expectEnd()
  for (const block of blocks.values()) {
    if (block.approximate.columns > approximate.length) throw malformed('a block has more columns than the filter')
  }
  return {
    coverage,
    isRevoked: (issuer, serialNumber) => {
      const block = blocks.get(issuer)
      if (block === undefined) return undefined
      return isEncoded(block, issuer, serialNumber, approximate, exact) !== block.isInverted
    },
  }
}

function readCoverage(reader: FilterReader): CrliteFilter['coverage'] {
  const coverage = new Map<string, { low: number; high: number }>()
  const count = reader.number(2)
  for (let entry = 0; entry < count; entry += 1) {
    const logId = reader.octets(32).toString('base64')
    if (coverage.has(logId)) throw malformed('a log is there twice')
    coverage.set(logId, { low: reader.timestamp(), high: reader.timestamp() })
  }
  return coverage
}

function readBlocks(reader: FilterReader): ReadonlyMap<string, Block> {
  const blocks = new Map<string, Block>()
  const count = reader.number(4)
  let before = ''
  for (let entry = 0; entry < count; entry += 1) {
    const issuer = reader.octets(32).toString('hex')
    if (issuer <= before) throw malformed('issuers are not in order')
    before = issuer
    const [rows, columns, offset] = [reader.number(4), reader.number(1), reader.number(4)]
    const exact = { rows: reader.number(4), offset: reader.number(4) }
    const inverted = reader.number(1)
    if (inverted > 1) throw malformed(`inverted is ${inverted}`)
    const exceptions = new Set<string>()
    for (let left = reader.number(2); left > 0; left -= 1) exceptions.add(reader.serialNumber())
    blocks.set(issuer, { approximate: { rows, columns, offset }, exact, isInverted: inverted === 1, exceptions })
  }
  return blocks
}

/**
 * Each certificate stands for a linear equation over GF(2), from its digest: 256 coefficients, and the row where they begin.
 * The encoded ones are those that every matrix solves to zero.
 */
function isEncoded(
  { approximate, exact, exceptions }: Block,
  issuer: string,
  serialNumber: Uint8Array,
  columns: readonly DataView[],
  last: DataView,
): boolean {
  if (approximate.rows === 0) return false // a block of nothing would answer zero to everybody
  const key = hash('sha256', Buffer.concat([Buffer.from(issuer, 'hex'), serialNumber]), 'buffer')
  const [first = 0n, ...more] = [0, 8, 16, 24].map((at) => key.readBigUInt64LE(at))
  const coefficients = [first | 1n, ...more]
  const rowIn = ({ rows, offset }: { readonly rows: number; readonly offset: number }): number =>
    offset + Number((more[2] ?? 0n) % BigInt(Math.max(1, rows)))
  const row = rowIn(approximate)
  for (const column of columns.slice(0, approximate.columns)) if (isOdd(coefficients, row, column)) return false
  if (isOdd(coefficients, rowIn(exact), last)) return false
  return !exceptions.has(Buffer.from(serialNumber).toString('hex'))
}

/** The product of the coefficients with the bits from the row on. Bits behind the end of the column are zero. */
function isOdd(coefficients: readonly bigint[], row: number, column: DataView): boolean {
  const shift = BigInt(row % 64)
  let sum = 0n
  for (const [index, coefficient] of coefficients.entries()) {
    const word = Math.floor(row / 64) + index
    const bits = (wordAt(column, word) >> shift) | BigInt.asUintN(64, wordAt(column, word + 1) << (64n - shift))
    sum ^= bits & coefficient
  }
  let folded = Number(sum >> 32n) ^ Number(sum & 0xffffffffn)
  for (const half of [16, 8, 4, 2, 1]) folded ^= folded >>> half
  return (folded & 1) === 1
}

const wordAt = (column: DataView, word: number): bigint =>
  (word + 1) * 8 <= column.byteLength ? column.getBigUint64(word * 8) : 0n

/** Numbers are big-endian; sequences have their count in front. */
class FilterReader {
  readonly #bytes: Buffer
  #at = 0

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength)
  }

  octets(length: number): Buffer {
    const start = this.#at
    if (length > this.#bytes.length - start) throw malformed('cut short')
    this.#at += length
    return this.#bytes.subarray(start, this.#at)
  }

  number(length: 1 | 2 | 4): number {
    return this.octets(length).readUIntBE(0, length)
  }

  /** What a double rounds is years away. */
  timestamp(): number {
    return Number(this.octets(8).readBigUInt64BE())
  }

  serialNumber(): string {
    const length = this.number(1)
    if (length === 0) throw malformed('an exception is empty')
    return this.octets(length).toString('hex')
  }

  words(): DataView {
    const { buffer, byteOffset, byteLength } = this.octets(this.number(4) * 8)
    return new DataView(buffer, byteOffset, byteLength)
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw malformed(`${this.#bytes.length - this.#at} bytes too many`)
  }
}

const malformed = (message: string): EvidenceError =>
  new EvidenceError('ERR_TRUST_CRLITE_MALFORMED', `a CRLite filter: ${message}`)

const VERSION = 4

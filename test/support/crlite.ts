import { createHash } from 'node:crypto'

/*
 * A builder of CRLite filters, from the format's description and from nothing of the reader: bits are characters, and the
 * systems of equations are solved by elimination. Good for some hundred certificates.
 */

export interface CrliteBlock {
  /** SHA-256 of the issuer's SubjectPublicKeyInfo. */
  readonly issuer: Uint8Array
  readonly revoked: readonly Uint8Array[]
  readonly others: readonly Uint8Array[]
  readonly isInverted?: boolean
  /** Columns of the approximate filter. Default 2. */
  readonly rank?: number
  /** Rows of the exact filter. Default enough; with fewer, some certificates become exceptions. */
  readonly exactRows?: number
}

export interface CrliteOptions {
  readonly coverage: readonly { readonly logId: Uint8Array; readonly low: bigint; readonly high: bigint }[]
  readonly blocks: readonly CrliteBlock[]
  readonly version?: number
  readonly reserved?: number
  /** Default: blocks with more columns first, so that later columns are shorter. */
  readonly placed?: 'as given'
  /** In place of 0 and 1. */
  readonly inverted?: number
}

export interface BuiltFilter {
  readonly bytes: Uint8Array
  /** How many certificates of each block, in its order, are exceptions. */
  readonly exceptions: readonly number[]
}

export function buildCrlite(options: CrliteOptions): BuiltFilter {
  const { coverage, version = 4, reserved = 0 } = options
  const inOrder = [...options.blocks].sort((a, b) => rankOf(b) - rankOf(a))
  const blocks = (options.placed === 'as given' ? options.blocks : inOrder).map(planBlock)
  let [approximateOffset, exactOffset] = [0, 0]
  const placed = blocks.map((block) => {
    const at = { approximateOffset, exactOffset }
    approximateOffset += block.approximateRows
    exactOffset += block.exactRows
    return { ...block, ...at }
  })
  const columns = Array.from({ length: Math.max(0, ...placed.map(({ rank }) => rank)) }, (_, column) => {
    const inColumn = placed.filter(({ rank }) => rank > column)
    const rows = Math.max(...inColumn.map((block) => block.approximateOffset + block.approximateRows))
    const system = new System(rows, column + 1)
    for (const block of inColumn) {
      for (const serial of block.encoded) {
        system.add(equation(block.issuer, serial, block.approximateRows, block.approximateOffset), 0)
      }
    }
    return system.solution()
  })
  const exact = new System(exactOffset, 99)
  for (const block of placed) {
    for (const serial of block.encoded) exact.add(equation(block.issuer, serial, block.exactRows, block.exactOffset), 0)
  }
  const exceptions = placed.map((block) => {
    const passes = (serial: Uint8Array) =>
      columns.slice(0, block.rank).every((bits) => {
        return product(equation(block.issuer, serial, block.approximateRows, block.approximateOffset), bits) === 0
      })
    return block.rest
      .filter(passes)
      .filter((serial) => !exact.add(equation(block.issuer, serial, block.exactRows, block.exactOffset), 1))
  })
  const entries = placed
    .map((block, index) => ({ block, exceptions: exceptions[index] ?? [] }))
    .sort((a, b) => Buffer.compare(a.block.issuer, b.block.issuer))
  const bytes = Buffer.concat([
    Uint8Array.of(version, reserved),
    number(coverage.length, 2),
    ...coverage.map(({ logId, low, high }) => Buffer.concat([logId, number(low, 8), number(high, 8)])),
    number(entries.length, 4),
    ...entries.map(({ block, exceptions: serials }) =>
      Buffer.concat([
        block.issuer,
        number(block.approximateRows, 4),
        number(block.rank, 1),
        number(block.approximateOffset, 4),
        number(block.exactRows, 4),
        number(block.exactOffset, 4),
        number(options.inverted ?? (block.isInverted ? 1 : 0), 1),
        number(serials.length, 2),
        ...serials.map((serial) => Buffer.concat([number(serial.length, 1), serial])),
      ]),
    ),
    number(columns.length, 1),
    ...columns.map(column),
    column(exact.solution()),
  ])
  const counts = options.blocks.map(({ issuer }) => {
    return entries.find(({ block }) => Buffer.compare(block.issuer, issuer) === 0)?.exceptions.length ?? 0
  })
  return { bytes: new Uint8Array(bytes), exceptions: counts }
}

const rankOf = ({ rank = 2 }: CrliteBlock): number => rank

function planBlock(block: CrliteBlock) {
  const { issuer, revoked, others, isInverted = false } = block
  const [encoded, rest] = isInverted ? [others, revoked] : [revoked, others]
  if (encoded.length === 0) return { ...NOTHING, issuer, isInverted }
  const approximateRows = Math.ceil(encoded.length * 1.3)
  const exactRows = block.exactRows ?? Math.ceil((encoded.length + rest.length) * 1.3)
  return { issuer, encoded, rest, isInverted, rank: rankOf(block), approximateRows, exactRows }
}

const NOTHING = { encoded: [], rest: [], rank: 0, approximateRows: 0, exactRows: 0 } as const

/** Rows of the coefficients that are one. */
function equation(issuer: Uint8Array, serial: Uint8Array, rows: number, offset: number): readonly number[] {
  const digest = createHash('sha256').update(issuer).update(serial).digest()
  const lanes = [0, 1, 2, 3].map((lane) => Buffer.from(digest.subarray(lane * 8, lane * 8 + 8)).reverse())
  const bits = lanes.flatMap((lane) =>
    [
      ...BigInt(`0x${lane.toString('hex')}`)
        .toString(2)
        .padStart(64, '0'),
    ].reverse(),
  )
  bits[0] = '1'
  const start = offset + Number(BigInt(`0x${lanes[3]?.toString('hex')}`) % BigInt(Math.max(1, rows)))
  return bits.flatMap((bit, index) => (bit === '1' ? [start + index] : []))
}

const product = (ones: readonly number[], bits: readonly number[]): number =>
  ones.reduce((sum, row) => sum ^ (bits[row] ?? 0), 0)

/** Equations over GF(2) in so many unknowns; those behind are zero. */
class System {
  readonly #rows: number
  readonly #seed: number
  readonly #byPivot = new Map<number, { readonly ones: ReadonlySet<number>; readonly sum: number }>()

  constructor(rows: number, seed: number) {
    this.#rows = rows
    this.#seed = seed
  }

  /** Whether it agrees with the others; if not, it is left out. */
  add(given: readonly number[], sum: number): boolean {
    let ones = new Set(given.filter((row) => row < this.#rows))
    let left = sum
    while (ones.size > 0) {
      const pivot = Math.min(...ones)
      const known = this.#byPivot.get(pivot)
      if (known === undefined) {
        this.#byPivot.set(pivot, { ones, sum: left })
        return true
      }
      ones = new Set(
        [...ones].filter((row) => !known.ones.has(row)).concat([...known.ones].filter((row) => !ones.has(row))),
      )
      left ^= known.sum
    }
    return left === 0
  }

  /** What the equations leave open is drawn, from a seed. */
  solution(): readonly number[] {
    const bits = new Array<number>(this.#rows).fill(0)
    for (let row = this.#rows - 1; row >= 0; row -= 1) {
      const known = this.#byPivot.get(row)
      const drawn = createHash('sha256').update(`${this.#seed} ${row}`).digest()[0] ?? 0
      bits[row] =
        known === undefined
          ? drawn & 1
          : known.sum ^
            product(
              [...known.ones].filter((one) => one !== row),
              bits,
            )
    }
    return bits
  }
}

/** Trailing words of zero are left out. */
function column(bits: readonly number[]): Buffer {
  const words = Array.from({ length: Math.ceil(bits.length / 64) }, (_, word) =>
    bits.slice(word * 64, word * 64 + 64).reduce((sum, bit, index) => sum + (BigInt(bit) << BigInt(index)), 0n),
  )
  while (words.at(-1) === 0n) words.pop()
  return Buffer.concat([number(words.length, 4), ...words.map((word) => number(word, 8))])
}

function number(value: number | bigint, octets: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - octets)
}

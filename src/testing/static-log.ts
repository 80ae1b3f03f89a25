import { systemRuntime } from '../ports/system.ts'
import { generateKey, type KeyPair } from '../x509/generate.ts'
import type { IssueOptions, TestCertificate } from './ca.ts'
import {
  leafHash,
  merkleTreeLeaf,
  number,
  sha256,
  timestampedEntry,
  treeHash,
  treeHeadSignature,
  vector,
} from './log-structs.ts'

/**
 * A Certificate Transparency log of the static API in memory (https://c2sp.org/static-ct-api): its files are served by
 * `startManifestServer({ files: log })`, like any others.
 */
export function createTestLog(options: TestStaticLogOptions): TestStaticLog {
  const { origin, key = generateKey(), now = systemRuntime.clock.now } = options
  const leaves: Leaf[] = []
  const logId = sha256(key.spki)
  const tiles = ofTheSize(() => [...dataTiles(leaves), ...hashTiles(leaves)])
  const rootHash = ofTheSize((size) => treeHash(leaves.slice(0, size).map(({ hash }) => hash)))

  const add: TestStaticLog['add'] = (certificate, { precertificate, timestamp = now() } = {}) => {
    const index = Buffer.concat([Uint8Array.of(0), vector(2, number(5, leaves.length))]) // leaf_index
    const entry = timestampedEntry({ certificate, precertificate, timestamp }, index)
    const fingerprints = certificate.chainWithRoot.slice(1).map(sha256)
    const submitted = precertificate === undefined ? [] : [vector(3, precertificate.der)]
    leaves.push({
      data: Buffer.concat([entry, ...submitted, vector(2, Buffer.concat(fingerprints))]),
      hash: leafHash(merkleTreeLeaf(entry)),
    })
  }
  const checkpoint: TestStaticLog['checkpoint'] = (forged = {}) => {
    const size = forged.size ?? leaves.length
    const root = forged.root ?? rootHash(size)
    const name = forged.origin ?? origin
    const timestamp = forged.timestamp ?? now()
    const keyId = sha256(Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(5), logId])).subarray(0, 4)
    const signature = treeHeadSignature({ size, root, timestamp }, forged.key ?? key)
    const note = Buffer.concat([keyId, number(8, timestamp), signature]).toString('base64')
    const text = `${name}\n${size}\n${Buffer.from(root).toString('base64')}\n\n\u2014 ${name} ${note}\n`
    return new Uint8Array(Buffer.from(text))
  }
  return {
    origin,
    key,
    publicKey: Buffer.from(key.spki).toString('base64'),
    get size() {
      return leaves.length
    },
    add,
    checkpoint,
    files: () => new Map([['checkpoint', checkpoint()], ...tiles(leaves.length)]),
  }
}

/** What the log is called, and what signs it. */
export interface TestStaticLogOptions {
  /** `log.example.com/2026`: what the checkpoint names. */
  readonly origin: string
  /** Default P-256. */
  readonly key?: KeyPair
  /** Time of entries and checkpoints, Unix milliseconds. Default: the machine's clock. */
  readonly now?: () => number
}

/** A log of the static API, in memory. */
export interface TestStaticLog {
  readonly origin: string
  readonly key: KeyPair
  /** base64 of the SubjectPublicKeyInfo, as log lists have it. */
  readonly publicKey: string
  readonly size: number
  /** Appends a certificate; with `precertificate`, see `poisoned`, the precertificate of it. */
  readonly add: (
    certificate: TestCertificate,
    options?: { readonly precertificate?: TestCertificate; readonly timestamp?: number },
  ) => void
  /** The tree head as it is, or with what a liar would put in its place. */
  readonly checkpoint: (forged?: {
    readonly origin?: string
    readonly size?: number
    readonly root?: Uint8Array
    readonly timestamp?: number
    readonly key?: KeyPair
  }) => Uint8Array
  /** By path: the checkpoint, and the tiles that a log of this size has. */
  readonly files: () => ReadonlyMap<string, Uint8Array>
}

/** What a CA submits before it issues: the same certificate with the poison of RFC 6962 §3.1. */
export function poisoned(certificate: TestCertificate): TestCertificate {
  const { options, serial, key, issuer } = certificate
  const poison = { oid: '1.3.6.1.4.1.11129.2.4.3', critical: true, value: Uint8Array.of(5, 0) }
  const again: IssueOptions = { ...options, serial, key, extensions: [...(options.extensions ?? []), poison] }
  return (issuer ?? certificate).issue(again)
}

interface Leaf {
  readonly data: Uint8Array
  readonly hash: Uint8Array
}

/** Made again only where the tree has grown: a server asks for the files at every request. */
function ofTheSize<T>(make: (size: number) => T): (size: number) => T {
  let last: { readonly size: number; readonly made: T } | undefined
  return (size) => {
    if (last?.size !== size) last = { size, made: make(size) }
    return last.made
  }
}

function dataTiles(leaves: readonly Leaf[]): readonly (readonly [string, Uint8Array])[] {
  return chunksOf(leaves).map((chunk, index) => [
    `tile/data/${pathOf(index, chunk.length)}`,
    Buffer.concat(chunk.map(({ data }) => data)),
  ])
}

function hashTiles(leaves: readonly Leaf[]): readonly (readonly [string, Uint8Array])[] {
  const tiles: (readonly [string, Uint8Array])[] = []
  let hashes: readonly Uint8Array[] = leaves.map(({ hash }) => hash)
  for (let level = 0; hashes.length > 0; level += 1) {
    const chunks = chunksOf(hashes)
    for (const [index, chunk] of chunks.entries()) {
      tiles.push([`tile/${level}/${pathOf(index, chunk.length)}`, Buffer.concat(chunk)])
    }
    hashes = chunks.filter(({ length }) => length === WIDTH).map(treeHash)
  }
  return tiles
}

function chunksOf<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / WIDTH) }, (_, index) =>
    all.slice(index * WIDTH, (index + 1) * WIDTH),
  )
}

function pathOf(index: number, width: number): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g) ?? []
  const path = groups.map((group, position) => (position < groups.length - 1 ? `x${group}` : group)).join('/')
  return width === WIDTH ? path : `${path}.p/${width}`
}

const WIDTH = 256

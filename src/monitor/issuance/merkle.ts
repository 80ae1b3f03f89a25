import { hash } from 'node:crypto'

/** The tree of a log, of so many leaves. */
export interface TreeHead {
  readonly size: number
  /** RFC 6962 §2.1. */
  readonly root: Uint8Array
}

/** @param timestampedEntry Of RFC 6962 §3.4, in a MerkleTreeLeaf of version and type 0. */
export function leafHash(timestampedEntry: Uint8Array): Uint8Array {
  const length = LEAF_PREFIX_OCTETS + timestampedEntry.length
  if (length > leaf.length) leaf = new Uint8Array(length * 2) // what stands in front of the entry is all zero
  leaf.set(timestampedEntry, LEAF_PREFIX_OCTETS)
  return hash('sha256', leaf.subarray(0, length), 'buffer')
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  node.set(left, 1)
  node.set(right.subarray(0, HASH_OCTETS), 1 + HASH_OCTETS)
  return hash('sha256', node, 'buffer')
}

/** @param subtrees Hashes of the full subtrees that make up the tree, the largest first. */
export function rootOf(subtrees: readonly Uint8Array[]): Uint8Array {
  if (subtrees.length === 0) return hash('sha256', '', 'buffer')
  return subtrees.reduceRight((root, subtree) => nodeHash(subtree, root))
}

export const HASH_OCTETS = 32
const LEAF_PREFIX_OCTETS = 3 // RFC 6962 §2.1: 0 for a leaf; §3.4: version 0, timestamped_entry 0

let leaf = new Uint8Array(16_384)
const node = Uint8Array.of(1, ...new Uint8Array(2 * HASH_OCTETS)) // RFC 6962 §2.1: 1 for a node

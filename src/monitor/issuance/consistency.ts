import { nodeHash, rootOf, type TreeHead } from './merkle.ts'

/** The first leaves of a tree, as the full subtrees that they make up: enough to go on from there. */
export interface Prefix {
  readonly size: number
  /** The largest first, one for each bit of `size`. */
  readonly subtrees: readonly Uint8Array[]
}

/**
 * What a consistency proof proves: the first leaves of the tree of `head`.
 *
 * @param proof RFC 6962 §2.1.2, of `size` leaves and those of `head`.
 * @param root Of the first leaves. The proof leaves it out where it is a subtree by itself: where `size` is a power of two.
 * @returns `undefined` where it proves nothing, of these leaves or with that root.
 * @see RFC 9162 §2.1.4.2, of the same proofs
 */
export function provenPrefix(
  { size, root }: { readonly size: number; readonly root?: Uint8Array },
  head: TreeHead,
  proof: readonly Uint8Array[],
): Prefix | undefined {
  const [smallest, ...path] = root !== undefined && isPowerOfTwo(size) ? [root, ...proof] : proof
  if (smallest === undefined) return undefined
  const subtrees = [smallest]
  let whole = smallest
  let [node, last] = [size - 1, head.size - 1]
  const ascend = (): void => {
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  while (isRight(node)) ascend()
  for (const hash of path) {
    if (last === 0) return undefined
    if (isRight(node) || node === last) {
      subtrees.unshift(hash)
      whole = nodeHash(hash, whole)
      while (!isRight(node) && node > 0) ascend() // nodes at the edge that are their parents
    } else {
      whole = nodeHash(whole, hash)
    }
    ascend()
  }
  const isProven = last === 0 && Buffer.compare(whole, head.root) === 0
  const isAsSeen = root === undefined || Buffer.compare(rootOf(subtrees), root) === 0
  return isProven && isAsSeen ? { size, subtrees } : undefined
}

/** The largest size, not above this one, of which a proof needs no root. */
export function provableSize(size: number): number {
  return isPowerOfTwo(size) ? provableSize(size - 1) : size
}

export function append({ size, subtrees }: Prefix, leafHashes: readonly Uint8Array[]): Prefix {
  const grown = [...subtrees]
  for (const [position, leafHash] of leafHashes.entries()) {
    let subtree = leafHash
    for (let rest = size + position; isRight(rest); rest = Math.floor(rest / 2)) {
      const left = grown.pop()
      if (left !== undefined) subtree = nodeHash(left, subtree)
    }
    grown.push(subtree)
  }
  return { size: size + leafHashes.length, subtrees: grown }
}

const isRight = (node: number): boolean => node % 2 === 1
const isPowerOfTwo = (size: number): boolean => /^10*$/.test(size.toString(2))

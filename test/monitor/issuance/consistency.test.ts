import { describe, expect, test } from 'vitest'
import { append, provableSize, provenPrefix } from '../../../src/monitor/issuance/consistency.ts'
import { rootOf } from '../../../src/monitor/issuance/merkle.ts'
import { consistencyProof, leafHash, treeHash } from '../../../src/testing/log-structs.ts'

const STRANGER = leafHash(Uint8Array.of(255))
const EMPTY = { size: 0, subtrees: [] }
const LEAVES = Array.from({ length: 40 }, (_, index) => leafHash(Uint8Array.of(index)))
const SIZES = LEAVES.map((_, index) => index + 1)

const treeOf = (size: number) => ({ size, root: treeHash(LEAVES.slice(0, size)) })
const proofOf = (first: number, second: number) => consistencyProof(first, LEAVES.slice(0, second))
/** Each size, with each that is larger. */
const PAIRS = SIZES.flatMap((second) =>
  SIZES.filter((first) => first < second).map((first) => [first, second] as const),
)

test('roots are those of the tree that the reference implementation of RFC 6962 is tested with', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  let read: Parameters<typeof append>[0] = EMPTY
  const roots = leaves.map((leaf) => {
    read = append(read, [leafHash(Buffer.from(leaf, 'hex'))])
    return Buffer.from(rootOf(read.subtrees)).toString('hex')
  })
  expect(roots).toEqual([
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ])
})

describe('provenPrefix', () => {
  test('a proof gives what a tree goes on from, for every two sizes', () => {
    for (const [first, second] of PAIRS) {
      const prefix = provenPrefix(treeOf(first), treeOf(second), proofOf(first, second)) ?? EMPTY
      expect(prefix).toEqual(append(EMPTY, LEAVES.slice(0, first)))
      expect(rootOf(append(prefix, LEAVES.slice(first, second)).subtrees)).toEqual(treeOf(second).root)
    }
  })

  test('without the root of what was seen it gives the same, but for powers of two', () => {
    for (const [first, second] of PAIRS) {
      const prefix = provenPrefix({ size: first }, treeOf(second), proofOf(first, second))
      const isProvable = provableSize(first) === first
      expect(prefix).toEqual(isProvable ? append(EMPTY, LEAVES.slice(0, first)) : undefined)
    }
    expect([0, 1, 2, 3, 4, 5, 8, 1024, 2 ** 49 - 1].map(provableSize)).toEqual([0, 0, 0, 3, 3, 5, 7, 1023, 2 ** 49 - 1])
  })

  test('another root, of what was seen or of what is signed, is proven by nothing', () => {
    for (const [first, second] of PAIRS) {
      const proof = proofOf(first, second)
      expect(provenPrefix({ size: first, root: STRANGER }, treeOf(second), proof)).toBeUndefined()
      expect(provenPrefix(treeOf(first), { size: second, root: STRANGER }, proof)).toBeUndefined()
    }
  })

  test('each hash of a proof counts, and so do their number and their order', () => {
    for (const [first, second] of PAIRS) {
      const proof = proofOf(first, second)
      const wrong = [
        ...proof.map((_, at) => proof.with(at, STRANGER)),
        ...proof.map((_, at) => proof.toSpliced(at, 1)),
        [...proof, STRANGER],
        ...(proof.length > 1 ? [proof.toReversed()] : []),
      ]
      for (const one of wrong) expect(provenPrefix(treeOf(first), treeOf(second), one)).toBeUndefined()
    }
  })

  test('a proof of other sizes is none', () => {
    for (const [first, second] of PAIRS) {
      const proof = proofOf(first, second)
      for (const size of [first - 1, first + 1]) {
        if (size < 1 || size >= second) continue
        expect(provenPrefix({ ...treeOf(first), size }, treeOf(second), proof)).toBeUndefined()
      }
    }
  })
})

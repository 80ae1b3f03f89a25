import { MonitorError } from '../../errors/errors.ts'
import { HASH_OCTETS, nodeHash, rootOf, type TreeHead } from './merkle.ts'
import { TILE_WIDTH } from './tile.ts'

/** The hashes of a tile as a log serves them: so many of 32 octets. */
export type FetchTile = (tile: TilePlace) => Promise<Uint8Array>

export interface TilePlace {
  readonly level: number
  readonly index: number
  /** 256, or fewer at the right edge of the tree. */
  readonly width: number
}

export interface Tree {
  /** Hashes of a tile that were proven to be of the tree. */
  readonly tile: (level: number, index: number) => Promise<Uint8Array>
  /** What the root was when the tree had no more leaves than that. */
  readonly rootAt: (size: number) => Promise<Uint8Array>
}

/**
 * A tree of which the root alone is known. A tile is handed out once the tiles above it lead to the root: the right edge all
 * at once, for together they are the root, and every other by its hash in the tile above.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_TILE` from `tile` and `rootAt`; whatever `fetchTile` throws.
 * @see https://c2sp.org/tlog-tiles
 */
export function createTree(head: TreeHead, fetchTile: FetchTile): Tree {
  const kept = new Map<string, Promise<Uint8Array>>()
  let edge: Promise<readonly Uint8Array[]> | undefined

  const provenEdge = async (): Promise<readonly Uint8Array[]> => {
    const tiles: Uint8Array[] = []
    for (const { level, index, width } of edgeOf(head.size)) {
      tiles[level] = width === 0 ? new Uint8Array() : checkedWidth(await fetchTile({ level, index, width }), width)
    }
    if (Buffer.compare(rootOf(subtreesIn(tiles)), head.root) !== 0) {
      throw new MonitorError('ERR_MONITOR_LOG_TILE', 'the tiles at the right edge are not of the tree that was signed')
    }
    return tiles
  }
  const provenTile = async (level: number, index: number): Promise<Uint8Array> => {
    const hashes = checkedWidth(await fetchTile({ level, index, width: TILE_WIDTH }), TILE_WIDTH)
    const above = await tile(level + 1, Math.floor(index / TILE_WIDTH))
    const start = (index % TILE_WIDTH) * HASH_OCTETS
    if (Buffer.compare(subtreeHash(hashes), above.subarray(start, start + HASH_OCTETS)) === 0) return hashes
    throw new MonitorError('ERR_MONITOR_LOG_TILE', `tile ${index} of level ${level} is not of the tree that was signed`)
  }
  const tile = async (level: number, index: number): Promise<Uint8Array> => {
    const count = subtreesOf(head.size, level)
    const last = Math.floor(count / TILE_WIDTH)
    if (index === last && count % TILE_WIDTH > 0) {
      edge ??= provenEdge()
      return (await edge)[level] ?? new Uint8Array()
    }
    if (index >= last) throw new MonitorError('ERR_MONITOR_LOG_TILE', `the tree has no tile ${index} of level ${level}`)
    if (level === 0) return provenTile(level, index) // read once
    const name = `${level} ${index}`
    const known = kept.get(name) ?? provenTile(level, index)
    kept.set(name, known)
    return known
  }
  return {
    tile,
    rootAt: async (size) => {
      const tiles: Uint8Array[] = []
      for (const { level, index, width } of edgeOf(size)) {
        tiles[level] = width === 0 ? new Uint8Array() : (await tile(level, index)).subarray(0, width * HASH_OCTETS)
      }
      return rootOf(subtreesIn(tiles))
    },
  }
}

/** The partial tiles of a tree, from the leaves up; a level that ends with a full tile has one of width 0. */
function edgeOf(size: number): readonly TilePlace[] {
  const places: TilePlace[] = []
  for (let level = 0, count = size; count > 0; level += 1, count = subtreesOf(size, level)) {
    places.push({ level, index: Math.floor(count / TILE_WIDTH), width: count % TILE_WIDTH })
  }
  return places
}

/** How many full subtrees of 256^level leaves there are. */
const subtreesOf = (size: number, level: number): number => Math.floor(size / TILE_WIDTH ** level)

/** The partial tiles are full subtrees of ever smaller sizes, read from the highest level down: RFC 6962 §2.1. */
function subtreesIn(edge: readonly Uint8Array[]): readonly Uint8Array[] {
  const subtrees: Uint8Array[] = []
  for (const hashes of edge) {
    const count = hashes.length / HASH_OCTETS
    for (let size = 1, end = count; size <= count; size *= 2) {
      if ((count & size) === 0) continue
      subtrees.unshift(subtreeHash(hashes.subarray((end - size) * HASH_OCTETS, end * HASH_OCTETS)))
      end -= size
    }
  }
  return subtrees
}

/** Of a power of two of hashes. */
function subtreeHash(hashes: Uint8Array): Uint8Array {
  let level = hashes
  while (level.length > HASH_OCTETS) {
    const above = new Uint8Array(level.length / 2)
    for (let at = 0; at < above.length; at += HASH_OCTETS) {
      const left = at * 2
      above.set(nodeHash(level.subarray(left, left + HASH_OCTETS), level.subarray(left + HASH_OCTETS)), at)
    }
    level = above
  }
  return level
}

function checkedWidth(hashes: Uint8Array, width: number): Uint8Array {
  if (hashes.length === width * HASH_OCTETS) return hashes
  const message = `a tile has ${hashes.length} octets, expected ${width} hashes of ${HASH_OCTETS}`
  throw new MonitorError('ERR_MONITOR_LOG_TILE', message)
}

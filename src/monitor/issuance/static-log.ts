import { ConfigurationError, MonitorError } from '../../errors/errors.ts'
import { ask } from './ask.ts'
import { verifyCheckpoint } from './checkpoint.ts'
import type { LogEntry } from './entry.ts'
import { issuancesIn, originOf, parseFrom, resume, type WatchedLog } from './log.ts'
import { HASH_OCTETS } from './merkle.ts'
import { type Batch, baseUrlOf, type IssuanceSource, type Pass } from './source.ts'
import { readTile, TILE_WIDTH, verifyTile } from './tile.ts'
import { createTree, type FetchTile } from './tree.ts'
import { type LogIdentity, parseLogKey } from './tree-head.ts'

/** A log of its own, read tile by tile (c2sp.org/static-ct-api). */
export interface StaticLogOptions {
  /** The monitoring prefix: where `checkpoint` and `tile/` are. */
  readonly url: string
  /** Public key of the log: PEM, or base64 of its SubjectPublicKeyInfo as log lists have it. */
  readonly key: string
  /** The submission prefix without `https://` and final slash. Default: the same of `url`. */
  readonly origin?: string
  /** Where a watch without a cursor begins: an index, or `'end'`, the end of the log as it is now. Default `'end'`. */
  readonly from?: number | 'end'
}

/**
 * A log of the static API, read entry by entry, and believed nothing that its signature does not prove: its own or a private
 * one, or a spot check of a public one. Reading all public logs is the work of a service, not of a client.
 *
 * @throws ConfigurationError `ERR_CONFIG_URL`, `ERR_CONFIG_INVALID`
 */
export function staticLog(options: StaticLogOptions): IssuanceSource {
  const base = baseUrlOf(options.url, 'staticLog.url')
  const from = parseFrom(options.from, 'staticLog.from')
  const { origin = originOf(base) } = options
  if (!/^[!-~]{1,300}$/.test(origin) || /^[a-z]+:\/\//i.test(origin)) {
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'staticLog.origin: expected a URL without its scheme')
  }
  const log: LogIdentity = { origin, key: parseLogKey(options.key) }
  return Object.freeze({
    name: origin,
    place: `log ${origin} ${base.href}`,
    read: (pass: Pass) => readAll({ base, log, from }, pass),
  })
}

async function* readAll(watched: WatchedLog, pass: Pass): AsyncGenerator<Batch> {
  const { base, log } = watched
  const source = log.origin
  const get = (path: string, maxBytes: number) =>
    ask(new URL(path, base), { source, maxBytes, missing: 'absent' }, pass)
  const signed = await get('checkpoint', MAX_CHECKPOINT_BYTES)
  if (signed === undefined) throw new MonitorError('ERR_MONITOR_LOG_CHECKPOINT', `${source}: there is no checkpoint`)
  const head = verifyCheckpoint(signed, log, pass.runtime.clock.now())
  const tree = createTree(head, fetchTileWith(get))
  const { next: first, positionAt } = await resume(watched, head, pass, async ({ size, root }) => {
    return Buffer.compare(await tree.rootAt(size), root) === 0
  })
  if (first === head.size) yield { issuances: [], position: positionAt(first) }
  for (let next = first; next < head.size; ) {
    const index = Math.floor(next / TILE_WIDTH)
    const width = Math.min(TILE_WIDTH, head.size - index * TILE_WIDTH)
    const hashes = await tree.tile(0, index)
    const entries = await readEntries(get, { index, width })
    verifyTile(entries, hashes)
    next = index * TILE_WIDTH + width
    const fresh = entries.filter((entry) => entry.index >= first)
    yield { issuances: issuancesIn(fresh, source, pass), position: positionAt(next) }
  }
}

type Get = (path: string, maxBytes: number) => Promise<Uint8Array | undefined>

const fetchTileWith =
  (get: Get): FetchTile =>
  async ({ level, index, width }) => {
    const whole = `tile/${level}/${pathOf(index)}`
    const partial = width < TILE_WIDTH ? await get(`${whole}.p/${width}`, MAX_TILE_BYTES) : undefined
    const hashes = partial ?? (await get(whole, MAX_TILE_BYTES)) // it may be full by now, and the partial one gone
    if (hashes === undefined) throw new MonitorError('ERR_MONITOR_LOG_TILE', `the log does not have ${whole}`)
    return partial === undefined ? hashes.subarray(0, width * HASH_OCTETS) : hashes
  }

async function readEntries(
  get: Get,
  { index, width }: { readonly index: number; readonly width: number },
): Promise<readonly LogEntry[]> {
  const whole = `tile/data/${pathOf(index)}`
  const partial = width < TILE_WIDTH ? await get(`${whole}.p/${width}`, MAX_DATA_BYTES) : undefined
  if (partial !== undefined) return readTile(partial, { index, width })
  const data = await get(whole, MAX_DATA_BYTES)
  if (data === undefined) throw new MonitorError('ERR_MONITOR_LOG_TILE', `the log does not have ${whole}`)
  return readTile(data, { index, width: TILE_WIDTH }).slice(0, width)
}

/** 1234067 is `x001/x234/067`. */
function pathOf(index: number): string {
  const parts = [String(index % 1000).padStart(3, '0')]
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    parts.unshift(`x${String(rest % 1000).padStart(3, '0')}`)
  }
  return parts.join('/')
}

const MAX_CHECKPOINT_BYTES = 64 * 1024
const MAX_TILE_BYTES = TILE_WIDTH * HASH_OCTETS
const MAX_DATA_BYTES = 64 * 1024 * 1024 // 256 entries of 256 kB; usual ones have 6 kB

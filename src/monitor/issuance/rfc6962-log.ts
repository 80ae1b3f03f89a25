import * as z from 'zod'
import { decodeBase64 } from '../../encoding/base64.ts'
import { MonitorError } from '../../errors/errors.ts'
import { toUnixMs } from '../../ports/runtime.ts'
import { ask, jsonOf, malformed } from './ask.ts'
import { append, type Prefix, provableSize, provenPrefix } from './consistency.ts'
import { type LogEntry, readLeaf } from './entry.ts'
import { issuancesIn, originOf, parseFrom, resume, type WatchedLog } from './log.ts'
import { HASH_OCTETS, rootOf, type TreeHead } from './merkle.ts'
import { type Batch, baseUrlOf, type IssuanceSource, type Pass } from './source.ts'
import { isSignedHead, type LogIdentity, parseLogKey, requireCurrent, uint64 } from './tree-head.ts'

/** A log of its own, read entry by entry (RFC 6962 §4). */
export interface Rfc6962LogOptions {
  /** The log as log lists name it: where `ct/v1/` is. */
  readonly url: string
  /** Public key of the log: PEM, or base64 of its SubjectPublicKeyInfo as log lists have it. */
  readonly key: string
  /** Where a watch without a cursor begins: an index, or `'end'`, the end of the log as it is now. Default `'end'`. */
  readonly from?: number | 'end'
}

/**
 * A log of RFC 6962, believed as little as `staticLog`: what is told of it is in the tree that it signed, and that continues the
 * tree that was seen before.
 *
 * @throws ConfigurationError `ERR_CONFIG_URL`, `ERR_CONFIG_INVALID`
 */
export function rfc6962Log(options: Rfc6962LogOptions): IssuanceSource {
  const base = baseUrlOf(options.url, 'rfc6962Log.url')
  const from = parseFrom(options.from, 'rfc6962Log.from')
  const log: LogIdentity = { origin: originOf(base), key: parseLogKey(options.key) }
  return Object.freeze({
    name: log.origin,
    place: `log ${base.href}`,
    read: (pass: Pass) => readAll({ base, log, from }, pass),
  })
}

async function* readAll(watched: WatchedLog, pass: Pass): AsyncGenerator<Batch> {
  const { log } = watched
  const source = log.origin
  const get = getOf(watched, pass)
  const head = await getTreeHead(get, log, pass)
  const prove = proverOf(get, head)
  const isInTree = async (tree: TreeHead): Promise<boolean> =>
    tree.size === head.size ? Buffer.compare(tree.root, head.root) === 0 : (await prove(tree)) !== undefined
  const { next, positionAt } = await resume(watched, head, pass, isInTree)
  if (next === head.size) yield { issuances: [], position: positionAt(next) }
  if (next >= head.size) return
  let read = await prove({ size: provableSize(next) })
  if (read === undefined) throw notInTree(source, `its first ${next} entries`)
  while (read.size < head.size) {
    const start = read.size
    const entries = await getEntries(get, { start, end: Math.min(start + MAX_ENTRIES, head.size) - 1 }, source)
    const leafHashes = entries.map(({ leafHash }) => leafHash)
    read = append(read, leafHashes)
    const isProven = await isInTree({ size: read.size, root: rootOf(read.subtrees) })
    if (!isProven) throw notInTree(source, `entries ${start} to ${read.size - 1}`)
    const fresh = entries.filter(({ index }) => index >= next)
    yield { issuances: issuancesIn(fresh, source, pass), position: positionAt(Math.max(next, read.size)) }
  }
}

async function getTreeHead(get: Get, log: LogIdentity, { runtime }: Pass): Promise<TreeHead> {
  const told = await get(GET_STH, {})
  const { tree_size: size, sha256_root_hash: root, tree_head_signature: signature } = told
  if (!isSignedHead({ size, root, timestamp: uint64(told.timestamp) }, signature, log.key)) {
    throw new MonitorError(
      'ERR_MONITOR_LOG_SIGNATURE',
      `${log.origin}: the tree head is not signed by the key of the log`,
    )
  }
  requireCurrent(log, toUnixMs(told.timestamp), runtime.clock.now())
  return { size, root }
}

/** @returns Answers `undefined` where the log does not prove it. */
const proverOf =
  (get: Get, head: TreeHead) =>
  async (before: { readonly size: number; readonly root?: Uint8Array }): Promise<Prefix | undefined> => {
    if (before.size === 0) return { size: 0, subtrees: [] }
    const { consistency } = await get(GET_STH_CONSISTENCY, { first: before.size, second: head.size })
    return provenPrefix(before, head, consistency)
  }

/** One or more, and as many as the log likes (RFC 6962 §4.6). */
async function getEntries(get: Get, range: EntryRange, source: string): Promise<readonly LogEntry[]> {
  const { start, end } = range
  const { entries } = await get(GET_ENTRIES, { start, end })
  if (entries.length > end - start + 1) throw malformed(source, 'more entries than were asked for')
  return entries.map((entry, position) => {
    const index = start + position
    return readLeaf(entry, index, (what) => malformed(source, `entry ${index}: ${what}`))
  })
}

interface EntryRange {
  readonly start: number
  readonly end: number
}

interface Message<Answer extends z.ZodType> {
  readonly name: string
  readonly answer: Answer
  readonly maxBytes: number
}

type Get = <Answer extends z.ZodType>(
  message: Message<Answer>,
  inputs: Readonly<Record<string, number>>,
) => Promise<z.output<Answer>>

const getOf =
  ({ base, log: { origin } }: WatchedLog, pass: Pass): Get =>
  async ({ name, answer, maxBytes }, inputs) => {
    const url = new URL(`ct/v1/${name}`, base)
    for (const [input, value] of Object.entries(inputs)) url.searchParams.set(input, String(value))
    const bytes = await ask(url, { source: origin, maxBytes }, pass)
    const told = answer.safeParse(jsonOf(bytes ?? new Uint8Array(), origin))
    if (told.success) return told.data
    throw malformed(origin, `not an answer to ${name}`)
  }

const notInTree = (source: string, what: string): MonitorError =>
  new MonitorError('ERR_MONITOR_LOG_TILE', `${source}: ${what} are not those in the tree that was signed`)

const Octets = z.string().transform((text, context): Uint8Array => {
  const octets = decodeBase64(text)
  if (octets !== undefined) return octets
  context.addIssue({ code: 'custom', message: 'expected base64' })
  return z.NEVER
})
const Hash = Octets.refine((octets) => octets.length === HASH_OCTETS)

/** Members that are not read are not looked at. */
const GET_STH = {
  name: 'get-sth',
  answer: z.object({
    tree_size: z.int().min(0),
    timestamp: z.int().min(0),
    sha256_root_hash: Hash,
    tree_head_signature: Octets,
  }),
  maxBytes: 64 * 1024,
}
const GET_STH_CONSISTENCY = {
  name: 'get-sth-consistency',
  answer: z.object({ consistency: z.array(Hash).max(128) }), // at most two for each bit of a size
  maxBytes: 64 * 1024,
}
const GET_ENTRIES = {
  name: 'get-entries',
  answer: z.object({ entries: z.array(z.object({ leaf_input: Octets, extra_data: Octets })).min(1) }),
  maxBytes: 64 * 1024 * 1024, // 256 entries of 256 kB; usual ones have 10 kB
}
const MAX_ENTRIES = 256

import { createHash } from 'node:crypto'
import { parseStrictJson } from '../encoding/json.ts'
import { nextTurn } from '../ports/turn.ts'
import { HostTable } from './host-table.ts'
import { JSON_CODES, JSON_WORDS, schemaFault } from './payload.ts'
import { refusal, type Where } from './refusal.ts'
import { type BlobReference, HostEntry, MAX_HOSTS, type ManifestPayload } from './schema.ts'

declare const proof: unique symbol

/** The bytes that a signed manifest names by length and hash. Made by `checkBlob`. */
export type CheckedBlob = Uint8Array & { readonly [proof]: true }

/** From a source or from the cache; rejects where it cannot be had. */
export type ReadBlob = (reference: BlobReference) => Promise<CheckedBlob>

/**
 * Reads the host entries of a manifest whose signatures, version and times were judged: inline, or blob by blob. Yields to
 * the event loop all along, since 100,000 entries take seconds of work.
 *
 * @throws ManifestError PAYLOAD_*, DUPLICATE_HOST, DUPLICATE_PIN, NO_BACKUP_PIN, PIN_WINDOW, or what `readBlob` says.
 */
export async function readHosts(
  { hosts, blobs, anchorSets = {} }: Pick<ManifestPayload, 'hosts' | 'blobs' | 'anchorSets'>,
  where: Where,
  readBlob: ReadBlob,
): Promise<HostTable> {
  const expectedBytes = (hosts?.length ?? 0) * 256 + (blobs ?? []).reduce((sum, { length }) => sum + length, 0)
  const table = new HostTable(expectedBytes)
  const sets = new Set(Object.keys(anchorSets))
  if (hosts !== undefined) await addEntries(table, hosts, sets, where, 'hosts')
  for (const reference of blobs ?? []) {
    const inBlob: Where = { ...where, document: 'blob', source: blobPath(reference) }
    await addEntries(table, parseBlob(await readBlob(reference), inBlob), sets, inBlob, '')
  }
  return table.seal()
}

/** A blob is named by its content, so nothing else about it is signed. */
export function checkBlob(bytes: Uint8Array, { length, sha256 }: BlobReference, where: Where): CheckedBlob {
  if (bytes.length !== length) {
    const message = `expected ${length} bytes, saw ${bytes.length}`
    throw refusal('ERR_MANIFEST_BLOB_LENGTH_MISMATCH', where, message)
  }
  const seen = createHash('sha256').update(bytes).digest('hex')
  if (seen !== sha256) {
    throw refusal('ERR_MANIFEST_BLOB_HASH_MISMATCH', where, `expected SHA-256 ${sha256}, saw ${seen}`)
  }
  return bytes as CheckedBlob
}

/** For readers that hold no blobs. */
export const readNoBlob: ReadBlob = (reference) => Promise.reject(blobMissing(reference))

export function blobMissing(reference: BlobReference, where: Where = { document: 'blob' }) {
  return refusal('ERR_MANIFEST_BLOB_UNAVAILABLE', where, `${blobPath(reference)} is not there`)
}

export const blobPath = ({ sha256 }: BlobReference): string => `blobs/${sha256}.json`

function parseBlob(bytes: CheckedBlob, where: Where): readonly unknown[] {
  const json = parseStrictJson(bytes)
  if (!json.ok) throw refusal(JSON_CODES[json.failure], where, JSON_WORDS[json.failure])
  if (Array.isArray(json.value)) return json.value
  throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, 'a blob is a list of host entries')
}

async function addEntries(
  table: HostTable,
  entries: readonly unknown[],
  anchorSets: ReadonlySet<string>,
  where: Where,
  path: string,
): Promise<void> {
  for (const [index, raw] of entries.entries()) {
    if (index % ENTRIES_A_TURN === 0) await nextTurn()
    const parsed = HostEntry.safeParse(raw)
    if (!parsed.success) {
      throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, schemaFault(parsed.error, `${path}[${index}]`))
    }
    checkEntry(parsed.data, anchorSets, where)
    const { host } = parsed.data
    if (!table.add(parsed.data)) throw refusal('ERR_MANIFEST_DUPLICATE_HOST', where, `${host} has two entries`)
    if (table.size > MAX_HOSTS) {
      throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, `a manifest has at most ${MAX_HOSTS} hosts`)
    }
  }
}

/** Rules about one entry that a schema cannot say, each with its own code. */
function checkEntry(
  { host, pins, mode, singlePin, trustAnchors = [] }: HostEntry,
  anchorSets: ReadonlySet<string>,
  where: Where,
): void {
  const unknown = trustAnchors.find((name) => !anchorSets.has(name))
  if (unknown !== undefined) {
    const message = `${host} names the trust anchors ${JSON.stringify(unknown.slice(0, 40))}, which anchorSets does not hold`
    throw refusal('ERR_MANIFEST_PAYLOAD_SCHEMA', where, message)
  }
  if (new Set(pins.map(({ spki }) => spki)).size < pins.length) {
    throw refusal('ERR_MANIFEST_DUPLICATE_PIN', where, `${host} lists a pin twice`)
  }
  if (mode === 'enforce' && pins.length < 2 && singlePin !== true) {
    throw refusal('ERR_MANIFEST_NO_BACKUP_PIN', where, `${host} has one pin; losing its key would close the host`)
  }
  if (pins.some(({ notBefore = -Infinity, notAfter = Infinity }) => notAfter <= notBefore)) {
    throw refusal('ERR_MANIFEST_PIN_WINDOW', where, `${host} has a pin that is never active`)
  }
}

const ENTRIES_A_TURN = 100 // some 3 ms

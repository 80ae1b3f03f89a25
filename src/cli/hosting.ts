import { fetchDocument } from '../manifest/fetch-document.ts'
import { refusal, type Where } from '../manifest/refusal.ts'
import type { Mirror } from '../manifest/sources.ts'
import type { Runtime } from '../ports/runtime.ts'

/**
 * Asks for what cannot be there. A site that answers every path with its start page makes clients ask themselves at every
 * poll whether that page is a new root.
 *
 * @throws ManifestError ROOT_UNREADABLE, or what made the answer impossible.
 */
export async function refuseCatchAll(mirror: Mirror, nextRoot: number, runtime: Runtime, signal: AbortSignal) {
  const nowhere = `pinfetch-probe-${Buffer.from(runtime.random(6)).toString('hex')}`
  for (const path of [`roots/${nextRoot}.json`, nowhere]) {
    const where: Where = { document: 'root', source: `${mirror.name} ${path}` }
    const { status } = await fetchDocument(mirror, { path, where, maxBytes: MAX_PAGE_BYTES, signal }, runtime)
    if (status !== 200) continue
    const message = `${mirror.name}${path} does not exist and is answered with 200; nothing was published`
    throw refusal('ERR_MANIFEST_ROOT_UNREADABLE', where, message)
  }
}

/**
 * Reads back what was published, byte for byte.
 *
 * @throws ManifestError UNAVAILABLE naming the first file that a client would not get.
 */
export async function readBack(
  mirror: Mirror,
  files: ReadonlyMap<string, Uint8Array>,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<void> {
  for (const [path, bytes] of files) {
    const where: Where = { document: 'manifest', source: `${mirror.name} ${path}` }
    const answer = await fetchDocument(mirror, { path, where, maxBytes: bytes.length + 1, signal }, runtime)
    if (answer.status === 200 && Buffer.compare(answer.bytes, bytes) === 0) continue
    const seen = answer.status === 200 ? 'other bytes' : `HTTP ${answer.status}`
    throw refusal(
      'ERR_MANIFEST_UNAVAILABLE',
      where,
      `${mirror.name}${path} gives ${seen}; status.json was not published`,
    )
  }
}

const MAX_PAGE_BYTES = 4 * 1024 * 1024

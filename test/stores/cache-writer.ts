/**
 * A client process that takes one published version after the other into a shared cache directory, until it is killed or has
 * them all: `cache-writer.ts PUBLISHED CACHE`. Prints the version its start found, then each version in force. Run by
 * killed-writers.test.ts.
 */
import { writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { customSource } from '../../src/manifest/sources.ts'
import { createManifestUpdater } from '../../src/manifest/updater.ts'
import { fileStore } from '../../src/stores/file.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'

const [published = '', cache = ''] = process.argv.slice(2)
const runtime = createTestRuntime()
const ABSENT = { status: 404, headers: {}, bytes: new Uint8Array() }
let version = 0 // 0: nothing is published yet

const source = customSource('published', async (path) => {
  if (version === 0 || path.startsWith('roots/')) return ABSENT
  const name = path === 'status.json' ? `${version}.status.json` : path
  const bytes = await readFile(join(published, name)).catch(() => undefined)
  return bytes === undefined ? ABSENT : { status: 200, headers: {}, bytes }
})

const updater = createManifestUpdater({
  root: await readFile(join(published, 'root.json')),
  source,
  store: fileStore(cache),
  runtime,
  emit: () => {},
  startupMs: 10_000,
})
await settled(updater.firstAttempt)
writeSync(1, `start ${updater.current().version}\n`)

do {
  version = updater.current().version + 1
  await runtime.advance(1_000) // between two attempts
  await settled(updater.refresh()).catch(() => undefined)
  writeSync(1, `${updater.current().version}\n`)
} while (updater.current().version === version) // the last one was published
await updater.close()

/** In small steps: what waits for the disk must not run into its deadline on a clock that nothing holds back. */
async function settled(work: Promise<void>): Promise<void> {
  let done = false
  const finish = () => {
    done = true
  }
  work.then(finish, finish)
  while (!done) {
    await runtime.advance(5)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return work
}

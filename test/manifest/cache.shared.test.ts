import { expect, test } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { host, startedWorld } from './world.ts'

/** A store in which other processes are at work: `between` runs once, after the first of the two listings of a start. */
function busyStore(between: () => Promise<void>): { readonly store: Store; readonly watch: () => void } {
  const inner = memoryStore()
  let watching = false
  const list: Store['list'] = async (prefix) => {
    const names = await inner.list(prefix)
    if (watching && (prefix.endsWith('status/') || prefix.endsWith('manifest/')) && ++listings === FIRST_READ) {
      watching = false
      await between()
    }
    return names
  }
  let listings = 0
  return {
    store: { ...inner, list },
    watch: () => {
      watching = true
    },
  }
}

/** A start lists both folders to see whether they change, then lists each before it reads it. */
const FIRST_READ = 3

test.each([
  ['one more version', 1],
  ['so many that everything listed was pruned', 6],
])('another process stores %s while a start reads the directory: the start finds a manifest', async (_, versions) => {
  const { store, watch } = busyStore(async () => {
    for (let count = 0; count < versions; count += 1) {
      await world.repository.publishManifest([host()], { now: world.now() })
      await world.refresh(other)
    }
  })
  const { world, updater: other } = await startedWorld({ store })
  watch()
  const offline = { mirrors: [{ name: 'nowhere', get: () => Promise.reject(new Error('offline')) }] }
  const updater = world.start({ source: offline })
  await world.drive(updater.firstAttempt)
  expect(other.current().version).toBe(1 + versions)
  expect(updater.current()).toMatchObject({ kind: 'fresh' })
  expect(updater.current().version).toBeGreaterThanOrEqual(1)
  await Promise.all([updater.close(), other.close()])
})

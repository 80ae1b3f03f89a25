/**
 * One of several processes that share a directory of tokens in which a folder is removed a fifth of a second after its last
 * write: `tidying.ts DIR FILE FILE ROUNDS`. Counts a file up, which has no compare-and-swap, under a lease, and another one
 * under a record that is written where there is none and removed again. Run by token-stores.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createFileTokenStore } from '../../../src/stores/tokens/file.ts'

const [dir = '', underLease = '', underRecord = '', rounds = '0'] = process.argv.slice(2)
const store = createFileTokenStore({ dir, runtime: undefined, unusedMs: 200 })
const { signal } = new AbortController()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const countUp = async (file: string): Promise<void> => {
  const count = Number(readFileSync(file, 'utf8'))
  await pause(2)
  writeFileSync(file, String(count + 1))
}

for (let done = 0; done < Number(rounds); ) {
  await using lease = await store.lease('file', { ttlMs: 60_000, waitMs: 60_000, signal })
  if (lease === undefined) continue
  await countUp(underLease)
  done += 1
  await lease[Symbol.asyncDispose]()
  await pause(Math.random() * 400) // long enough, now and then, for nobody to write
}
for (let done = 0; done < Number(rounds); ) {
  const isMine = await store.compareAndSwap('lock', null, { v: 1, sealed: String(process.pid) }, { signal })
  if (!isMine) {
    await pause(Math.random() * 20)
    continue
  }
  await countUp(underRecord)
  done += 1
  if (!(await store.remove('lock', 1))) throw new Error('a record that was written is not there any more')
  await pause(Math.random() * 400)
}

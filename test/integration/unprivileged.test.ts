import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createTestRepository } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { runModule } from '../support/run.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
if (!isRoot)
  process.stdout.write('not run: a client without the right to write, since only root may become another user\n')

/** A folder that everybody may read, with a published repository and a place for a cache in it. */
async function publish() {
  const directory = mkdtempSync(join(tmpdir(), 'pinfetch-nobody-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  const pins = ['a', 'b'].map((letter): `sha256/${string}` => `sha256/${letter.repeat(42)}A=`)
  const repository = await createTestRepository({ hosts: { 'api.example.com': pins } })
  for (const [path, bytes] of repository.files()) {
    const file = join(directory, 'published', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
  writeFileSync(join(directory, 'root.json'), repository.root)
  return { directory, cache: join(directory, 'cache') }
}

/** A whole client, in a process that belongs to nobody. Three refreshes would be three failures to write. */
async function runAsNobody({ directory, cache }: { readonly directory: string; readonly cache: string }) {
  const { exitCode, stdout, stderr } = await runModule(`
    import { createClient } from './src/index.ts'
    process.setgroups([])
    process.setgid(${NOBODY})
    process.setuid(${NOBODY})
    const client = createClient({
      manifest: {
        url: ${JSON.stringify(join(directory, 'published'))},
        root: ${JSON.stringify(join(directory, 'root.json'))},
        cacheDir: ${JSON.stringify(cache)},
        startupMs: 60_000,
      },
    })
    const codes = []
    client.on('manifest.cacheError', ({ code, message }) => codes.push(code + ' ' + message.replace(/^.*: /, '')))
    await client.ready()
    for (let round = 0; round < 3; round += 1) await client.manifest.refresh()
    console.log(JSON.stringify({ state: client.health().state, version: client.manifest.version, codes }))
    await client.close()
  `)
  expect([exitCode, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as { state: string; version: number; codes: readonly string[] }
}

test.skipIf(!isRoot).each<[string, string, (cache: string) => void]>([
  ['may read and not write', 'ERR_STORE_WRITE EACCES', (cache) => chmodSync(cache, 0o755)],
  ['may not even look into', 'ERR_STORE_READ EACCES', (cache) => chmodSync(cache, 0o700)],
])('F54: a cache directory that this user %s: memory only, and one %s (case 123)', async (_, error, guard) => {
  const { directory, cache } = await publish()
  mkdirSync(cache)
  guard(cache)
  expect(await runAsNobody({ directory, cache })).toEqual({ state: 'ready', version: 1, codes: [error] })
  expect(readdirSync(cache)).toEqual([])
})

test.skipIf(!isRoot)('a cache directory that belongs to this user is used without a word', async () => {
  const { directory, cache } = await publish()
  mkdirSync(cache, { mode: 0o700 })
  chownSync(cache, NOBODY, NOBODY)
  expect(await runAsNobody({ directory, cache })).toEqual({ state: 'ready', version: 1, codes: [] })
  expect(readdirSync(cache).length).toBeGreaterThan(0)
})

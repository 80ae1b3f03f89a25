import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { customSource } from '../../src/manifest/sources.ts'
import { createManifestUpdater } from '../../src/manifest/updater.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import { fileStore } from '../../src/stores/file.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { host } from '../manifest/world.ts'
import { settled } from '../support/scene.ts'
import { isFull } from '../support/tier.ts'

const PLAN = isFull
  ? { steady: 4, killed: 12, writes: 8_000, versions: 2_000 }
  : { steady: 1, killed: 2, writes: 160, versions: 120 }

test(
  `${PLAN.steady} writers and ${PLAN.killed} that are killed again and again share a cache directory: every start reads it, none goes back (case 119)`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pinfetch-killed-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const published = join(directory, 'published')
    const cache = join(directory, 'cache')
    const anchor = await publish(published)
    const figures = { writes: 0, kills: 0, starts: 0, unreadable: 0, regressions: 0 }
    let inForce = 0 // the newest version that any process has said to be in force: it was stored before

    /** What a start found, and what was in force somewhere before it began. */
    const judge = (found: number, before: number): void => {
      figures.starts += 1
      if (found === 0 && before > 0) figures.unreadable += 1
      else if (found < before) figures.regressions += 1
    }
    const isOver = () => figures.writes >= PLAN.writes

    const live = new Set<ChildProcess>()
    onTestFinished(() => live.forEach((child) => void child.kill('SIGKILL')))

    /** One process from its start to its end. Killed at some moment after so many versions. */
    const life = (lasts: number): Promise<void> =>
      new Promise((resolve) => {
        const before = inForce
        const script = fileURLToPath(new URL('./cache-writer.ts', import.meta.url))
        const child = spawn(process.execPath, ['--import', 'tsx', script, published, cache], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, NODE_OPTIONS: '' },
        })
        live.add(child)
        let versions = 0
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          for (const line of text.split('\n').filter((one) => one !== '')) {
            if (line.startsWith('start ')) judge(Number(line.slice(6)), before)
            else {
              inForce = Math.max(inForce, Number(line))
              figures.writes += 2 // a status and a manifest
              versions += 1
            }
          }
          if (versions >= lasts || isOver()) setTimeout(() => child.kill('SIGKILL'), Math.random() * 15)
        })
        child.once('close', (_, signal) => {
          live.delete(child)
          if (signal === 'SIGKILL') figures.kills += 1
          resolve()
        })
      })

    const lane = async (lasts: () => number): Promise<void> => {
      while (!isOver()) await life(lasts())
    }
    const watch = async (): Promise<void> => {
      while (!isOver()) {
        const before = inForce
        judge(await versionAtStart(anchor, cache), before)
        await sleep(10)
      }
    }
    await Promise.all([
      watch(),
      ...Array.from({ length: PLAN.steady }, () => lane(() => Number.POSITIVE_INFINITY)),
      ...Array.from({ length: PLAN.killed }, () => lane(() => 1 + Math.random() * 40)),
    ])
    judge(await versionAtStart(anchor, cache), inForce)
    if (isFull) process.stdout.write(`${JSON.stringify({ ...figures, inForce, temporary: leftOver(cache) })}\n`)

    expect(figures).toMatchObject({ unreadable: 0, regressions: 0 })
    expect(figures.writes).toBeGreaterThanOrEqual(PLAN.writes)
    expect(figures.kills).toBeGreaterThanOrEqual(PLAN.killed)
  },
  isFull ? 900_000 : 120_000,
)

/** What a process without network has in force when its start is over. */
async function versionAtStart(root: Uint8Array, cache: string): Promise<number> {
  const runtime = createTestRuntime()
  const updater = createManifestUpdater({
    root,
    source: customSource('nowhere', async () => {
      throw new Error('offline')
    }),
    store: fileStore(cache),
    runtime,
    emit: () => {},
    startupMs: 10_000,
  })
  await settled(updater.firstAttempt, runtime)
  const { kind, version } = updater.current()
  await updater.close()
  return kind === 'fresh' ? version : 0
}

async function publish(directory: string): Promise<Uint8Array> {
  const now = createTestRuntime().clock.now()
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now })
  for (let version = 1; version <= PLAN.versions; version += 1) {
    await repository.publishManifest([host()], { now })
    writeTo(directory, `${version}.status.json`, repository.files().get('status.json'))
  }
  for (const [path, bytes] of repository.files()) if (path.startsWith('manifests/')) writeTo(directory, path, bytes)
  writeTo(directory, 'root.json', repository.anchor)
  return repository.anchor
}

function writeTo(directory: string, path: string, bytes: Uint8Array = new Uint8Array()): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true })
  writeFileSync(join(directory, path), bytes)
}

function leftOver(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.tmp-')).length
}

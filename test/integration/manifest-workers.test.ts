import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { startTestPins } from '../support/pins.ts'
import { run } from '../support/run.ts'
import { isFull } from '../support/tier.ts'

const ca = testCa()
const pin = ca.issuer.pin
const hosts = (name: string) => ({ [name]: [pin, ca.root.pin] })

const PLAN = isFull ? { workers: 4, polls: 6, speed: 100 } : { workers: 2, polls: 4, speed: 400 }

test(
  `${PLAN.workers} of worker_threads, and of cluster, on one cache take turns in asking, and all reach the newest manifest (cases 120, 131)`,
  () => Promise.all([takeTurns('worker_threads'), takeTurns('cluster')]),
  120_000,
)

async function takeTurns(kind: 'worker_threads' | 'cluster'): Promise<void> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-workers-'))
  onTestFinished(() => rmSync(cacheDir, { recursive: true }))
  const { repository, server, manifest } = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: hosts('a.example.com'),
  })
  const running = run(['--import', 'tsx', fileURLToPath(new URL('./manifest-worker.ts', import.meta.url))], {
    KIND: kind,
    WORKERS: String(PLAN.workers),
    POLLS: String(PLAN.polls),
    SPEED: String(PLAN.speed),
    BEGUN: String(Date.now()),
    OPTIONS: JSON.stringify({ url: manifest.url, cacheDir, anchors: ca.anchorPem }),
    ROOT: Buffer.from(repository.root).toString('base64'),
  })
  await expect.poll(() => server.requestsFor('status.json'), { timeout: 40_000 }).toBeGreaterThanOrEqual(PLAN.workers) // each starts with one
  await repository.publish({ hosts: hosts('b.example.com') })
  const { exitCode, stdout, stderr } = await running
  expect([exitCode, stderr]).toEqual([0, ''])
  const reports = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { version: number; own: number; shared: number })
  expect(reports.map(({ version }) => version)).toEqual(Array.from({ length: PLAN.workers }, () => 2))
  const total = (of: 'own' | 'shared') => reports.reduce((sum, report) => sum + report[of], 0)
  expect(total('shared')).toBeGreaterThan(isFull ? total('own') - PLAN.workers : 0) // few polls, and hurried ones
  expect(server.requestsFor('status.json')).toBeLessThanOrEqual(total('own') + PLAN.workers) // a last one may be cut off by close()
}

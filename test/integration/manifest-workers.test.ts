import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { startTestPins } from '../support/pins.ts'
import { run } from '../support/run.ts'

const ca = testCa()
const pin = ca.issuer.pin
const hosts = (name: string) => ({ [name]: [pin, ca.root.pin] })

test.each(['worker_threads', 'cluster'])(
  'four of %s on one cache take turns in asking, and all reach the newest manifest (cases 120, 131)',
  async (kind) => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'pinfetch-workers-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true }))
    const { repository, server, manifest } = await startTestPins({
      ca,
      name: 'pins.example.com',
      hosts: hosts('a.example.com'),
    })
    const running = run(['--import', 'tsx', fileURLToPath(new URL('./manifest-worker.ts', import.meta.url))], {
      KIND: kind,
      BEGUN: String(Date.now()),
      OPTIONS: JSON.stringify({ url: manifest.url, cacheDir, anchors: ca.anchorPem }),
      ROOT: Buffer.from(repository.root).toString('base64'),
    })
    await expect.poll(() => server.requestsFor('status.json'), { timeout: 40_000 }).toBeGreaterThanOrEqual(4) // each starts with one
    await repository.publish({ hosts: hosts('b.example.com') })
    const { exitCode, stdout, stderr } = await running
    expect([exitCode, stderr]).toEqual([0, ''])
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { version: number; own: number; shared: number })
    expect(reports.map(({ version }) => version)).toEqual([2, 2, 2, 2])
    const total = (of: 'own' | 'shared') => reports.reduce((sum, report) => sum + report[of], 0)
    expect(total('shared')).toBeGreaterThan(total('own') - 4)
    expect(server.requestsFor('status.json')).toBeLessThanOrEqual(total('own') + 4) // a last one may be cut off by close()
  },
  120_000,
)

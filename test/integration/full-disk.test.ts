import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectEvidence, toFile, validationLog } from 'pinfetch/monitor'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const HOST = 'api.example.com'
const genuine = testCa({ name: 'Genuine' })
const rogue = testCa({ name: 'Rogue' })
const server = genuine.issue({ names: [HOST] })
const patience = { timeout: 30_000 }

test('where the disk is full, requests end as they do elsewhere, it is told, and once there is room no line is broken', async () => {
  const disk = fullDisk()
  const target = await until(startTlsServer({ identity: server }))
  const attacker = await until(startTlsServer({ identity: rogue.issue({ names: [HOST] }) }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: [genuine.anchorPem, rogue.anchorPem] })
  const told = new Set<string>()
  client.on('outlet.failed', ({ outlet }) => void told.add(outlet.replace(/ .*/s, '')))
  const outlet = toFile(client, { path: disk.path('records'), name: 'records' })
  const log = validationLog(client, { file: disk.path('log') })
  const evidence = collectEvidence(client, { dir: disk.path('evidence') })
  onTestFinished(async () => void (await Promise.all([outlet.close(), log.close(), evidence.close()])))

  const outcomes: number[] = []
  for (let time = 0; time < 10; time += 1) {
    const headers = { connection: 'close' } // a handshake each
    const response = await client.fetch(`https://${HOST}:${target.port}/`, { headers })
    outcomes.push(response.status)
    await response.arrayBuffer()
    await refusalOf(client.fetch(`https://${HOST}:${attacker.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  }
  expect(outcomes).toEqual(Array.from({ length: 10 }, () => 200))
  await vi.waitUntil(() => ['records', 'validation', 'evidence'].every((name) => told.has(name)), patience)
  expect([evidence.written, evidence.failed > 0, log.lost > 0 || log.queued > 0]).toEqual([0, true, true])

  if (disk.empty === undefined) return
  disk.empty()
  await vi.waitUntil(() => outlet.queued === 0, patience)
  const lines = readFileSync(disk.path('records'), 'utf8').trimEnd().split('\n')
  expect(lines.length).toBeGreaterThanOrEqual(20)
  expect(lines.every((line) => typeof (JSON.parse(line) as { time: unknown }).time === 'number')).toBe(true)
  await refusalOf(client.fetch(`https://${HOST}:${attacker.port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await vi.waitUntil(() => evidence.written > 0, patience)
  expect(readdirSync(disk.path('evidence'))).toHaveLength(evidence.written)
}, 120_000)

/** A file system of a megabyte with nothing left. Who may not mount one gets the device that takes nothing, and the reason. */
function fullDisk(): { readonly path: (name: string) => string; readonly empty?: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-full-'))
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], {
    encoding: 'utf8',
  })
  if (status !== 0) {
    rmSync(folder, { recursive: true })
    process.stderr.write(`no full disk, /dev/full in its place: ${(stderr ?? error?.message ?? '').trim()}\n`)
    return { path: (name) => (name === 'evidence' ? '/dev/full/evidence' : '/dev/full') }
  }
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  mkdirSync(join(folder, 'evidence'), { mode: 0o700 })
  const ballast = join(folder, 'ballast')
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    for (;;) {
      try {
        writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' })
      } catch {
        break // ENOSPC: what is smaller may still fit
      }
    }
  }
  return { path: (name) => join(folder, name), empty: () => rmSync(ballast) }
}

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientEvent } from 'pinfetch'
import { type FileOutletOptions, toFile } from 'pinfetch/monitor'
import { createTestRuntime, fakeClient } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { otlpProblems } from './golden.ts'

const posture = (subject: string): ClientEvent => ({ type: 'posture', subject, effect: '' })

function scene(options: Partial<FileOutletOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-outlet-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'events.ndjson')
  const client = fakeClient()
  const outlet = toFile(client, { path, ...options })
  onTestFinished(() => outlet.close())
  const say = async (subject: string): Promise<void> => {
    client.emit(posture(subject))
    await vi.waitUntil(() => outlet.queued === 0, { timeout: 20_000 })
  }
  return { folder, path, client, outlet, say }
}

const subjectsIn = (path: string): readonly string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { evidences: [{ data: { subject: string } }] }).evidences[0].data.subject)

test('a line a record, appended to a file that only its user may read', async () => {
  const { path, say, outlet } = scene()
  await say('one')
  await say('two')
  expect(subjectsIn(path)).toEqual(['one', 'two'])
  if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600)
  await outlet.close()
  const again = toFile(fakeClient(), { path })
  await again.close()
  expect(subjectsIn(path)).toEqual(['one', 'two'])
})

test('a line of otlp is the logs data of one record', async () => {
  const { path, say } = scene({ format: 'otlp' })
  await say('one')
  await say('two')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  expect(lines.flatMap((line) => otlpProblems(JSON.parse(line) as object))).toEqual([])
  expect(lines.map((line) => /"body":\{"stringValue":"(\w+):/.exec(line)?.[1])).toEqual(['one', 'two'])
})

test('a file that was rotated away or removed is made anew', async () => {
  const { path, say } = scene()
  await say('one')
  renameSync(path, `${path}.old`)
  await say('two')
  rmSync(path)
  await say('three')
  expect([subjectsIn(`${path}.old`), subjectsIn(path)]).toEqual([['one'], ['three']])
})

test('a file that would grow past its limit is kept once beside it', async () => {
  const { path, say } = scene({ maxBytes: 2_000 })
  for (const subject of ['1', '2', '3', '4', '5', '6', '7']) await say(subject)
  expect(statSync(path).size).toBeLessThanOrEqual(2_000)
  expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(2_000)
  expect(subjectsIn(path).at(-1)).toBe('7')
  expect([...subjectsIn(`${path}.1`), ...subjectsIn(path)].length).toBeGreaterThan(subjectsIn(path).length)
})

test('a symbolic link is not followed, a pipe not waited for, and it is told; a file in their place is written', async () => {
  const { folder } = scene()
  const target = join(folder, 'target')
  writeFileSync(target, '')
  const places: readonly ((path: string) => void)[] = [
    (path) => symlinkSync(target, path),
    (path) => void execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', path]),
    (path) => void mkdirSync(path),
  ]
  for (const [index, place] of places.entries()) {
    const path = join(folder, `place-${index}`)
    place(path)
    const client = fakeClient()
    const told: string[] = []
    for (const type of ['outlet.failed', 'outlet.recovered'] as const) client.on(type, () => void told.push(type))
    const outlet = toFile(client, { path, runtime: createTestRuntime() })
    client.emit(posture('kept'))
    await vi.waitUntil(() => told.length === 1, { timeout: 20_000 })
    rmSync(path, { recursive: true })
    await outlet.close() // tries once more
    expect([subjectsIn(path), told, outlet.dropped]).toEqual([['kept'], ['outlet.failed', 'outlet.recovered'], 0])
  }
  expect(readFileSync(target, 'utf8')).toBe('')
})

test('a folder that is not there yet loses nothing', async () => {
  const runtime = createTestRuntime()
  const { folder, client } = scene()
  const path = join(folder, 'later', 'events.ndjson')
  const told: ClientEvent[] = []
  for (const type of ['outlet.failed', 'outlet.recovered'] as const) client.on(type, (event) => void told.push(event))
  const outlet = toFile(client, { path, runtime, name: 'later' })
  client.emit(posture('kept'))
  await vi.waitUntil(() => told.length > 0, { timeout: 20_000 })
  mkdirSync(join(folder, 'later'))
  await outlet.close()
  expect(subjectsIn(path)).toContain('kept')
  expect(told.map(({ type }) => type)).toEqual(['outlet.failed', 'outlet.recovered'])
  expect(outlet.dropped).toBe(0)
})

test('an option that is none is ERR_CONFIG_INVALID', () => {
  const client = fakeClient()
  const attempts: readonly object[] = [
    {},
    { path: '' },
    { path: 'x', pth: 'y' },
    { path: 'x', format: 'xml' },
    { path: 'x', events: ['tls.rejectd'] },
    { path: 'x', capacity: 0 },
    { path: 'x', runtime: null },
  ]
  for (const options of attempts)
    expect(() => toFile(client, options as object as FileOutletOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
})

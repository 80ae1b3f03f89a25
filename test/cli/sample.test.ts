import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { heartbeatJobs } from '../../src/cli/heartbeat-jobs.ts'
import { cliJson, workplace } from './support.ts'

const ROOT = join(import.meta.dirname, '../..')
const SAMPLE = join(ROOT, 'pins/sample')
const UNDER = ['--root', join(SAMPLE, 'root.json')]

test('the sample repository reads as a client reads it, on the day it was made', async () => {
  const verify = (at: string) => cliJson(['manifest', 'verify', '--dir', SAMPLE, ...UNDER, '--at', at])
  expect(await verify('2026-11-22T13:00:00Z')).toMatchObject({ exitCode: 0, answer: { data: EXPECTED } })
  expect(await verify('2026-11-24')).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_MANIFEST_STATUS_EXPIRED' } },
  })
  const lapses = await cliJson(['monitor', '--dir', SAMPLE, '--at', '2026-11-22T13:00:00Z', '--fail-on', 'warn'])
  expect(lapses.exitCode).toBe(0)
})

test('the script that makes it, by the commands of an operator, makes the same one today', async () => {
  const { path } = await workplace()
  await promisify(execFile)(process.execPath, [
    ...['--import', import.meta.resolve('tsx')],
    ...[join(ROOT, 'scripts/sample-pins.ts'), path('sample')],
  ])
  expect(await namesBelow(path('sample'))).toEqual(await namesBelow(SAMPLE))
  expect(JSON.parse(await readFile(path('sample/hosts.json'), 'utf8'))).toEqual(
    JSON.parse(await readFile(join(SAMPLE, 'hosts.json'), 'utf8')),
  )
  const { answer } = await cliJson(['manifest', 'verify', '--dir', path('sample'), '--at', '2026-11-22T13:00:00Z'])
  expect(answer.data).toMatchObject(EXPECTED)
})

test('its heartbeat jobs are those that init writes', async () => {
  const version = (text: string) => text.replaceAll(/pinfetch@[\d.a-z-]+/g, 'pinfetch@VERSION')
  for (const [name, text] of heartbeatJobs('/srv/acme/pins', 'team')) {
    expect(version(await readFile(join(SAMPLE, 'jobs', name), 'utf8'))).toBe(version(text))
  }
})

const EXPECTED = {
  repo: 'acme/pins',
  env: 'prod',
  root: { version: 1, expires: '2027-12-27T11:00:00Z' },
  status: { version: 2, expires: '2026-11-23T12:00:00Z', denies: 0 },
  manifest: { version: 2, expires: '2027-02-20T12:00:00Z' },
  roles: { root: { threshold: 2, keys: { length: 3 } }, manifest: { threshold: 2, keys: { length: 3 } } },
  hosts: [{ host: 'api.bank.com', pins: { length: 3 } }],
}

async function namesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true })
  return entries.map((name) => name.replace(/[0-9a-f]{64}/, 'HASH')).sort()
}

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { runManifestCase } from '../../scripts/conformance/manifest.ts'

const SAMPLE = join(import.meta.dirname, '../../pins/sample')
const base64 = (path: string): string => readFileSync(path).toString('base64')
const files = Object.fromEntries(
  readdirSync(SAMPLE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(SAMPLE, path).replaceAll('\\', '/'), base64(path)]),
)
const sample = { anchor: base64(join(SAMPLE, 'root.json')), files, repo: 'acme/pins', env: 'prod' }

test('the sample repository verifies at the day it was signed, and has expired a month later', async () => {
  expect(await runManifestCase({ ...sample, now: '2026-11-22T13:00:00Z' })).toMatchObject({ result: 'pass' })
  const late = await runManifestCase({ ...sample, now: '2026-12-22T12:00:00Z' })
  expect(late).toMatchObject({ result: 'fail', code: 'ERR_MANIFEST_STATUS_EXPIRED' })
})

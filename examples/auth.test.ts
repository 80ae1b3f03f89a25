/** The examples of `pinfetch/auth` run as they stand, each in a process of its own. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'

const hasRedis = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'redis-server')))

test.each<[string, RegExp]>([
  ['client-credentials', /20 requests, 1 token\n[\s\S]*after the revocation: 200\n[\s\S]*\/revoke/],
  ['dpop', /200 .*DPoP/],
  ['mtls', /200 .*Bearer/],
  ['api-key-rotation', /first key: 200\nwith a key that is too new: 200\nwith the second key: 200/],
  ['vault', /key service: 200\n[\s\S]*\(rejected, after v1\)/],
  ['refresh-token-redis', hasRedis ? /two processes: 200 and 200; 1 refresh for both/ : /skipped: no redis-server/],
])('examples/auth-%s.ts', async (name, expected) => {
  const { code, output } = await run(`examples/auth-${name}.ts`)
  expect(output).toMatch(expected)
  expect(code).toBe(0)
})

test.runIf(process.env['CI'] === 'true')('redis-server is installed where skipping counts as failing', () => {
  expect(hasRedis).toBe(true)
})

function run(file: string): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_OPTIONS: '', VITEST: undefined }
    const child = spawn(process.execPath, ['--import', 'tsx', file], { env, stdio: 'pipe' })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

/** The examples of `pinfetch/signing` run as they stand, each in a process of its own. */
import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'

test.each<[string, RegExp]>([
  ['webhook', /^signed: 204\nrefused: ERR_VERIFY_MISSING\nwithout a signature: 401\n$/],
  [
    'sigv4',
    /GET \S+versions=: ASIAEXAMPLE1\/\d{8}\/eu-central-1\/s3\/aws4_request, over \S*host;\S*\n[\s\S]*200 200 200; credentials asked for: 1\n$/,
  ],
])('examples/signing-%s.ts', async (name, expected) => {
  const { code, output } = await run(`examples/signing-${name}.ts`)
  expect(output).toMatch(expected)
  expect(code).toBe(0)
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

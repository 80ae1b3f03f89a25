/** The examples run as they stand, each in a process of its own, and README says of each what it is for. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

test.each<[string, RegExp]>([
  ['quickstart', /^200 ok\nERR_TRUST_PIN_MISMATCH\nthe stranger read 0 bytes\n$/],
  [
    'rotate-a-pin',
    /^manifest 1 in force\nbefore: 200\nmanifest 2 in force\nannounced: 200\nswapped: 200\nmanifest 3 in force\nretired: 200\nthe old key: ERR_TRUST_PIN_MISMATCH\n$/,
  ],
  [
    'kill-a-key',
    /^before: 200\n(?=[\s\S]*^closed: 1 connection, ERR_TRUST_PIN_DENIED\n)(?=[\s\S]*^denied: 1 key\n)[\s\S]*^the stolen key: ERR_TRUST_PIN_DENIED\nthe key in reserve: 200\n$/m,
  ],
  [
    'signed-request',
    /^signed: 200 from orders-2026\nrefused: ERR_VERIFY_REPLAY\nagain: 401\nrefused: ERR_VERIFY_DIGEST_MISMATCH\nchanged: 401\n$/,
  ],
  ['mutual-tls-reload', /^shown: CN=orders 1\nshown: CN=orders 2\n$/],
  ['with-openai-sdk', /^model: gpt-x\nrefused: ERR_TRUST_PIN_MISMATCH\nthe interceptor read 0 bytes\n$/],
  ['with-axios', /^axios: 200\nrefused: ERR_TRUST_PIN_MISMATCH\nthe interceptor read 0 bytes\n$/],
  [
    'with-grpc',
    /^greeted: hello, too\nrefused: 14 ERR_TRUST_PIN_MISMATCH\ncalls: 1 at the bank, 0 at the interceptor\n$/,
  ],
  [
    'report-only-rollout',
    /^report: 200 200\nreports: 1, with the key of the second server: true\nreport: 200 200\nreports: 0\nenforce: 200 200\na stranger: ERR_TRUST_PIN_MISMATCH\n$/,
  ],
  ['walk', /^Every answer was the one that was expected\.$/m],
  ['kubernetes-configmap', /^manifest 1: 200\nmanifest 2: 200\n$/],
])('examples/%s.ts', async (name, expected) => {
  const { code, output } = await run(`examples/${name}.ts`)
  expect(output).toMatch(expected)
  expect(code).toBe(0)
})

test('README lists every example', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const examples = readdirSync(join(ROOT, 'examples')).filter(
    (name) => !/-lab\.ts$|^(?!accounts|test-your).*\.test\.ts$/.test(name),
  )
  expect(examples.filter((name) => !readme.includes(`(examples/${name})`))).toEqual([])
})

function run(file: string): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_OPTIONS: '', VITEST: undefined }
    const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, env, stdio: 'pipe' })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

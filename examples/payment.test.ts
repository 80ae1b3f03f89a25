/** The payment runs as it stands, in a process of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('examples/payment.ts', async () => {
  const env = { ...process.env, NODE_OPTIONS: '', VITEST: undefined }
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', 'examples/payment.ts'], { env })
  expect(stdout.split('\n')).toEqual([
    'asked: /payments',
    '201 accepted 12.50',
    'again: 201 - payments at the bank: 1',
    'ERR_POLICY_REQUEST_INVALID body.amount',
    '',
  ])
})

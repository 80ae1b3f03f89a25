import { expect, test, vi } from 'vitest'
import { runCommand } from '../../src/publisher/command.ts'

test('a program that signs or uploads sees the environment, but for the passphrase of the keys', async () => {
  vi.stubEnv('PINFETCH_PASSPHRASE', 'secret')
  vi.stubEnv('UPLOAD_TOKEN', 'its own')
  const script =
    'process.stdout.write(JSON.stringify([process.env.PINFETCH_PASSPHRASE ?? null, process.env.UPLOAD_TOKEN]))'
  const { stdout, exitCode } = await runCommand([process.execPath, '-e', script], new Uint8Array())
  vi.unstubAllEnvs()
  expect([exitCode, Buffer.from(stdout).toString()]).toEqual([0, '[null,"its own"]'])
})

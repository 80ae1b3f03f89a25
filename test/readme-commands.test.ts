/**
 * Every command of README, in the order in which it stands there, word by word: against one bank and one repository of pins. What a
 * person at a terminal sees of it is in test/cli/walks.test.ts.
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { cli, workplace } from './cli/support.ts'
import { refusalOf, testClient, until } from './support/client.ts'

const README = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const TYPED = /^npx pinfetch (?!ct |evidence |monitor )[^#\n]+/gm

test('every command of README does what README says of it', async () => {
  const ca = testCa()
  const identity = ca.issue({ names: ['api.bank.com'] })
  const reserve = ca.issue({ names: ['api.bank.com'] })
  const server = await until(startTlsServer({ identity }))
  const { path } = await workplace()
  process.env['PINFETCH_TEST_PORT'] = String(server.port)
  await import('./cli/reroute.ts')
  const home = process.cwd()
  process.chdir(path('.')) // the commands name files from here
  onTestFinished(() => process.chdir(home))
  await writeFile(path('ca.pem'), ca.anchorPem)
  await writeFile(path('next.pem'), ca.issue({ names: ['api.bank.com'] }).keyPem)
  await writeFile(path('cert.pem'), identity.pem)
  const stolen = ca.issue({ names: ['api.bank.com'] })
  const commands = [...README.matchAll(TYPED)].map(([line]) => line.trim())
  const said = new Map<string, string>()
  for (const command of commands) {
    const line = command
      .replace(/(?<=deny )\S+/, stolen.pin)
      .replace(/(?<=add-host .*)--pin .*/, `--pin ${identity.pin} --pin ${reserve.pin}`)
      .replace(/(?<=pin api\.bank\.com .*|verify https.*|pinfetch rotate .*)$/, ' --ca ca.pem')
    const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''))
    const { exitCode, stdout, stderr } = await cli(words.slice(2))
    expect([line, exitCode, exitCode === 0 ? '' : stderr]).toEqual([line, 0, ''])
    said.set(command, stdout + stderr)
  }
  const saidBy = (words: string): string => said.get(commands.find((command) => command.includes(words)) ?? '') ?? ''
  expect(saidBy('pin api.bank.com --partner')).toContain(identity.pin)
  expect(saidBy('pin next.pem')).toMatch(/sha256\/[A-Za-z0-9+/]{43}=/)
  expect(saidBy('--backup next.pem')).toMatch(/not before/)
  expect(saidBy('--explain')).toContain('trusted')
  expect(saidBy('explain ERR_TRUST_PIN_MISMATCH')).toContain('pin')
  expect(commands.length).toBeGreaterThanOrEqual(11)

  const client = testClient({
    manifest: { url: path('public'), root: path('pins/root.json'), memoryOnly: true },
    anchors: ca.anchorPem,
  })
  const url = `https://api.bank.com:${server.port}/`
  expect((await client.fetch(url)).status).toBe(200)
  server.setIdentity(ca.issue({ names: ['api.bank.com'], key: stolen.key }))
  server.destroyConnections()
  await refusalOf(client.fetch(url), 'ERR_TRUST_PIN_DENIED')
})

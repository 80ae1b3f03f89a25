import { cp, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { type Terminal, type Typed, type } from './process.ts'
import { workplace } from './support.ts'

const COMMAND_SECONDS = 90 // what a newcomer should spend waiting, all commands together

test('solo: four commands as a newcomer types them at a terminal end with a pinned 200', async () => {
  const { bank, ca, path } = await startBank()
  const spent: Typed[] = []
  const run = async (line: string, answers: Terminal['answers'] = []): Promise<Typed> => {
    const typed = await type(line, { cwd: path('.'), env: bank.env, answers })
    spent.push(typed)
    expect(typed.output).not.toMatch(/^error/m)
    expect(typed.exitCode).toBe(0)
    return typed
  }
  await run('npx pinfetch init --profile solo ./pins', [
    ['Passphrase for the new keys', 'correct horse'],
    ['Once more', 'correct horse'],
  ])
  const shown = await run('npx pinfetch manifest add-host api.bank.com --partner --dir ./pins --ca ca.pem', [
    ['Pin these for api.bank.com?', 'y'],
  ])
  expect(shown.output).toContain(bank.identity.pin)
  expect(shown.output).toContain(ca.issuer.pin)
  const published = await run('npx pinfetch manifest publish --dir ./pins --to ./public', [
    ['Passphrase of', 'correct horse'],
  ])
  expect(published.output).toMatch(/running clients refuse +\d{4}-\d\d-\d\dT\S+Z +in 14 days/)
  expect(published.output).toContain('pinfetch verify https://api.bank.com --manifest public --root pins/root.json')
  const verified = await run(
    'npx pinfetch verify https://api.bank.com --manifest ./public --root ./pins/root.json --ca ca.pem',
  )
  expect(verified.output).toContain('trusted  api.bank.com  manifest 1, 2 of 2 pins matched')
  expect(shown.output + published.output).not.toContain('correct horse')

  expect((await readdir(path('pins.keys'))).filter((name) => name.endsWith('.pem'))).toHaveLength(4)
  expect((await stat(path('pins.keys/root.pem'))).mode & 0o777).toBe(0o600)
  await expectPinned200({ bank, ca, path })
  expect(spent.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThan(COMMAND_SECONDS * 1_000)
}, 180_000)

test('two of three: seven commands, two signers apart, end with a pinned 200', async () => {
  const { bank, ca, path } = await startBank()
  const spent: Typed[] = []
  const run = async (line: string): Promise<Typed> => {
    const typed = await type(line, { cwd: path('.'), env: bank.env })
    spent.push(typed)
    expect(typed.output).not.toMatch(/^error/m)
    expect(typed.exitCode).toBe(0)
    return typed
  }
  await run('npx pinfetch init --profile team ./pins')
  for (const [index, name] of ['alice', 'bob', 'carol'].entries()) {
    await mkdir(path(name)) // each goes home with one key; root keys leave the machine as well
    await rename(path(`pins.keys/manifest-${index + 1}.pem`), path(`${name}/manifest-1.pem`))
    await rename(path(`pins.keys/root-${index + 1}.pem`), path(`${name}/root-1.pem`))
  }
  await writeFile(path('next.pem'), ca.issue().keyPem)
  await run(`npx pinfetch manifest add-host api.bank.com --dir ./pins --pin ${bank.identity.pin} --backup next.pem`)
  const one = await run('npx pinfetch manifest sign --dir ./pins --keys ./alice')
  expect(one.output).toContain('signed by 1 of the 2 that must')
  expect(await readdir(path('pins'))).not.toContain('manifests')
  await cp(path('pins/pending/manifest.json'), path('bob/manifest.json')) // by mail, say
  await run('npx pinfetch manifest sign bob/manifest.json --keys ./bob')
  await run('npx pinfetch manifest merge bob/manifest.json --dir ./pins')
  await run('npx pinfetch manifest publish --dir ./pins --to ./public')
  await run('npx pinfetch verify https://api.bank.com --manifest ./public --root ./pins/root.json --ca ca.pem')
  expect(spent.length).toBeLessThanOrEqual(8)
  await expectPinned200({ bank, ca, path })
  expect(spent.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThan(COMMAND_SECONDS * 1_000)
}, 180_000)

async function startBank() {
  const ca = testCa()
  const identity = ca.issue({ names: ['api.bank.com'] })
  const server = await until(startTlsServer({ identity }))
  const { path } = await workplace()
  await writeFile(path('ca.pem'), ca.anchorPem)
  return { ca, path, bank: { server, identity, env: { PINFETCH_TEST_PORT: String(server.port) } } }
}

/** A client that was given the folder and the root gets its answer, and none from a server with another key. */
async function expectPinned200({ bank, ca, path }: Awaited<ReturnType<typeof startBank>>): Promise<void> {
  const client = testClient({
    manifest: { url: path('public'), root: path('pins/root.json'), memoryOnly: true },
    anchors: ca.anchorPem,
  })
  const url = `https://api.bank.com:${bank.server.port}/`
  expect((await client.fetch(url)).status).toBe(200)
  bank.server.setIdentity(testCa({ name: 'Test' }).issue({ names: ['api.bank.com'] }))
  bank.server.destroyConnections()
  await refusalOf(client.fetch(url), 'ERR_TRUST_SIGNATURE_INVALID')
}

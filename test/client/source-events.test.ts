import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientEvent } from 'pinfetch'
import { apiKey } from 'pinfetch/auth'
import { type JwksEvent, remoteJwks } from 'pinfetch/signing'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { testClient, until } from '../support/client.ts'

const HOST = 'api.example.com'
const ca = testCa()
const identity = ca.issue({ names: [HOST] })
const common = { pins: { [HOST]: [identity.pin] }, anchors: ca.anchorPem }

describe('a file that is mounted by itself, and so will never change, is told', () => {
  /** A folder of files; Linux says of those in `mounted` that they are mounted by themselves. */
  function volume(contents: Readonly<Record<string, string>>, mounted: readonly string[]) {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pinfetch-mounted-')))
    const at = (name: string): string => join(folder, name)
    for (const [name, text] of Object.entries(contents)) writeFileSync(at(name), text, { mode: 0o600 })
    const mounts = mounted.map((name) => `30 22 8:1 /volumes/${name} ${at(name)} ro - ext4 x rw\n`).join('')
    const { readFile } = files
    const read = vi
      .spyOn(files, 'readFile')
      .mockImplementation(async (path, ...how) =>
        path === '/proc/self/mountinfo' ? mounts : readFile(path, ...(how as [])),
      )
    syncBuiltinESMExports()
    onTestFinished(() => {
      read.mockRestore()
      syncBuiltinESMExports()
      rmSync(folder, { recursive: true })
    })
    return at
  }

  test('of a client certificate: certificate.source with its path', async () => {
    const own = ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] })
    const at = volume({ 'tls.crt': own.pem, 'tls.key': own.keyPem }, ['tls.crt'])
    const client = testClient({ ...common, certificate: { certFile: at('tls.crt'), keyFile: at('tls.key') } })
    const told: ClientEvent[] = []
    client.on('certificate.source', (event) => told.push(event))
    await expect.poll(() => told.length).toBe(1)
    expect(told[0]).toMatchObject({
      type: 'certificate.source',
      source: at('tls.crt'),
      message: `${at('tls.crt')} is mounted by itself (subPath), so it will never change: mount the whole volume`,
    })
  })

  test('of a secret: secret.source with its name and path', async () => {
    const at = volume({ key: 'kd83-first-Zq91mmw2' }, ['key'])
    const server = await until(startTlsServer({ identity }))
    const origin = `https://${HOST}:${server.port}`
    const scheme = apiKey({ header: 'x-api-key', source: { file: at('key') }, allowedOrigins: [origin] })
    const client = testClient({ ...common, auth: [scheme] })
    const told: ClientEvent[] = []
    client.on('secret.source', (event) => told.push(event))
    expect((await client.fetch(origin)).status).toBe(200)
    await expect.poll(() => told.length).toBe(1)
    expect(told[0]).toMatchObject({
      type: 'secret.source',
      name: 'apiKey',
      source: `file ${at('key')}`,
      message: expect.stringContaining('mount the whole volume'),
    })
  })
})

test('keys that were fetched are told: jwks.refreshed with where they are and how many, without the query', async () => {
  const key = (kid: string) => ({
    ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
    ...{ kid, alg: 'EdDSA', use: 'sig' },
  })
  const body = JSON.stringify({ keys: [key('one'), key('two')] })
  const server = await until(startTlsServer({ identity, handler: (_, response) => void response.end(body) }))
  const events: JwksEvent[] = []
  const url = `https://${HOST}:${server.port}/jwks`
  const keys = remoteJwks(`${url}?tenant=kd83`, {
    fetch: testClient(common).fetch,
    onEvent: (event) => void events.push(event),
  })
  await keys.keyFor('EdDSA', 'one')
  await keys.keyFor('EdDSA', 'two')
  expect(events).toEqual([{ type: 'jwks.refreshed', url, keys: 2 }])
})

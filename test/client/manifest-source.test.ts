import { createTestRepository, startManifestServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { testClient, until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['pins.example.com'] })
const repository = await createTestRepository({ hosts: { 'api.example.com': [ca.root.pin] } })
const { root, repo, env } = repository

test('manifest.urls: where one mirror has nothing, the next is asked', async () => {
  const [down, up] = [
    await until(startManifestServer({ files: repository, identity })),
    await until(startManifestServer({ files: repository, identity })),
  ]
  down.respond('*', { status: 503 })
  const urls = [down, up].map(({ port }) => `https://pins.example.com:${port}/`)
  const client = testClient({ manifest: { urls, root, memoryOnly: true }, anchors: ca.anchorPem })
  await client.ready()
  expect(client.manifest.version).toBe(1)
  expect(down.requestsFor('status.json')).toBeGreaterThan(0)
})

test.each([
  ['repo', repo, 'other/pins', 'ERR_MANIFEST_WRONG_REPO'],
  ['env', env, 'staging', 'ERR_MANIFEST_WRONG_ENV'],
])('manifest.%s: a root of another is no root of this client', (option, right, wrong, code) => {
  const custom = { get: async (path: string) => repository.files().get(path) }
  const make = (value: string) => testClient({ manifest: { custom, root, memoryOnly: true, [option]: value } })
  expect(() => make(right)).not.toThrow()
  expect(() => make(wrong)).toThrow(expect.objectContaining({ code }))
})

import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { found, readDocument, readFromBundle, UnusableSource } from '../../src/manifest/read-document.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const ABSENT = { status: 404, headers: {}, bytes: new Uint8Array() }
const answer = (bytes: Uint8Array) => ({ status: 200, headers: {}, bytes })

async function fileOf(content: Uint8Array | string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pinfetch-document-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'document.json')
  await writeFile(path, content)
  return path
}

test.each([
  ['an empty file', 0, 0],
  ['a file below the limit', 9, 9],
  ['a file of the limit', 10, 10],
  ['a byte more of one that is longer, so that it can be seen', 1_000, 11],
])('reads %s', async (_, length, read) => {
  const path = await fileOf(Buffer.alloc(length, 'x'))
  expect(await readDocument(path, 10)).toEqual(answer(new Uint8Array(Buffer.alloc(read, 'x'))))
})

test('follows a link, as mounted volumes consist of them', async () => {
  const path = await fileOf('pins')
  await symlink(path, `${path}.link`)
  expect(await readDocument(`${path}.link`, 10)).toEqual(answer(text('pins')))
})

test.each([
  ['that is not there', (path: string) => `${path}.not`],
  ['below something that is no folder', (path: string) => join(path, 'status.json')],
])('a file %s is absent, as a server would say', async (_, name) => {
  expect(await readDocument(name(await fileOf('pins')), 10)).toEqual(ABSENT)
})

test('what is there and cannot be read is no absent document: the system’s words are told', async () => {
  const path = `${await fileOf('pins')}.folder`
  await mkdir(path)
  const refused = await readDocument(path, 10).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(UnusableSource)
  expect(refused).toMatchObject({
    name: 'UnusableSource',
    message: expect.stringContaining('EISDIR'),
    cause: { code: 'EISDIR' },
  })
  const unnameable = readDocument('a\0b', 10)
  await expect(unnameable).rejects.toMatchObject({ name: 'UnusableSource', cause: { code: 'ERR_INVALID_ARG_VALUE' } })
})

const OPEN_FILES = '/proc/self/fd'
test.runIf(existsSync(OPEN_FILES))('closes what it opened, whether it could be read or not', async () => {
  const path = await fileOf('pins')
  const before = readdirSync(OPEN_FILES).length
  for (let at = 0; at < 20; at += 1) {
    await readDocument(path, 10)
    await expect(readDocument(tmpdir(), 10)).rejects.toThrow('EISDIR')
  }
  expect(readdirSync(OPEN_FILES).length).toBeLessThan(before + 10)
})

const bundle = (status: string): string =>
  JSON.stringify({ status: { payload: status }, manifest: { payload: '' }, roots: [] })

test('a bundle file is read anew each time', async () => {
  const path = await fileOf(bundle('one'))
  expect(await readFromBundle(path, 'status.json')).toEqual(answer(text('{"payload":"one"}')))
  await writeFile(path, bundle('two'))
  expect(await readFromBundle(path, 'status.json')).toEqual(answer(text('{"payload":"two"}')))
  expect(await readFromBundle(path, 'roots/1.json')).toEqual(ABSENT)
  await rm(path)
  expect(await readFromBundle(path, 'status.json')).toEqual(ABSENT)
})

test.each([
  ['is none', 'pins'],
  ['is longer than 4 MiB', bundle('x'.repeat(4 * 1024 * 1024))],
])('a bundle file that %s says what was expected', async (_, content) => {
  const path = await fileOf(content)
  await expect(readFromBundle(path, 'status.json')).rejects.toThrow(
    new UnusableSource(`${path}: expected {"status", "manifest", "roots"}, as JSON or its base64`),
  )
})

test('a bundle file of megabytes is read', async () => {
  const path = await fileOf(bundle('x'.repeat(4 * 1024 * 1024 - 100)))
  expect((await readFromBundle(path, 'status.json')).status).toBe(200)
})

test('a document that is held, or is not, looks as one from a server', () => {
  expect(found(text('pins'))).toEqual(answer(text('pins')))
  expect(found(undefined)).toEqual(ABSENT)
})

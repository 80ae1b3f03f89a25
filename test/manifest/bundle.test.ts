import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseBundle } from '../../src/manifest/bundle.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const document = (payload: string) => ({ payload: Buffer.from(payload).toString('base64url'), signatures: [] })
const [status, manifest] = [document('{"status":1}'), document('{"manifest":1}')]
const roots = Array.from({ length: 12 }, (_, at) => document(`{"root":${at + 1}}`))
const BUNDLE = { status, manifest, roots }
const sha256 = createHash('sha256').update('{"manifest":1}').digest('hex')

const parse = (value: string) => parseBundle(text(value))
const read = (path: string, bundle: object = BUNDLE): unknown => {
  const bytes = parse(JSON.stringify(bundle))?.get(path)
  return bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString())
}

test.each<[string, unknown]>([
  ['status.json', status],
  [`manifests/1.${sha256}.json`, manifest],
  [`manifests/99.${sha256}.json`, manifest],
  ['roots/1.json', roots[0]],
  ['roots/12.json', roots[11]],
])('holds a document under %s', (path, expected) => {
  expect(read(path)).toEqual(expected)
})

test.each([
  'status.jsonx',
  'manifests/',
  `manifests/1.${'0'.repeat(64)}.json`,
  `manifests/1.${sha256}.jsonx`,
  `manifest/1.${sha256}.json`,
  `1.${sha256}.json`,
  'roots/0.json',
  'roots/13.json',
  'roots/-1.json',
  'roots/1.jsonx',
  'roots/1xjson',
  'roots/.json',
  'roots/0000000001.json',
  'x/roots/1.json',
  `blobs/${sha256}.json`,
  '__proto__',
  'length',
  '',
])('holds nothing under %j', (path) => {
  expect(read(path)).toBeUndefined()
})

test('roots may be left out while the first is the newest', () => {
  expect(read('status.json', { status, manifest })).toEqual(status)
  expect(read('roots/1.json', { status, manifest })).toBeUndefined()
})

test('a manifest whose payload is no base64url is under no name but that of nothing', () => {
  const broken = { ...BUNDLE, manifest: { payload: '*' } }
  expect(read(`manifests/1.${sha256}.json`, broken)).toBeUndefined()
  expect(read(`manifests/1.${createHash('sha256').digest('hex')}.json`, broken)).toEqual({ payload: '*' })
})

const json = JSON.stringify(BUNDLE)
const base64 = Buffer.from(json).toString('base64')
test.each([
  ['JSON', json],
  ['JSON with white space around', `\n ${json}\n`],
  ['base64', base64],
  ['base64 in lines of 76, as base64(1) writes', base64.replace(/(.{76})/g, '$1\n')],
  ['base64 with white space around', ` \t${base64}\r\n`],
])('is read from %s', (_, given) => {
  expect(parse(given)?.get('status.json')).toEqual(text(JSON.stringify(status)))
})

test.each([
  ['another member', { ...BUNDLE, blobs: [] }],
  ['no status', { manifest, roots }],
  ['no manifest', { status, roots }],
  ['a status that is no document', { ...BUNDLE, status: {} }],
  ['a manifest whose payload is no text', { ...BUNDLE, manifest: { payload: 1 } }],
  ['roots that are no list', { ...BUNDLE, roots: roots[0] }],
  ['a root that is no document', { ...BUNDLE, roots: [null] }],
])('with %s is none', (_, value) => {
  expect(parse(JSON.stringify(value))).toBeUndefined()
})

test.each(['', 'pins', 'null', `{"status":{"payload":""},${json.slice(1)}`, `${base64}*`])('%j is none', (given) => {
  expect(parse(given)).toBeUndefined()
})

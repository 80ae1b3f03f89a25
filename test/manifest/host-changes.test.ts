import { expect, test } from 'vitest'
import { difference } from '../../src/manifest/host-changes.ts'
import { HostTable } from '../../src/manifest/host-table.ts'
import { HostEntry } from '../../src/manifest/schema.ts'
import type { HostInput } from '../../src/publisher/wire.ts'
import { host, pin } from './world.ts'

const table = (...entries: readonly HostInput[]): HostTable => {
  const hosts = new HostTable()
  for (const entry of entries) hosts.add(HostEntry.parse(entry))
  return hosts.seal()
}
const [one, two, three] = ['one', 'two', 'three'].map((seed) => ({ spki: pin(seed) })) as [Pin, Pin, Pin]
type Pin = HostInput['pins'][number]
const usual = host()
const from = '2026-01-01T00:00:00Z'
const groups = { pins: [one, two, three], allOf: [[0, 1], [2]] } as const

test.each<[string, Partial<HostInput>, Partial<HostInput>]>([
  ['loses a pin', {}, { pins: [one], singlePin: true }],
  ['has a pin that begins later', {}, { pins: [one, { ...two, notBefore: from }] }],
  ['has a pin that ends sooner', {}, { pins: [one, { ...two, notAfter: from }] }],
  ['has a pin for one position only', {}, { pins: [one, { ...two, require: 'issuer' }] }],
  ['asks for a match in two groups', { pins: [one, two, three] }, groups],
  ['loses a pin of a group', groups, { pins: [one, three, two], allOf: [[0], [1]] }],
  ['is contained', {}, { contained: true }],
  ['no longer reports alone', { mode: 'report' }, {}],
])('an entry that %s has shrunk; the other way round it has grown', async (_, old, now) => {
  const [before, after] = [table({ ...usual, ...old }), table({ ...usual, ...now })]
  const changed = [usual.host]
  expect(await difference(before, after)).toEqual({ added: [], removed: [], changed, shrunk: changed })
  expect(await difference(after, before)).toEqual({ added: [], removed: [], changed, shrunk: [] })
})

test('an entry that exchanges a pin has shrunk both ways', async () => {
  const [before, after] = [table(usual), table({ ...usual, pins: [one, three] })]
  expect(await difference(before, after)).toMatchObject({ shrunk: [usual.host] })
  expect(await difference(after, before)).toMatchObject({ shrunk: [usual.host] })
})

test('an entry that is gone has shrunk; a new one, the same one, and one with another label have not', async () => {
  const before = table(usual, host('gone.example.com'), host('same.example.com'))
  const labelled = { ...usual, pins: usual.pins.map((each) => ({ ...each, label: 'next' })) }
  const after = table(labelled, host('same.example.com'), host('new.example.com'))
  expect(await difference(before, after)).toEqual({
    added: ['new.example.com'],
    removed: ['gone.example.com'],
    changed: [usual.host],
    shrunk: ['gone.example.com'],
  })
})

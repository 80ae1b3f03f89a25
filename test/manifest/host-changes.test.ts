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
  ['is contained, with other pins', {}, { contained: true, pins: [one, three] }],
  ['is contained, although it would only report', {}, { contained: true, mode: 'report' }],
  ['no longer reports alone', { mode: 'report' }, {}],
  ['no longer reports alone, with other pins', { mode: 'report', pins: [one, three] }, {}],
])('an entry that %s has shrunk; the other way round it has grown', async (_, old, now) => {
  const [before, after] = [table({ ...usual, ...old }), table({ ...usual, ...now })]
  const changed = [usual.host]
  expect(await difference(before, after)).toEqual({ added: [], removed: [], changed, shrunk: changed })
  expect(await difference(after, before)).toEqual({ added: [], removed: [], changed, shrunk: [] })
})

test.each<[string, Partial<HostInput>, Partial<HostInput>]>([
  ['reports alone, before and after', { mode: 'report' }, { mode: 'report', pins: [one, three] }],
  ['is contained, before and after', { contained: true }, { contained: true, pins: [one, three] }],
  [
    'keeps a pin for its position',
    { pins: [one, { ...two, require: 'issuer' }] },
    { pins: [one, { ...two, require: 'issuer', label: 'next' }] },
  ],
  ['keeps its groups', groups, { ...groups, reason: 'x' }],
])('an entry that %s has changed, and has not shrunk', async (_, old, now) => {
  const [before, after] = [table({ ...usual, ...old }), table({ ...usual, ...now })]
  const changed = [usual.host]
  expect(await difference(before, after)).toEqual({ added: [], removed: [], changed, shrunk: [] })
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

test('comparing lets others have their turn: every 5,000 entries, sooner where entries differ and are read', async () => {
  const many = (count: number, label: string): HostTable => {
    const hosts = new HostTable()
    const pins = HostEntry.parse(usual).pins.map((each) => ({ ...each, label }))
    for (let at = 0; at < count; at += 1) hosts.add({ host: `h${at}.example.com`, mode: 'enforce', pins })
    return hosts.seal()
  }
  const turnsFor = async (before: HostTable, after: HostTable): Promise<number> => {
    let [turns, comparing] = [0, true]
    const turn = (): void => {
      turns += 1
      if (comparing) setImmediate(turn)
    }
    setImmediate(turn)
    await difference(before, after)
    comparing = false
    return turns
  }
  const same = (count: number) => turnsFor(many(count, 'a'), many(count, 'a'))
  const changed = (count: number) => turnsFor(many(count, 'a'), many(count, 'b'))
  expect([await same(5_000), await same(5_001), await same(10_002)]).toEqual([0, 1, 2])
  expect([await changed(239), await changed(240), await changed(480)]).toEqual([0, 1, 2])
})

import { describe, expect, test } from 'vitest'
import { HostTable, hostKey, NO_HOSTS } from '../../src/manifest/host-table.ts'
import type { HostEntry } from '../../src/manifest/schema.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

const spki = `sha256/${'A'.repeat(43)}=` as const
const notAfter = toUnixMs(Date.UTC(2030, 0, 1))
const entry = (host: string, more: Partial<HostEntry> = {}): HostEntry => ({
  host,
  mode: 'enforce',
  pins: [{ spki }],
  ...more,
})
const tableOf = (...entries: readonly HostEntry[]): HostTable => {
  const table = new HostTable()
  for (const one of entries) table.add(one)
  return table
}

test('names the entries of which something ends, and of many the first thousand', () => {
  const table = tableOf(
    entry('never.example.com'),
    entry('pin.example.com', { pins: [{ spki }, { spki, notAfter }] }),
    entry('old.example.com', { port: 8443, profile: 'legacy', sunset: notAfter }),
  )
  expect(table.seal().dated).toEqual(['pin.example.com', 'old.example.com:8443'])
  const many = new HostTable()
  for (let count = 0; count < 1_500; count += 1) many.add(entry(`h${count}.example.com`, { sunset: notAfter }))
  expect([many.size, many.dated.length]).toEqual([1_500, 1_000])
})

test.each([
  ['api.example.com', undefined, 'api.example.com'],
  ['*.example.com', 8443, '*.example.com:8443'],
  ['10.0.0.1', 8443, '10.0.0.1:8443'],
  ['::1', undefined, '::1'],
  ['::1', 8443, '[::1]:8443'],
])('%s and port %s are one key: %s', (host, port, key) => {
  expect(hostKey(host, port)).toBe(key)
})

const names = Array.from({ length: 200 }, (_, at) => `h${at}.example.com`)
const entries = names.map((host, at) => entry(host, at % 2 === 0 ? {} : { port: at }))
const keys = entries.map(({ host, port }) => hostKey(host, port))

describe.each([
  ['as it grows', 0],
  ['when its size is known before', 64 * 1024],
])('a table, %s', (_, expectedBytes) => {
  const filled = (): HostTable => {
    const table = new HostTable(expectedBytes)
    expect(entries.map((one) => table.add(one))).toEqual(entries.map(() => true))
    return table
  }

  test('finds every entry as it was added, and no other', () => {
    const table = filled()
    expect(table.size).toBe(200)
    expect(keys.map((key) => table.get(key))).toEqual(entries)
    expect(keys.every((key) => table.has(key))).toBe(true)
    for (const other of ['h1.example.com', 'h0.example.co', 'h0.example.com:', 'x', '']) {
      expect([table.has(other), table.get(other)], other).toEqual([false, undefined])
    }
  })

  test('walks its keys and entries in the order they were added', () => {
    const table = filled()
    expect([...table.keys()]).toEqual(keys)
    expect([...table]).toEqual(entries)
  })

  test('keeps the first entry for a host and port', () => {
    const table = filled()
    expect(table.add(entry('h0.example.com', { mode: 'report' }))).toBe(false)
    expect(table.get('h0.example.com')?.mode).toBe('enforce')
    expect(table.size).toBe(200)
  })

  test('is the same when it is sealed', () => {
    const table = filled()
    expect(table.seal()).toBe(table)
    expect([...table]).toEqual(entries)
    expect(table.get('h199.example.com:199')?.port).toBe(199)
  })
})

test('a key with which another begins is not that one, wherever the two fall', () => {
  for (let port = 1; port <= 200; port += 1) {
    const table = tableOf(entry('a.example.com', { port }))
    expect(table.has('a.example.com'), `${port}`).toBe(false)
  }
})

test('an entry may be longer than all before it, and hold any text', () => {
  const label = `\0\n"é😀${'x'.repeat(100_000)}`
  const long = entry('long.example.com', { pins: [{ spki, label }] })
  const table = tableOf(entry('a.example.com'), long, entry('b.example.com'))
  expect(table.get('long.example.com')).toEqual(long)
  expect([...table.keys()]).toEqual(['a.example.com', 'long.example.com', 'b.example.com'])
  expect([...table.seal()].length).toBe(3)
})

test('knows whether an entry is for a share of the clients', () => {
  const ramp = entry('ramp.example.com', { rampPercent: 5 })
  expect(tableOf(entry('a.example.com')).hasRamps).toBe(false)
  expect(tableOf(entry('a.example.com'), ramp, entry('b.example.com')).hasRamps).toBe(true)
})

test('two tables hold the same entry if both hold it, and in every member', () => {
  const table = tableOf(entry('a.example.com'), entry('b.example.com'), entry('c.example.com'))
  const other = tableOf(entry('x.example.com'), entry('b.example.com', { mode: 'report' }), entry('a.example.com'))
  const same = (key: string) => [table.hasSame(key, other), other.hasSame(key, table)]
  expect(same('a.example.com')).toEqual([true, true])
  expect(same('b.example.com')).toEqual([false, false])
  expect(same('c.example.com')).toEqual([false, false])
  expect(same('y.example.com')).toEqual([false, false])
})

test('a table of nothing holds nothing', () => {
  expect([NO_HOSTS.size, [...NO_HOSTS], [...NO_HOSTS.keys()], NO_HOSTS.dated]).toEqual([0, [], [], []])
  expect([NO_HOSTS.has(''), NO_HOSTS.get('a.example.com'), NO_HOSTS.hasRamps]).toEqual([false, undefined, false])
  expect(NO_HOSTS.hasSame('a.example.com', NO_HOSTS)).toBe(false)
})

test('hosts of one letter are found, too, when the table has grown', () => {
  const letters = [...'abcdefghijklmnopqrstuvwxyz']
  const table = tableOf(...letters.map((host) => entry(host)))
  expect(letters.map((host) => table.get(host)?.host)).toEqual(letters)
})

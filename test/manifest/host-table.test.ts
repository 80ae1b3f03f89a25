import { expect, test } from 'vitest'
import { HostTable } from '../../src/manifest/host-table.ts'
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

test('names the entries of which something ends, and of many the first thousand', () => {
  const table = new HostTable()
  table.add(entry('never.example.com'))
  table.add(entry('pin.example.com', { pins: [{ spki }, { spki, notAfter }] }))
  table.add(entry('old.example.com', { port: 8443, profile: 'legacy', sunset: notAfter }))
  expect(table.seal().dated).toEqual(['pin.example.com', 'old.example.com:8443'])
  const many = new HostTable()
  for (let count = 0; count < 1_500; count += 1) many.add(entry(`h${count}.example.com`, { sunset: notAfter }))
  expect([many.size, many.dated.length]).toEqual([1_500, 1_000])
})

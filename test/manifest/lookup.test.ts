import { expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { HostTable } from '../../src/manifest/host-table.ts'
import { createLookup } from '../../src/manifest/lookup.ts'
import type { HostEntry } from '../../src/manifest/schema.ts'

const entry = (host: string, port?: number): HostEntry => ({
  host,
  mode: 'enforce',
  pins: [],
  ...(port === undefined ? {} : { port }),
})

const hosts = new HostTable()
for (const one of [
  entry('api.example.com'),
  entry('api.example.com', 8443),
  entry('*.example.com'),
  entry('**.example.com', 9443),
  entry('**.deep.example.com'),
  entry('10.0.0.1'),
])
  hosts.add(one)
const lookup = createLookup(hosts.seal())

test.each([
  ['api.example.com', 443, 'api.example.com'],
  ['api.example.com', 8443, 'api.example.com:8443'],
  ['api.example.com', 9443, 'api.example.com'],
  ['www.example.com', 443, '*.example.com'],
  ['www.example.com', 9443, '*.example.com'],
  ['a.b.example.com', 9443, '**.example.com:9443'],
  ['a.b.example.com', 443, undefined],
  ['example.com', 443, undefined],
  ['example.com', 9443, '**.example.com:9443'],
  ['deep.example.com', 443, '*.example.com'],
  ['x.deep.example.com', 443, '**.deep.example.com'],
  ['10.0.0.1', 443, '10.0.0.1'],
  ['10.0.0.2', 443, undefined],
])('%s on port %i is served by %s', (name, port, expected) => {
  const host = canonicalHost(name)
  if (host === undefined) throw new Error(`${name} is no host`)
  const found = lookup(host, port)
  expect(found?.port === undefined ? found?.host : `${found.host}:${found.port}`).toBe(expected)
})

import { createHash } from 'node:crypto'
import { extension, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import type { HandshakeEvent } from '../../src/events/handshake.ts'
import { createAnomalies } from '../../src/monitor/anomalies.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { ca, DAY_MS, kindsOf, lasting, NOW, shown } from './handshakes.ts'

const EMBEDDED_SCTS = '1.3.6.1.4.1.11129.2.4.2'
const sha256 = ({ der }: { readonly der: Uint8Array }): string => createHash('sha256').update(der).digest('hex')
const resumed = { connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: true } } as const
const logged = (logs: readonly string[]): Partial<HandshakeEvent> => ({
  transparency: { status: logs.length > 0 ? 'compliant' : 'noncompliant', logs, findings: [] },
})

test('the first showing is learned, and so is each further one of the same', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  expect([...judge(shown(certificate)), ...judge(shown(certificate)), ...judge(shown(certificate, resumed))]).toEqual(
    [],
  )
})

test('another certificate of another CA is told once in each respect, with before and after', () => {
  const judge = createAnomalies()
  const other = testCa({ name: 'Other', now: NOW })
  const before = lasting(90)
  const after = other.issue({ names: ['api.example.com'], notBefore: NOW - DAY_MS, notAfter: NOW + 89 * DAY_MS })
  judge(shown(before))
  const policy = { generation: 'two', source: 'manifest', mode: 'enforce', manifestVersion: 7 } as const
  const common = { type: 'tls.anomaly', host: 'api.example.com', manifestVersion: 7 }
  expect(judge(shown(after, { policy }))).toEqual([
    { ...common, kind: 'certificate-changed', before: sha256(before), after: sha256(after) },
    { ...common, kind: 'issuer-changed', before: 'CN=Test Intermediate', after: 'CN=Other Intermediate' },
    { ...common, kind: 'key-changed', before: before.pin, after: after.pin },
    { ...common, kind: 'anchor-changed', before: ca.root.pin, after: other.root.pin },
  ])
  expect([...judge(shown(after)), ...judge(shown(before)), ...judge(shown(after))]).toEqual([])
})

test('of two CAs that take turns neither is told of again, whichever renewed last', () => {
  const judge = createAnomalies()
  const other = testCa({ name: 'Other', now: NOW })
  const [one, two] = [lasting(90), other.issue({ names: ['api.example.com'], now: NOW })]
  for (const certificate of [one, two]) judge(shown(certificate))
  const renewed = lasting(90, { key: two.key })
  expect(kindsOf(judge(shown(renewed)))).toEqual(['certificate-changed'])
})

test('a renewal that keeps its key and issuer is a changed certificate and nothing else', () => {
  const judge = createAnomalies()
  const before = lasting(90)
  const at = toUnixMs(NOW + 60 * DAY_MS)
  judge(shown(before))
  const after = lasting(90, { key: before.key, notBefore: at, notAfter: at + 90 * DAY_MS })
  expect(kindsOf(judge(shown(after, { at })))).toEqual(['certificate-changed'])
})

test.each([
  [40, ['certificate-changed', 'renewed-early']],
  [46, ['certificate-changed']],
])('after %i of 90 days a renewal is %j', (days, kinds) => {
  const judge = createAnomalies()
  const before = lasting(90)
  const at = toUnixMs(NOW + (days - 1) * DAY_MS)
  judge(shown(before))
  const after = lasting(90, { key: before.key, notBefore: at, notAfter: at + 90 * DAY_MS })
  expect(kindsOf(judge(shown(after, { at })))).toEqual(kinds)
})

test('of two servers one renews in time while the other is fresh: not early', () => {
  const judge = createAnomalies()
  const old = lasting(90)
  const at = toUnixMs(NOW + 60 * DAY_MS)
  const fresh = lasting(90, { key: old.key, notBefore: at - DAY_MS, notAfter: at + 89 * DAY_MS })
  judge(shown(old))
  judge(shown(fresh, { at }))
  const renewed = lasting(90, { key: old.key, notBefore: at, notAfter: at + 90 * DAY_MS })
  expect(kindsOf(judge(shown(renewed, { at })))).toEqual(['certificate-changed'])
})

test.each([
  [398, 200, []],
  [200, 100, []],
  [90, 45, []],
  [90, 47, []],
  [398, 90, ['life-shorter']],
  [90, 6, ['life-shorter']],
  [90, 398, ['life-longer']],
  [6, 90, ['life-longer']],
])('a life of %i days that becomes one of %i is %j', (first, second, kinds) => {
  const judge = createAnomalies()
  const before = lasting(first)
  judge(shown(before))
  const events = judge(shown(lasting(second, { key: before.key })))
  expect(kindsOf(events)).toEqual(['certificate-changed', ...kinds])
  if (kinds.length > 0) expect(events[1]).toMatchObject({ before: String(first), after: String(second) })
})

test('the last second, which belongs to a life, makes no life twice as long', () => {
  const judge = createAnomalies()
  const second = (days: number) => ({ notAfter: NOW + (days - 1) * DAY_MS - 1_000 })
  const before = lasting(90, second(90))
  judge(shown(before))
  expect(kindsOf(judge(shown(lasting(45, { key: before.key, ...second(45) }))))).toEqual(['certificate-changed'])
})

test('an anchor that was not seen for long is told of again: eight are remembered', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  const under = (spki: string) =>
    kindsOf(judge(shown(certificate, { chain: [{ position: 'anchor', spki, subject: 'CN=Root', notAfter: 0 }] })))
  expect(under('sha256/0')).toEqual([])
  for (let count = 1; count < 9; count += 1) expect(under(`sha256/${count}`)).toEqual(['anchor-changed'])
  expect([under('sha256/8'), under('sha256/1'), under('sha256/0')]).toEqual([[], [], ['anchor-changed']])
})

test('SCTs that were there and are not are told, by the extension and by what the logs say', () => {
  const scts = [{ oid: EMBEDDED_SCTS, critical: false, value: extension.subjectKeyIdentifier(new Uint8Array(4)).value }]
  const before = lasting(90, { extensions: scts })
  const without = lasting(90, { key: before.key })
  const byExtension = createAnomalies()
  byExtension(shown(before))
  expect(kindsOf(byExtension(shown(without)))).toEqual(['certificate-changed', 'sct-missing'])
  const again = lasting(90, { key: before.key })
  expect(kindsOf(byExtension(shown(again)))).toEqual(['certificate-changed']) // it was not there before either

  const byLogs = createAnomalies()
  byLogs(shown(before, logged(['Log one', 'Log two'])))
  const forged = lasting(90, { key: before.key, extensions: scts })
  expect(kindsOf(byLogs(shown(forged, logged([]))))).toEqual(['certificate-changed', 'sct-missing'])
  expect(kindsOf(byLogs(shown(again, logged(['Log one']))))).toEqual(['certificate-changed'])
})

test('a key that another host shows too is told, with the host that showed it first', () => {
  const judge = createAnomalies()
  const first = ca.issue({ names: ['api.example.com', 'www.example.com'] })
  judge(shown(first))
  const other = ca.issue({ names: ['shop.example.net'], key: first.key })
  const at = { host: 'shop.example.net:8443' }
  expect(judge(shown(other, at))).toMatchObject([{ kind: 'key-shared', before: 'api.example.com', after: first.pin }])
  expect(judge(shown(other, at))).toEqual([])
})

test.each([
  ['another port', 'api.example.com:8443', {}],
  ['another name of the same certificate', 'www.example.com', {}],
  [
    'a name that the other certificate has as well',
    'shop.example.com',
    { names: ['shop.example.com', 'api.example.com'] },
  ],
])('a key is not shared with %s', (_, host, options) => {
  const judge = createAnomalies()
  const first = ca.issue({ names: ['api.example.com', 'www.example.com'] })
  judge(shown(first))
  expect(judge(shown('names' in options ? ca.issue({ ...options, key: first.key }) : first, { host }))).toEqual([])
})

test('a certificate that names no host, as those of SPIFFE do, is one certificate all the same', () => {
  const judge = createAnomalies()
  const workload = ca.issue({ san: [{ uri: 'spiffe://example.com/db' }] })
  judge(shown(workload, { host: 'db-1.internal' }))
  expect(judge(shown(workload, { host: 'db-2.internal' }))).toEqual([])
  const again = ca.issue({ san: [{ uri: 'spiffe://example.com/db' }], key: workload.key })
  expect(judge(shown(again, { host: 'db-1.internal:5433' }))).toEqual([]) // the same host
  expect(kindsOf(judge(shown(again, { host: 'db-3.internal' })))).toEqual(['key-shared'])
})

test('a wildcard names what it covers', () => {
  const judge = createAnomalies()
  const wildcard = ca.issue({ names: ['*.example.com'] })
  judge(shown(wildcard))
  const own = ca.issue({ names: ['www.example.com'], key: wildcard.key })
  expect(judge(shown(own, { host: 'www.example.com' }))).toEqual([])
})

test('who was refused, who failed and who resumed taught nothing', () => {
  const judge = createAnomalies()
  const [certificate, other] = [lasting(90), lasting(90)]
  judge(shown(certificate))
  for (const outcome of ['refused', 'failed'] as const) expect(judge(shown(other, { outcome }))).toEqual([])
  expect(judge(shown(other, resumed))).toEqual([])
  expect(judge(shown(other, { presented: [] }))).toEqual([])
  expect(judge(shown(other, { presented: [Uint8Array.of(48, 0)], outcome: 'reported' }))).toEqual([])
  expect(kindsOf(judge(shown(other, { outcome: 'reported' })))).toEqual(['certificate-changed', 'key-changed'])
})

test('a host that shows another certificate every time costs no more memory, and one that takes turns is told of once', () => {
  const judge = createAnomalies()
  const many = Array.from({ length: 20 }, () => lasting(90))
  const few = many.slice(0, 4)
  for (const one of few) judge(shown(one))
  expect(few.flatMap((one) => judge(shown(one)))).toEqual([])
  for (const one of many) judge(shown(one))
  expect(kindsOf(judge(shown(few[0] ?? lasting(90))))).toEqual(['certificate-changed', 'key-changed']) // forgotten since
})

const from = (address: string, addresses: readonly string[] = [address]): Partial<HandshakeEvent> => ({
  address,
  addresses,
})

test('a host that moves to another network after it stayed in one is told of once', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  for (let count = 0; count < 6; count += 1) {
    expect([...judge(shown(certificate, from('192.0.2.1'))), ...judge(shown(certificate, from('192.0.77.9')))]).toEqual(
      [],
    )
  }
  expect(judge(shown(certificate, { ...from('198.51.100.7'), ...resumed }))).toMatchObject([
    { kind: 'address-moved', before: '192.0.0.0/16', after: '198.51.0.0/16' },
  ])
  expect([...judge(shown(certificate, from('198.51.100.8'))), ...judge(shown(certificate, from('192.0.2.1')))]).toEqual(
    [],
  )
})

test('networks of IPv6 are blocks of 32 bits, and IPv4 inside of IPv6 is IPv4', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  for (let count = 0; count < 11; count += 1) judge(shown(certificate, from(`2001:db8:${count}::1`)))
  expect(judge(shown(certificate, from('2001:db9::1')))).toMatchObject([
    { kind: 'address-moved', before: '2001:db8::/32', after: '2001:db9::/32' },
  ])
  for (let count = 0; count < 11; count += 1) judge(shown(certificate, from('2001:db8::1')))
  expect(judge(shown(certificate, from('::ffff:192.0.2.1')))).toMatchObject([{ after: '192.0.0.0/16' }])
})

test('a place of one’s own takes the place of blocks', () => {
  const judge = createAnomalies({ addressOf: (address) => (address.startsWith('192.') ? 'AS64500' : 'AS64511') })
  const certificate = lasting(90)
  for (let count = 0; count < 12; count += 1) expect(judge(shown(certificate, from(`192.${count}.2.1`)))).toEqual([])
  expect(judge(shown(certificate, from('203.0.113.1')))).toMatchObject([{ before: 'AS64500', after: 'AS64511' }])
})

test('a place of one’s own that fails costs no anomaly of the certificate, and its error is not lost', async () => {
  const uncaught = new Promise<unknown>((resolve) => {
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const listener of before) process.on('uncaughtException', listener)
      resolve(error)
    })
  })
  const bug = new Error('a bug of the application')
  const addressOf = (address: string): string => {
    if (address === '192.0.2.9') throw bug
    return 'AS64500'
  }
  const judge = createAnomalies({ addressOf })
  judge(shown(lasting(90)))
  expect(kindsOf(judge(shown(lasting(90), from('192.0.2.9'))))).toContain('certificate-changed')
  expect(await uncaught).toBe(bug)
})

test('a place that is promised is none, and what becomes of the promise ends nothing', async () => {
  const unhandled: unknown[] = []
  const before = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (reason) => void unhandled.push(reason))
  onTestFinished(() => {
    process.removeAllListeners('unhandledRejection')
    for (const listener of before) process.on('unhandledRejection', listener)
  })
  const addressOf = async (): Promise<string> => {
    throw new Error('a database that is away')
  }
  const judge = createAnomalies({ addressOf: addressOf as unknown as () => string })
  for (let count = 0; count < 12; count += 1) {
    expect(judge(shown(lasting(90), from(`10.${count}.0.1`))).filter(({ kind }) => kind === 'address-moved')).toEqual(
      [],
    )
  }
  await new Promise((resolve) => setImmediate(resolve))
  expect(unhandled).toEqual([])
})

test('a host with many addresses is learned first, and one of too many networks is not watched', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  for (let round = 0; round < 3; round += 1) {
    for (let net = 0; net < 8; net += 1) expect(judge(shown(certificate, from(`10.${net}.0.1`)))).toEqual([])
  }
  expect(kindsOf(judge(shown(certificate, from('10.99.0.1'))))).toEqual(['address-moved'])
  for (let net = 100; net < 130; net += 1) judge(shown(certificate, from(`10.${net}.0.1`)))
  for (let count = 0; count < 20; count += 1) judge(shown(certificate, from('10.1.0.1')))
  expect(judge(shown(certificate, from('172.16.0.1')))).toEqual([])
})

test('answers of the resolver are learned at first; announced later, they do not prepare a move', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  const both = ['192.0.2.1', '198.51.100.1']
  for (let count = 0; count < 11; count += 1) judge(shown(certificate, from('192.0.2.1', both)))
  expect(judge(shown(certificate, from('198.51.100.1', both)))).toEqual([])
  for (let count = 0; count < 12; count += 1) {
    judge(shown(certificate, from(both[count % 2] ?? '', [...both, '203.0.113.1'])))
  }
  expect(kindsOf(judge(shown(certificate, from('203.0.113.1'))))).toEqual(['address-moved'])
})

test('a proxy’s address is nobody’s home, and a Unix socket has none', () => {
  const judge = createAnomalies()
  const certificate = lasting(90)
  for (let count = 0; count < 12; count += 1) judge(shown(certificate, from('192.0.2.1', [])))
  expect(judge(shown(certificate, { ...from('203.0.113.1', []), proxy: 'http://proxy.example:3128' }))).toEqual([])
  expect(judge(shown(certificate, from('/run/app.sock', [])))).toEqual([])
  const { address: _, ...nowhere } = shown(certificate)
  expect(judge(nowhere)).toEqual([])
})

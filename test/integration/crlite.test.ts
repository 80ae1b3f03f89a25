import type { ClientEvent, ClientOptions } from 'pinfetch'
import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { resolveOptions } from '../../src/client/options.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { refusalOf, testClient } from '../support/client.ts'
import { buildCrlite } from '../support/crlite.ts'
import { expectOnlyClientHello, startScene } from '../support/scene.ts'
import { logged, sct, testLog } from '../support/transparency.ts'

const NOW = Date.now()
const HOUR = 3_600_000
const ca = testCa({ now: NOW })
const log = testLog()
const certificate = logged(ca, { names: ['localhost'] }, (entry) => [sct(log, entry, { timestamp: NOW - HOUR })])

test('a certificate that a filter lists is refused before anything is sent; filters that change count at once', async () => {
  const scene = await startScene(certificate)
  let filters = [filterWith('revoked')]
  const client = clientWith({ crliteFilters: () => filters })
  await refusalOf(client.fetch(scene.url('localhost')), 'ERR_TRUST_CERT_REVOKED')
  await expectOnlyClientHello(scene)
  filters = [filterWith('good')]
  expect((await client.fetch(scene.url('localhost'))).status).toBe(200)
  expect(client.checked.at(-1)).toMatchObject({ status: 'good', source: 'crlite' })
})

test('a revocation that arrives with newer filters ends what was accepted before, for the next connection', async () => {
  const scene = await startScene(certificate)
  let filters = [filterWith('good')]
  const client = clientWith({ crliteFilters: () => filters })
  const connect = async () => (await client.connect(scene.url('localhost'))).destroy()
  await connect()
  await connect()
  filters = [filterWith('good'), filterWith('revoked')]
  await refusalOf(connect(), 'ERR_TRUST_CERT_REVOKED')
})

test('without the source nobody looks into filters', async () => {
  const scene = await startScene(certificate)
  const client = clientWith({ revocation: 'soft-fail', crliteFilters: () => [filterWith('revoked')] })
  expect((await client.fetch(scene.url('localhost'))).status).toBe(200)
})

test.each<[string, () => readonly Uint8Array[]]>([
  ['throws', fail],
  ['answers no list', () => 'filters' as never],
  ['answers a list of something else', () => ['filter' as never]],
])('a function that %s is no good news: soft-fail says why, hard-fail refuses', async (_, crliteFilters) => {
  const scene = await startScene(certificate)
  const soft = clientWith({ crliteFilters })
  expect((await soft.fetch(scene.url('localhost'))).status).toBe(200)
  expect(soft.checked.at(-1)).toMatchObject({ causes: [{ source: 'crlite', code: 'ERR_TRUST_CRLITE_NONE' }] })
  const hard = clientWith({ crliteFilters, revocation: { sources: ['crlite'], mode: 'hard-fail' } })
  await refusalOf(hard.fetch(scene.url('localhost')), 'ERR_TRUST_REVOCATION_UNDETERMINED')
})

test('the source without filters is a mistake: ERR_CONFIG_INVALID', () => {
  const options = { pins: { localhost: [ca.issuer.pin] }, revocation: { sources: ['crlite'] } } as const
  const message = expect.stringMatching(/^crliteFilters: /)
  expect(() => resolveOptions(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message }))
  const ofHost = { pins: options.pins, hostRevocation: { localhost: options.revocation } }
  expect(() => resolveOptions(ofHost)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message }))
  expect(resolveOptions({ ...options, crliteFilters: () => [] }).crliteFilters?.()).toEqual([])
})

function fail(): never {
  throw new Error('the disk is gone')
}

function clientWith(options: Partial<ClientOptions>) {
  const client = testClient({
    pins: { localhost: [ca.issuer.pin] },
    anchors: ca.anchorPem,
    revocation: { sources: ['crlite'] },
    ...options,
  })
  const checked: ClientEvent[] = []
  client.on('revocation.checked', (event) => void checked.push(event))
  return { fetch: client.fetch, connect: client.connect, checked }
}

function filterWith(status: 'good' | 'revoked'): Uint8Array {
  const { serialNumber } = parseCertificate(certificate.der)
  const issuer = Buffer.from(parseCertificate(ca.issuer.der).spkiSha256, 'hex')
  const others = Array.from({ length: 30 }, (_, index) => Uint8Array.of(1, index))
  const [revoked, good] = [[Uint8Array.of(2, 1)], others]
  const block = {
    issuer,
    revoked: status === 'revoked' ? [...revoked, serialNumber] : revoked,
    others: status === 'revoked' ? good : [...good, serialNumber],
  }
  const logId = Buffer.from(log.listed.log_id, 'base64')
  return buildCrlite({ coverage: [{ logId, low: 0n, high: BigInt(NOW) }], blocks: [block] }).bytes
}

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientEvent } from 'pinfetch'
import { allowTls12 } from 'pinfetch/dangerous'
import { startTlsServer, type TestCertificate, type TestConnection, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { testClient, until } from '../support/client.ts'
import { isFull } from '../support/tier.ts'

const HOST = 'api.example.com'
const ca = testCa()
const server = ca.issue({ names: [HOST] })
const clients = testCa({ name: 'Clients', intermediates: 0 })
const RELOADS = isFull ? 100 : 20
const EVERY_MS = 5 // 200 requests a second
const AT_ONCE = 64 // a machine that does not keep up gets fewer, and no line that only grows
vi.setConfig({ testTimeout: isFull ? 600_000 : 120_000 }) // nor does such a machine make 100 reloads in a minute

let made = 0
const issue = (): TestCertificate => {
  made += 1
  return clients.issue({
    subject: 'client',
    extendedKeyUsage: ['clientAuth'],
    serial: Uint8Array.of(1, made >> 8, made & 0xff),
  })
}

/** A volume as Kubernetes mounts a secret: links through `..data`, which is swapped. */
function volume(first: TestCertificate) {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-volume-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const at = (name: string): string => join(folder, name)
  let turn = 0
  const swap = (next: TestCertificate): void => {
    turn += 1
    const name = `..2026_${turn}`
    mkdirSync(at(name))
    writeFileSync(at(`${name}/tls.crt`), next.pem)
    writeFileSync(at(`${name}/tls.key`), next.keyPem, { mode: 0o600 })
    symlinkSync(name, at('..data_tmp'))
    renameSync(at('..data_tmp'), at('..data'))
  }
  swap(first)
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, at(name))
  return { certificate: { certFile: at('tls.crt'), keyFile: at('tls.key') }, swap }
}

test(`${RELOADS} certificates one after the other under load: every new one is seen, and no request fails`, async () => {
  let current = issue()
  const { certificate, swap } = volume(current)
  const peer = await until(startTlsServer({ identity: server, requestCert: true }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, certificate })
  const events: ClientEvent[] = []
  for (const type of ['certificate.loaded', 'certificate.rejected'] as const)
    client.on(type, (event) => events.push(event))

  const failures: unknown[] = []
  const calls = new Set<Promise<void>>()
  let answered = 0
  const call = async (): Promise<void> => {
    try {
      await (await client.fetch(`https://${HOST}:${peer.port}/`)).text()
      answered += 1
    } catch (error) {
      failures.push(error)
    }
  }
  const startedAt = performance.now()
  let begun = 0
  const load = setInterval(() => {
    for (; begun < (performance.now() - startedAt) / EVERY_MS; begun += 1) {
      if (calls.size >= AT_ONCE) continue
      const running = call().finally(() => calls.delete(running))
      calls.add(running)
    }
  }, EVERY_MS)
  const newest = (): Buffer => Buffer.from(peer.connections.at(-1)?.clientCertificates[0] ?? [])
  const slowest: number[] = []
  for (let reload = 0; reload < RELOADS; reload += 1) {
    const before = answered
    await expect.poll(() => answered > before + 5, { timeout: 30_000 }).toBe(true)
    current = issue()
    const since = performance.now()
    swap(current)
    const expected = Buffer.from(current.der)
    await expect.poll(() => newest().equals(expected), { timeout: 30_000, interval: 5 }).toBe(true)
    slowest.push(performance.now() - since)
  }
  clearInterval(load)
  const perSecond = Math.round((answered / (performance.now() - startedAt)) * 1_000)
  await Promise.all(calls)
  expect(failures).toEqual([])
  const shown = new Set(peer.connections.map(({ clientCertificates: [der] }) => Buffer.from(der ?? []).toString('hex')))
  expect(shown.size).toBe(RELOADS + 1)
  expect(events.filter(({ type }) => type === 'certificate.rejected')).toEqual([])
  expect(client.health().certificate?.serial).toBe(Buffer.from(current.serial).toString('hex'))
  const isOld = ({ clientCertificates: [der] }: TestConnection): boolean => !Buffer.from(der ?? []).equals(current.der)
  const open = () => peer.connections.filter((one) => isOld(one) && !one.socket.destroyed)
  await expect.poll(open, { timeout: 30_000 }).toEqual([])
  process.stdout.write(
    `client certificate: ${RELOADS} reloads, ${answered} requests at ${perSecond} a second, 0 failures, slowest ${Math.round(Math.max(...slowest))} ms until the server saw it\n`,
  )
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: a request in flight finishes on the old connection; the next shows the new certificate, in a full handshake',
  async (maxVersion) => {
    const [first, second] = [issue(), issue()]
    const { certificate, swap } = volume(first)
    const held: (() => void)[] = []
    const peer = await until(
      startTlsServer({
        identity: server,
        requestCert: true,
        maxVersion,
        handler: ({ path }, response) => {
          response.writeHead(200).write('begun ')
          if (path === '/held') held.push(() => response.end('finished'))
          else response.end('finished')
        },
      }),
    )
    const url = `https://${HOST}:${peer.port}`
    const tls12Hosts = [allowTls12(HOST, { reason: 'both versions are tested' })]
    const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: ca.anchorPem, certificate, tls12Hosts })
    const loaded = new Promise<void>((resolve) => {
      client.on('certificate.loaded', ({ serial }) => {
        if (serial === Buffer.from(second.serial).toString('hex')) resolve()
      })
    })
    const inFlight = await client.fetch(`${url}/held`)
    const text = inFlight.text()
    for (let round = 0; round < 3; round += 1) {
      await (await client.fetch(`${url}/`)).text() // there are tickets to resume with
    }
    swap(second)
    await loaded
    expect(await (await client.fetch(`${url}/`)).text()).toBe('begun finished')
    const newest = peer.connections.at(-1)
    expect(newest?.resumed).toBe(false)
    expect(newest?.clientCertificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(second.der)])
    expect(held).toHaveLength(1)
    for (const finish of held) finish()
    expect(await text).toBe('begun finished')
    expect(peer.connections[0]?.clientCertificates.map((der) => Buffer.from(der))).toEqual([Buffer.from(first.der)])
    await expect.poll(() => peer.connections[0]?.socket.destroyed, { timeout: 30_000 }).toBe(true)
  },
)

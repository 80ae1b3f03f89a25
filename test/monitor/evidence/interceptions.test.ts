import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Client, ClientOptions } from 'pinfetch'
import { allowUnpinned } from 'pinfetch/dangerous'
import {
  crl,
  extension,
  ocspResponse,
  startInterceptor,
  startTlsServer,
  type TestCertificate,
  testCa,
} from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import type { HandshakeEvent } from '../../../src/events/handshake.ts'
import { captureEvidence, collectEvidence, type EvidenceOptions } from '../../../src/monitor/evidence/collect.ts'
import { readEvidence, verifyEvidence } from '../../../src/monitor/evidence/verify.ts'
import { refusalOf, testClient, until } from '../../support/client.ts'
import { startTestPins } from '../../support/pins.ts'
import { testLog, testLogList } from '../../support/transparency.ts'

const HOST = 'api.example.com'
const CANARY = 'kd83-canary-Zq91mmw2'
const now = Date.now()
const genuine = testCa({ name: 'Genuine', now })
const rogue = testCa({ name: 'Rogue', now })
const server = genuine.issue({ names: [HOST] })
const both = [genuine.anchorPem, rogue.anchorPem]
const laden = { method: 'POST', body: CANARY, headers: { authorization: `Bearer ${CANARY}`, 'x-api-key': CANARY } }

async function watched(options: ClientOptions, more: Partial<EvidenceOptions> = {}) {
  const client = testClient(options)
  const texts: string[] = []
  const evidence = collectEvidence(client, { write: (_, text) => void texts.push(text), ...more })
  const handshakes: HandshakeEvent[] = []
  client.on('tls.handshake', (event) => void handshakes.push(event))
  return { client, texts, evidence, handshakes }
}

const serve = (identity: TestCertificate, staple?: Uint8Array) =>
  until(startTlsServer({ identity, ...(staple === undefined ? {} : { ocspResponse: staple }) }))

async function intercepted(ca = rogue): Promise<number> {
  const target = await serve(server)
  return (await until(startInterceptor({ target, ca }))).port
}

/** One request that is refused leaves one bundle, which by itself gives the same code, and no secret. */
async function expectEvidence(
  { client, texts, evidence }: Awaited<ReturnType<typeof watched>>,
  port: number,
  code: Parameters<typeof refusalOf>[1],
) {
  await refusalOf(client.fetch(`https://${HOST}:${port}/`, laden), code)
  await evidence.close()
  expect(texts).toHaveLength(1)
  const [text = ''] = texts
  const verified = verifyEvidence(Buffer.from(text))
  expect(verified).toMatchObject({
    differences: [],
    again: { outcome: 'refused', code },
    evidence: {
      trigger: 'refused',
      handshake: { host: `${HOST}:${port}`, verdict: 'refused', code, addresses: ['127.0.0.1'], address: '127.0.0.1' },
      judged: { identity: { kind: 'dns', name: HOST } },
    },
  })
  expect(text).not.toContain(CANARY)
  expect(text).not.toMatch(/PRIVATE KEY|authorization|x-api-key/i)
  return readEvidence(Buffer.from(text))
}

test('a key that is not pinned: ERR_TRUST_PIN_MISMATCH', async () => {
  const { evidence } = await expectEvidence(
    await watched({ pins: { [HOST]: [server.pin] }, anchors: both }),
    await intercepted(),
    'ERR_TRUST_PIN_MISMATCH',
  )
  expect(evidence.path.map(({ subject }) => subject)).toEqual([`CN=${HOST}`, 'CN=Rogue Intermediate', 'CN=Rogue Root'])
  expect(evidence.judged?.paths).toMatchObject([{ code: 'ERR_TRUST_PIN_MISMATCH' }])
  expect(evidence.judged?.anchors.certificates).toHaveLength(1) // of the two, the one that the path needs
  expect(evidence.handshake.pins).toEqual({ considered: [server.pin], matched: [] })
})

test('a certificate for another name: ERR_TRUST_NAME_MISMATCH', async () => {
  const other = genuine.issue({ names: ['other.example.com'] })
  const { port } = await serve(other)
  await expectEvidence(await watched({ pins: { [HOST]: [other.pin] }, anchors: both }), port, 'ERR_TRUST_NAME_MISMATCH')
})

test('a certificate that has ended: ERR_TRUST_CERT_EXPIRED', async () => {
  const old = genuine.issue({ names: [HOST], notBefore: now - 20_000_000, notAfter: now - 10_000_000 })
  const { port } = await serve(old)
  await expectEvidence(await watched({ pins: { [HOST]: [old.pin] }, anchors: both }), port, 'ERR_TRUST_CERT_EXPIRED')
})

test('a CA that nobody trusts: ERR_TRUST_UNKNOWN_ISSUER', async () => {
  const { evidence } = await expectEvidence(
    await watched({ pins: { [HOST]: [server.pin] }, anchors: genuine.anchorPem }),
    await intercepted(),
    'ERR_TRUST_UNKNOWN_ISSUER',
  )
  expect(evidence.path).toEqual([])
  expect(evidence.presented.length).toBeGreaterThan(0)
})

test('a staple that says revoked: ERR_TRUST_CERT_REVOKED', async () => {
  const { port } = await serve(server, ocspResponse({ certificate: server, status: 'revoked', reason: 1 }))
  const { evidence } = await expectEvidence(
    await watched({ pins: { [HOST]: [server.pin] }, anchors: both }),
    port,
    'ERR_TRUST_CERT_REVOKED',
  )
  expect(evidence.staple).toBeInstanceOf(Uint8Array)
})

test('a list that says revoked: of the list, the bundle has what it says about the certificate', async () => {
  const lists = createServer((_, response) => response.end(list))
  await new Promise<void>((resolve) => lists.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void lists.close())
  const { port: listPort } = lists.address() as AddressInfo
  const url = `http://localhost:${listPort}/list.crl`
  const listed = genuine.issue({ names: [HOST], extensions: [extension.crlDistributionPoints([url])] })
  const list = crl({ issuer: genuine.issuer, revoked: [listed] })
  const { port } = await serve(listed)
  const stage = await watched({
    pins: { [HOST]: [listed.pin] },
    anchors: both,
    revocation: { mode: 'hard-fail', fetch: 'blocking' },
    revocationNetwork: { allowPrivateHosts: ['localhost'], ports: [listPort] },
  })
  const { evidence } = await expectEvidence(stage, port, 'ERR_TRUST_CERT_REVOKED')
  expect(evidence.judged?.statements).toContainEqual(
    expect.objectContaining({
      kind: 'crl',
      said: expect.arrayContaining([expect.objectContaining({ status: 'revoked' })]),
    }),
  )
  expect(stage.texts[0]).toContain(Buffer.from(listed.der).toString('base64')) // as which the list would stand there
  expect(stage.texts[0]).not.toContain(Buffer.from(list).toString('base64'))
})

async function manifestOf(pins: readonly TestCertificate[], members?: object) {
  const made = await startTestPins({
    ca: genuine,
    name: 'pins.example.com',
    hosts: { [HOST]: pins.map(({ pin }) => pin) },
  })
  if (members !== undefined) await made.repository.publish({ members })
  return made
}

test('a key that the manifest denies: ERR_TRUST_PIN_DENIED', async () => {
  const { manifest, repository } = await manifestOf([server, genuine.root])
  await repository.deny([server.pin], 'stolen')
  const stage = await watched({ manifest, anchors: both })
  await stage.client.ready()
  const { port } = await serve(server)
  const { evidence } = await expectEvidence(stage, port, 'ERR_TRUST_PIN_DENIED')
  expect(evidence.judged?.policy).toMatchObject({ manifestVersion: 1, denies: [{ reason: 'stolen' }] })
})

test('a certificate that the manifest revokes: of thousands, the bundle has the one', async () => {
  const sha256 = (number: number): string => number.toString(16).padStart(64, '0')
  const others = Array.from({ length: 2_000 }, (_, number) => ({ sha256: sha256(number) }))
  const ours = { sha256: createHash('sha256').update(server.der).digest('hex') }
  const { manifest } = await manifestOf([server], { revocations: { certificate: [...others, ours] } })
  const stage = await watched({ manifest, anchors: both })
  await stage.client.ready()
  const { port } = await serve(server)
  const { evidence } = await expectEvidence(stage, port, 'ERR_TRUST_CERT_REVOKED')
  expect(evidence.judged?.policy.revoked?.certificates).toEqual(new Set([ours.sha256]))
  expect(stage.texts[0]?.length).toBeLessThan(20_000)
})

test('a product for interception that is refused: ERR_TRUST_INTERCEPTION', async () => {
  const { manifest } = await manifestOf([server, rogue.issuer], { interception: [rogue.issuer.pin] })
  const stage = await watched({ manifest, anchors: both, interception: 'refuse' })
  await stage.client.ready()
  await expectEvidence(stage, await intercepted(), 'ERR_TRUST_INTERCEPTION')
})

test('a product for interception that is let through leaves evidence too', async () => {
  const OPEN = 'open.example.com'
  const { manifest } = await manifestOf([server], { interception: [rogue.issuer.pin] })
  const stage = await watched({
    manifest,
    anchors: both,
    unlistedHosts: [allowUnpinned(OPEN, { reason: 'a host of no secrets' })],
  })
  await stage.client.ready()
  const port = await intercepted()
  expect((await stage.client.fetch(`https://${OPEN}:${port}/`)).status).toBe(200)
  await stage.evidence.close()
  expect(stage.texts).toHaveLength(1)
  expect(verifyEvidence(Buffer.from(stage.texts[0] ?? ''))).toMatchObject({
    differences: [],
    again: { outcome: 'accepted' },
    evidence: { trigger: 'interception', judged: { policy: { interception: { keys: new Set([rogue.issuer.pin]) } } } },
  })
})

test('a certificate that no log took, where that is required: ERR_TRUST_CT_NOT_ENOUGH_SCTS', async () => {
  const { timestamp, operators } = testLogList([testLog(), testLog({ operator: 'B' })], now)
  const dated = JSON.stringify({ timestamp, operators }, (name, value) =>
    name === 'timestamp' ? new Date(value).toISOString().replace(/\.\d+Z/, 'Z') : value,
  )
  const logList = JSON.parse(dated)
  const { port } = await serve(server)
  await expectEvidence(
    await watched({ pins: { [HOST]: [server.pin] }, anchors: both, ct: { mode: 'require', logList } }),
    port,
    'ERR_TRUST_CT_NOT_ENOUGH_SCTS',
  )
})

test('report mode leaves evidence of whom it let through', async () => {
  const stage = await watched({ pins: { [HOST]: [server.pin] }, anchors: both, mode: 'report' })
  expect((await stage.client.fetch(`https://${HOST}:${await intercepted()}/`)).status).toBe(200)
  await stage.evidence.close()
  expect(verifyEvidence(Buffer.from(stage.texts[0] ?? ''))).toMatchObject({
    differences: [],
    again: { outcome: 'reported', code: 'ERR_TRUST_PIN_MISMATCH' },
    evidence: {
      trigger: 'reported',
      environment: expect.arrayContaining([expect.objectContaining({ subject: 'mode: report' })]),
    },
  })
})

test('the control: who is accepted leaves none, unless it is asked for', async () => {
  const stage = await watched({ pins: { [HOST]: [server.pin] }, anchors: both })
  const captured: Promise<{ readonly text: string }>[] = []
  stage.client.on('tls.handshake', (event) => void captured.push(captureEvidence(event)))
  const { port } = await serve(server)
  expect((await stage.client.fetch(`https://${HOST}:${port}/`, laden)).status).toBe(200)
  await stage.evidence.close()
  expect(stage.texts).toEqual([])
  const text = (await captured[0])?.text ?? ''
  expect(verifyEvidence(Buffer.from(text))).toMatchObject({
    differences: [],
    again: { outcome: 'accepted', findings: [] },
    evidence: { trigger: 'demand', handshake: { connection: { protocol: 'TLSv1.3' } } },
  })
  expect(text).not.toContain(CANARY)
})

test('a refusal that is not of certificates is evidence of what is known', async () => {
  const { port } = await serve(server)
  const stage = await watched({ pins: { [HOST]: [server.pin] }, anchors: both, addresses: { deny: ['127.0.0.0/8'] } })
  const client: Client = stage.client
  await refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_POLICY_ADDRESS_DENIED')
  await stage.evidence.close()
  expect(stage.handshakes.map(({ outcome }) => outcome)).toEqual(['failed'])
  expect(stage.texts).toEqual([])
})

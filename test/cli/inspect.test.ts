import { readFile } from 'node:fs/promises'
import { ocspResponse, selfSigned, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { certificatesOfPem } from '../../src/x509/pem.ts'
import { until } from '../support/client.ts'
import { cli, cliJson, isoOf, workplace } from './support.ts'

const NOW = Date.UTC(2030, 0, 1)
const DAY = 86_400_000

test('shows a certificate as people read it', async () => {
  const { file } = await workplace()
  const certificate = selfSigned({
    names: ['api.example.com', '*.example.com'],
    ips: ['192.0.2.1', '2001:db8::1'],
    serial: Uint8Array.of(1, 2, 3),
    now: NOW,
  })
  const source = await file('cert.pem', certificate.pem)
  const { exitCode, stdout, stderr } = await cli(['inspect', source], { now: NOW })
  expect(stdout).toBe(`end entity  CN=api.example.com
  issuer     CN=api.example.com
  names      dns:api.example.com, dns:*.example.com, ip:192.0.2.1, ip:2001:db8::1
  valid      2029-12-31T00:00:00Z until ${isoOf(NOW + 90 * DAY)} (in 90 days)
  key        EC P-256
  pin        ${certificate.pin}
  signature  ecdsa-with-SHA256
  CA         no
  key usage  digitalSignature, keyEncipherment
  purposes   serverAuth
  serial     010203

decision
  path              refused   ERR_TRUST_UNKNOWN_ISSUER  CN=api.example.com: self-issued and not among the trust anchors
  validity          skipped   no path reaches an anchor
  name constraints  skipped   no path reaches an anchor
  name              skipped   no name was asked for: --sni
  pins              skipped   no path reaches an anchor
  revocation        skipped   no path reaches an anchor
  transparency      skipped   no path reaches an anchor
  verdict           refused   ERR_TRUST_UNKNOWN_ISSUER  CN=api.example.com: self-issued and not among the trust anchors
`)
  expect(stderr).toBe(`next  pinfetch pin ${source}   # the pins of these keys\n`)
  expect(exitCode).toBe(0) // nobody asked for a verdict
})

test('answers with the verdict where roots or a name are given', async () => {
  const { file } = await workplace()
  const ca = testCa({ now: NOW })
  const chain = await file('chain.pem', ca.issue({ names: ['api.example.com'] }).pem + ca.issuer.pem)
  const roots = await file('roots.pem', ca.anchorPem)
  const ask = (...more: readonly string[]) => cliJson(['inspect', chain, ...more], { now: NOW })
  expect(await ask('--ca', roots, '--sni', 'api.example.com')).toMatchObject({
    exitCode: 0,
    answer: { data: { path: { verifies: true, anchor: 'CN=Test Root', findings: [] } } },
  })
  expect(await ask('--ca', roots, '--sni', 'other.example.com')).toMatchObject({
    exitCode: 1,
    answer: { ok: false, error: { code: 'ERR_TRUST_NAME_MISMATCH' } },
  })
  expect(await cliJson(['inspect', chain, '--ca', roots], { now: NOW + 91 * DAY })).toMatchObject({
    exitCode: 1,
    answer: { data: { certificates: [{ daysLeft: -1 }, {}] }, error: { code: 'ERR_TRUST_CERT_EXPIRED' } },
  })
})

test('shows the chain of a server with positions, and sends nothing', async () => {
  const { file } = await workplace()
  const ca = testCa({ keyType: 'RSA-2048' })
  const server = await until(startTlsServer({ identity: ca.issue({ names: ['localhost'], keyType: 'Ed25519' }) }))
  const roots = await file('roots.pem', ca.anchorPem)
  const { exitCode, answer } = await cliJson(['inspect', `https://localhost:${server.port}/path`, '--ca', roots])
  expect(exitCode).toBe(0)
  expect(answer).toMatchObject({
    schema: 'pinfetch/inspect/v1',
    command: 'inspect',
    data: {
      source: { kind: 'server', name: `localhost:${server.port}`, keyProven: true },
      certificates: [
        { position: 'end entity', key: 'Ed25519', keyBits: 256, basicConstraints: { ca: false }, daysLeft: 89 },
        { position: 'intermediate', key: 'RSA 2048', signatureAlgorithm: 'sha256WithRSAEncryption' },
        {
          position: 'anchor',
          basicConstraints: { ca: true, pathLenConstraint: null },
          keyUsage: ['keyCertSign', 'cRLSign'],
        },
      ],
      path: { verifies: true },
    },
  })
  await expect.poll(() => server.connections.length).toBe(1)
  expect(server.applicationBytes).toBe(0)
})

test('an interception by an unknown CA is seen as one', async () => {
  const server = await until(startTlsServer({ identity: testCa().issue({ names: ['localhost'] }) }))
  const { exitCode, stdout } = await cli(['inspect', `localhost:${server.port}`])
  expect(stdout).toMatch(/path +refused +ERR_TRUST_UNKNOWN_ISSUER/)
  expect(exitCode).toBe(1)
})

test('--pem prints the certificates alone', async () => {
  const ca = testCa()
  const { chain } = ca.issue({ names: ['localhost'] })
  const server = await until(startTlsServer({ identity: ca.issue({ names: ['localhost'] }) }))
  server.setIdentity(ca.issue({ names: ['localhost'] }))
  const { stdout } = await cli(['inspect', `localhost:${server.port}`, '--pem'])
  expect(certificatesOfPem(stdout)).toHaveLength(chain.length)
  expect(stdout.replace(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----\n/g, '')).toBe('')
})

test('--timeline draws what ends when: each certificate of the path, and the pins of a configuration', async () => {
  const { file, path } = await workplace()
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const [spare, foreign] = [ca.issue().pin, ca.issue().pin]
  const server = await until(startTlsServer({ identity }))
  await file('roots.pem', ca.anchorPem)
  const drawn = async (pins: readonly string[]) => {
    const config = await file(
      'pinfetch.json',
      JSON.stringify({ anchorsFile: './roots.pem', pins: { localhost: pins } }),
    )
    const ran = await cli(['inspect', `localhost:${server.port}`, '--config', config, '--timeline', path('out.svg')])
    return { ...ran, image: await readFile(path('out.svg'), 'utf8') }
  }
  const { exitCode, stderr, image } = await drawn([identity.pin, spare])
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`written  ${path('out.svg')}`)])
  expect(image).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  for (const row of [
    'certificate CN=localhost',
    'issuer CN=Test Intermediate',
    'issuer CN=Test Root',
    'active pin',
    'backup pin',
  ])
    expect(image).toContain(`<title>${row}`)
  expect(image).toContain('its certificate has ended')

  const refused = await drawn([spare, foreign])
  expect(refused.exitCode).toBe(1)
  expect(refused.image).toMatch(/outage if nobody acts from now without an end/)
})

test('--timeline shows until when the stapled OCSP response counts, where it counts', async () => {
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const { file, path } = await workplace()
  const roots = await file('roots.pem', ca.anchorPem)
  const drawn = async (staple: Uint8Array) => {
    const server = await until(startTlsServer({ identity, ocspResponse: staple }))
    await cli(['inspect', `localhost:${server.port}`, '--ca', roots, '--timeline', path('out.svg')])
    return readFile(path('out.svg'), 'utf8')
  }
  const nextUpdate = Math.floor(Date.now() / DAY + 3) * DAY
  expect(await drawn(ocspResponse({ certificate: identity, nextUpdate }))).toMatch(
    new RegExp(`<title>OCSP good, CN=localhost[^<]*${isoOf(nextUpdate).slice(0, 10)}`),
  )
  expect(await drawn(ocspResponse({ certificate: identity, signature: 'garbage' }))).not.toContain('OCSP good')
})

test('--timeline of a file is of its certificates alone', async () => {
  const { file, path } = await workplace()
  const ca = testCa()
  const chain = await file('chain.pem', ca.issue({ names: ['api.example.com'] }).pem + ca.issuer.pem)
  expect((await cli(['inspect', chain, '--timeline', path('out.svg')])).exitCode).toBe(0)
  const image = await readFile(path('out.svg'), 'utf8')
  expect(image).toContain('<title>issuer CN=Test Intermediate')
  expect(image).not.toMatch(/<title>\S+ pin/)
})

test('what a certificate says cannot steer a terminal', async () => {
  const { file } = await workplace()
  const evil = '\u001b[2J\u001b[1;1Hpath  verifies'
  const certificate = selfSigned({ subject: evil, san: [{ dns: evil }, { uri: `https://${evil}` }] })
  const { stdout, stderr } = await cli(['inspect', await file('evil.pem', certificate.pem)])
  expect(stdout + stderr).not.toContain('\u001b')
  expect(stdout).toContain('dns:\\u{1b}[2J')
})

test('a key is no certificate', async () => {
  const { exitCode, answer } = await cliJson(['inspect', '-'], { stdin: selfSigned().keyPem })
  expect(answer.error).toMatchObject({ code: 'ERR_CONFIG_USAGE', hint: expect.stringMatching('pinfetch pin') })
  expect(exitCode).toBe(2)
})

import { createPrivateKey, sign, X509Certificate } from 'node:crypto'
import { createServer, type TLSSocket } from 'node:tls'
import { generateKey, selfSigned, startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { pinOfSpki } from '../../src/encoding/pin.ts'
import * as der from '../../src/x509/der-writer.ts'
import { encodeName } from '../../src/x509/extension-writer.ts'
import { until } from '../support/client.ts'
import { cli, cliJson, isoOf, workplace } from './support.ts'

const NOW = Date.UTC(2030, 0, 1)

describe('pin of a file', () => {
  const key = generateKey()
  const certificate = selfSigned({ names: ['api.example.com'], key, now: NOW })
  const pin = pinOfSpki(key.spki)
  const pem = (type: 'spki' | 'pkcs8' | 'sec1', format: 'pem' | 'der' = 'pem'): string | Uint8Array => {
    const exported = type === 'spki' ? key.publicKey.export({ type, format: 'der' }) : undefined
    if (exported !== undefined && format === 'der') return exported
    if (type === 'spki') return key.publicKey.export({ type, format: 'pem' })
    return format === 'der'
      ? key.privateKey.export({ type, format: 'der' })
      : key.privateKey.export({ type, format: 'pem' })
  }

  test.each([
    ['a certificate in PEM', certificate.pem, 'end entity'],
    ['a certificate in DER', certificate.der, 'end entity'],
    ['a certificate after a comment', `0 is where this comment starts\n${certificate.pem}`, 'end entity'],
    ['a public key in PEM', pem('spki'), 'public-key'],
    ['a raw SPKI', key.spki, 'public-key'],
    ['a PKCS #8 key in PEM', pem('pkcs8'), 'private-key'],
    ['a PKCS #8 key in DER', pem('pkcs8', 'der'), 'private-key'],
    ['a SEC 1 key in PEM', pem('sec1'), 'private-key'],
    ['a SEC 1 key in DER', pem('sec1', 'der'), 'private-key'],
    ['a request in PEM', requestPem(request(key)), 'request'],
    ['a request in DER', request(key), 'request'],
  ])('%s has the pin of its key', async (_, content, kind) => {
    const { file } = await workplace()
    const { exitCode, stdout } = await cli(['pin', await file('source.pem', content)])
    expect(
      stdout
        .split('  ')
        .slice(0, 2)
        .map((cell) => cell.trim()),
    ).toEqual([pin, kind])
    expect(exitCode).toBe(0)
  })

  test('prints the answer to stdout and the next step to stderr', async () => {
    const { file } = await workplace()
    const ran = await cli(['pin', await file('cert.pem', certificate.pem)])
    expect(ran).toEqual({
      exitCode: 0,
      stdout: `${pin}  end entity  EC P-256  until ${isoOf(NOW + 90 * 86_400_000)}  CN=api.example.com\n`,
      stderr: `next  pinfetch manifest add-host api.example.com --dir <dir> --pin ${pin} --pin <key in reserve>\n`,
    })
  })

  test('reads standard input, other digests and other key types', async () => {
    const { pem: rsa, spki } = selfSigned({ names: ['api.example.com'], keyType: 'RSA-2048', now: NOW })
    const { stdout } = await cli(['pin', '-', '--hash', '512'], { stdin: rsa })
    expect(stdout).toContain(`${pinOfSpki(spki, 'sha512')}  end entity  RSA 2048`)
  })

  test('never prints a private key', async () => {
    const { exitCode, stdout, stderr } = await cli(['pin', '-'], { stdin: certificate.keyPem })
    const { d } = createPrivateKey(certificate.keyPem).export({ format: 'jwk' })
    expect(exitCode).toBe(0)
    expect(stdout + stderr).not.toContain(String(d))
    expect(stdout + stderr).not.toContain('PRIVATE KEY')
  })

  test('opens an encrypted key with PINFETCH_PASSPHRASE', async () => {
    const encrypted = key.privateKey
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'correct horse' })
      .toString()
    const ask = (env: Readonly<Record<string, string>>) => cliJson(['pin', '-'], { stdin: encrypted, env })
    for (const env of [{}, { PINFETCH_PASSPHRASE: 'wrong' }]) {
      const { exitCode, answer } = await ask(env)
      expect(answer.error).toMatchObject({
        code: 'ERR_CONFIG_PASSPHRASE',
        hint: expect.stringMatching('PINFETCH_PASS'),
      })
      expect(exitCode).toBe(2)
    }
    const { answer } = await ask({ PINFETCH_PASSPHRASE: 'correct horse' })
    expect(answer.data).toMatchObject({ keys: [{ pin, kind: 'private-key' }] })
  })

  test('warns of a request that its own key did not sign', async () => {
    const { answer } = await cliJson(['pin', '-'], { stdin: request(key, generateKey()) })
    expect(answer).toMatchObject({ ok: true, warnings: [expect.stringMatching('not signed by the key')] })
  })

  test.each([
    ['something else', 'hello', 'holds no certificate'],
    [
      'a broken certificate',
      '-----BEGIN CERTIFICATE-----\nMAMB\n-----END CERTIFICATE-----',
      'longer than what holds it',
    ],
    ['binary that is no key', Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x00), 'not a certificate'],
  ])('refuses %s', async (_, stdin, message) => {
    const { exitCode, answer } = await cliJson(['pin', '-'], { stdin })
    expect(answer.error).toMatchObject({ code: 'ERR_CONFIG_CERTIFICATE', message: expect.stringMatching(message) })
    expect(exitCode).toBe(2)
  })

  test('a file that is not there is no server', async () => {
    const { exitCode, answer } = await cliJson(['pin', 'nowhere.pem'])
    expect(answer.error).toMatchObject({ code: 'ERR_STORE_READ', message: 'nowhere.pem: cannot be read (ENOENT)' })
    expect(exitCode).toBe(3)
  })

  test('says so instead of waiting when nothing is piped', async () => {
    const { exitCode, stderr } = await cli(['pin', '-'])
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(/ERR_CONFIG_USAGE {2}nothing is piped/)
  })
})

describe('pin of a server', () => {
  test('prints each key of the verified path, sends nothing, and trusts nothing', async () => {
    const { ca, server, end, source, caFile } = await start()
    const ran = await cli(['pin', source, '--ca', caFile])
    const [issuer] = ca.intermediates
    expect(ran.stdout.split('\n')).toEqual([
      `${end.pin}  end entity    EC P-256  until ${notAfter(end)}  CN=localhost`,
      `${issuer?.pin}  intermediate  EC P-256  until ${notAfter(issuer)}  CN=Test Intermediate`,
      `${ca.root.pin}  anchor        EC P-256  until ${notAfter(ca.root)}  CN=Test Root`,
      '',
    ])
    expect(ran.stderr.split('\n')).toEqual([
      'path  verifies up to CN=Test Root',
      expect.stringMatching(/^warning {2}this is what this network showed just now.*from another network/),
      expect.stringMatching(/^next {2}pinfetch pin localhost:\d+ --partner/),
      '',
    ])
    expect(ran.exitCode).toBe(0)
    await expect.poll(() => server.connections[0]).toMatchObject({ servername: 'localhost', protocol: 'TLSv1.3' })
    await expect.poll(() => server.connections[0]?.socket.destroyed).toBe(true)
    expect(server.accepted).toBe(1)
    expect(server.applicationBytes).toBe(0)
  })

  test('a chain that does not verify exits with 1 and still shows what was seen', async () => {
    const { source, end } = await start()
    const { exitCode, answer } = await cliJson(['pin', source])
    expect(exitCode).toBe(1)
    expect(answer).toMatchObject({
      schema: 'pinfetch/pin/v1',
      ok: false,
      data: { keys: [{ pin: end.pin }, { position: 'intermediate' }], path: { verifies: false, anchor: null } },
      error: { code: 'ERR_TRUST_UNKNOWN_ISSUER' },
    })
  })

  test('a certificate for another name exits with 1', async () => {
    const { source, caFile } = await start(['other.example.com'])
    const { exitCode, answer } = await cliJson(['pin', source, '--ca', caFile])
    expect(answer).toMatchObject({ data: { path: { verifies: false } }, error: { code: 'ERR_TRUST_NAME_MISMATCH' } })
    expect(exitCode).toBe(1)
    const asked = await cliJson(['pin', source, '--ca', caFile, '--sni', 'other.example.com'])
    expect(asked).toMatchObject({ exitCode: 0, answer: { ok: true, data: { path: { verifies: true } } } })
  })

  test('sees the certificate of a server that wants one from us, and says that nothing is proven', async () => {
    const ca = testCa()
    const end = ca.issue({ names: ['localhost'] })
    const source = await startMutual(end, ca.anchorPem)
    const { file } = await workplace()
    const { exitCode, answer } = await cliJson(['pin', source, '--ca', await file('ca.pem', ca.anchorPem)])
    expect(answer.data).toMatchObject({ source: { keyProven: false }, keys: [{ pin: end.pin }, {}, {}] })
    expect(answer.warnings).toContainEqual(expect.stringMatching('not proved'))
    expect(exitCode).toBe(0)
  })

  test('looks at weak keys, which a client would refuse', async () => {
    const ca = testCa()
    const server = await until(startTlsServer({ identity: ca.issue({ names: ['localhost'], keyType: 'RSA-1024' }) }))
    const { file } = await workplace()
    const caFile = await file('ca.pem', ca.anchorPem)
    const { exitCode, answer } = await cliJson(['pin', `localhost:${server.port}`, '--ca', caFile])
    expect(answer).toMatchObject({ data: { keys: [{ key: 'RSA 1024' }, {}] }, error: { code: 'ERR_TRUST_WEAK_KEY' } })
    expect(exitCode).toBe(1)
  })

  test('nothing listening exits with 3', async () => {
    const { server, source } = await start()
    await server.close()
    const { exitCode, answer } = await cliJson(['pin', source])
    expect(answer.error).toMatchObject({ code: 'ERR_TRANSPORT_CONNECT' })
    expect(exitCode).toBe(3)
  })

  test('a server that speaks no TLS exits with 3', async () => {
    const plain = (await import('node:net')).createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void plain.close())
    const { port } = plain.address() as { port: number }
    expect(await cliJson(['pin', `127.0.0.1:${port}`])).toMatchObject({
      exitCode: 3,
      answer: { error: { code: 'ERR_TLS_HANDSHAKE' } },
    })
  })
})

describe('a key held in reserve', () => {
  test('stands below those that the server shows, and both are ready for add-host', async () => {
    const { end, source, caFile } = await start()
    const { file } = await workplace()
    const next = generateKey()
    const spare = generateKey()
    const paths = [await file('next.pem', requestPem(request(next))), await file('spare.der', spare.spki)]
    const { stdout, stderr, exitCode } = await cli(['pin', source, '--ca', caFile, '--backup', ...paths])
    expect(stdout.split('\n').slice(3, 5)).toEqual([
      `${pinOfSpki(next.spki)}  backup        EC P-256  CN=api.example.com`,
      `${pinOfSpki(spare.spki)}  backup        EC P-256`,
    ])
    const pins = [end.pin, pinOfSpki(next.spki), pinOfSpki(spare.spki)].map((pin) => `--pin ${pin}`).join(' ')
    expect(stderr).toContain(`next  pinfetch manifest add-host localhost --dir <dir> ${pins}`)
    expect(exitCode).toBe(0)
    const { answer } = await cliJson(['pin', source, '--ca', caFile, '--backup', ...paths])
    expect(answer.data).toMatchObject({
      keys: [{ pin: end.pin }, {}, {}],
      backup: [{ pin: pinOfSpki(next.spki), kind: 'request' }, { kind: 'public-key' }],
    })
  })

  test('goes with a file as well, under the same digest', async () => {
    const { file } = await workplace()
    const [used, next] = [generateKey(), generateKey()]
    const argv = [
      'pin',
      await file('used.der', used.spki),
      '--backup',
      await file('next.der', next.spki),
      '--hash',
      '384',
    ]
    const { answer, stderr } = await cliJson(argv)
    expect(answer.data).toMatchObject({ backup: [{ pin: pinOfSpki(next.spki, 'sha384') }] })
    expect(stderr).toContain(`--pin ${pinOfSpki(used.spki, 'sha384')} --pin ${pinOfSpki(next.spki, 'sha384')}`)
  })

  test('is none if it stands on the path already, as the server’s own key or as an issuer’s', async () => {
    const { ca, end, source, caFile } = await start()
    const { file } = await workplace()
    for (const certificate of [end, ca.root]) {
      const path = await file('next.pem', certificate.pem)
      const { exitCode, answer } = await cliJson(['pin', source, '--ca', caFile, '--backup', path])
      expect(exitCode).toBe(2)
      expect(answer.error?.message).toBe(`${path}: its key is no reserve: it is in use`)
    }
  })

  test('is not offered for a chain that does not verify', async () => {
    const { source } = await start()
    const { file } = await workplace()
    const { exitCode, stderr } = await cli(['pin', source, '--backup', await file('next.pem', generateKeyPem())])
    expect(exitCode).toBe(1)
    expect(stderr).not.toContain('add-host')
  })

  test('is nobody’s here where somebody else runs the host', async () => {
    const { exitCode, stderr } = await cli(['pin', 'localhost', '--partner', '--backup', 'next.pem'])
    expect(exitCode).toBe(2)
    expect(stderr).toContain("option '--backup <file...>' cannot be used with option '--partner'")
  })
})

describe('a pin set for somebody else’s API', () => {
  test('is the key and its issuer, with the trade-off, ready to paste', async () => {
    const { ca, end, source, caFile } = await start()
    const { exitCode, stdout, stderr } = await cli(['pin', source, '--ca', caFile, '--partner'])
    const [issuer] = ca.intermediates
    expect(stdout.split('\n')).toEqual([
      '// Accepts this key, and any key that this issuer certifies for the name: narrower than every CA, wider than one key.',
      '// Survives the owner’s next key. Stops working when the owner moves to another issuer: ask which (--sibling).',
      'pins: {',
      "  'localhost': [",
      `    '${end.pin}', // end entity, CN=localhost, until ${notAfter(end).slice(0, 10)}`,
      `    '${issuer?.pin}', // issuer, CN=Test Intermediate, until ${notAfter(issuer).slice(0, 10)}`,
      '  ],',
      '},',
      '',
    ])
    expect(stderr).toContain(`next  pinfetch manifest add-host localhost --partner --dir <dir> --pin ${end.pin}`)
    expect(exitCode).toBe(0)
  })

  test('takes a sibling issuer that verifies, and no other certificate', async () => {
    const { ca, end, source, caFile } = await start()
    const { file } = await workplace()
    const sibling = ca.root.issue({ subject: 'Test Sibling', ca: true })
    const ask = async (pem: string) =>
      cliJson(['pin', source, '--ca', caFile, '--partner', '--sibling', await file('sibling.pem', pem)])
    const { answer } = await ask(sibling.pem)
    expect(answer.data?.['proposal']).toMatchObject({
      host: 'localhost',
      pins: [end.pin, ca.issuer.pin, sibling.pin],
      entry: { host: 'localhost', mode: 'enforce', keyControl: 'partner' },
    })
    for (const wrong of [end, selfSigned({ subject: 'Stranger', ca: true })]) {
      expect(await ask(wrong.pem)).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
    }
  })

  test('is not proposed from a chain that does not verify', async () => {
    const { source } = await start()
    const { exitCode, answer } = await cliJson(['pin', source, '--partner'])
    expect(answer).toMatchObject({ data: { proposal: null }, error: { code: 'ERR_TRUST_UNKNOWN_ISSUER' } })
    expect(exitCode).toBe(1)
  })

  test('warns when there is no second key', async () => {
    const lone = selfSigned({ names: ['localhost'] })
    const { file } = await workplace()
    const pem = await file('lone.pem', lone.pem)
    const { answer } = await cliJson(['pin', pem, '--ca', pem, '--partner'])
    expect(answer.data?.['proposal']).toMatchObject({ host: 'localhost', entry: { singlePin: true } })
    expect(answer.warnings).toContainEqual(expect.stringMatching('ask the API’s owner'))
  })

  test('needs a host', async () => {
    const { exitCode, answer } = await cliJson(['pin', '-', '--partner'], { stdin: generateKeyPem() })
    expect(answer.error).toMatchObject({ code: 'ERR_CONFIG_USAGE', message: expect.stringMatching('names a host') })
    expect(exitCode).toBe(2)
  })
})

async function start(names: readonly string[] = ['localhost']) {
  const ca = testCa()
  const end = ca.issue({ names })
  const server = await until(startTlsServer({ identity: end }))
  const { file } = await workplace()
  return { ca, end, server, source: `localhost:${server.port}`, caFile: await file('ca.pem', ca.anchorPem) }
}

/** TLS 1.2, where the handshake fails without a client certificate. */
async function startMutual({ chain, keyPem }: TestCertificate, ca: string): Promise<string> {
  const cert = chain.map((bytes) => new X509Certificate(bytes).toString()).join('')
  const options = { cert, key: keyPem, ca, requestCert: true, maxVersion: 'TLSv1.2' as const }
  const server = createServer({ ...options, rejectUnauthorized: true })
  server.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, resolve))
  onTestFinished(() => void server.close())
  return `localhost:${(server.address() as { port: number }).port}`
}

const notAfter = (certificate: TestCertificate | undefined): string =>
  isoOf(Date.parse(new X509Certificate(certificate?.der ?? new Uint8Array()).validTo))

const generateKeyPem = (): string => generateKey().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** PKCS #10 (RFC 2986 §4), signed by its own key or by another. */
function request(key: ReturnType<typeof generateKey>, signer = key): Uint8Array {
  const info = der.sequence(der.integer(0), encodeName('api.example.com'), key.spki, der.tagged(0))
  const algorithm = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  return der.sequence(info, algorithm, der.bitString(sign('sha256', info, signer.privateKey)))
}

function requestPem(bytes: Uint8Array): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
}

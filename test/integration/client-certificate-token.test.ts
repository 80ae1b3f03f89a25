import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testCa } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'
import { runModule } from '../support/run.ts'

const ENGINES = ['/usr/lib/x86_64-linux-gnu/engines-3', '/usr/lib/aarch64-linux-gnu/engines-3']
const SOFTHSM = 'softhsm2-util'
const MODULES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so']

const engines = [process.env['OPENSSL_ENGINES'] ?? '', ...ENGINES].find((path) => existsSync(join(path, 'pkcs11.so')))
const module = MODULES.find(existsSync)
const isReady = engines !== undefined && module !== undefined
if (!isReady) {
  process.stderr.write(
    'not run: a client key in a PKCS #11 token: Debian packages libengine-pkcs11-openssl and softhsm2\n',
  )
}

test.runIf(isReady || process.env['CI'] === 'true')(
  'a key that never leaves its token opens the connection; the key of another certificate does not: ERR_CONFIG_CERTIFICATE',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-token-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const at = (name: string): string => join(folder, name)
    mkdirSync(at('tokens'))
    writeFileSync(at('softhsm2.conf'), `directories.tokendir = ${at('tokens')}\n`)
    const env = { SOFTHSM2_CONF: at('softhsm2.conf'), PKCS11_MODULE_PATH: module ?? '', OPENSSL_ENGINES: engines ?? '' }
    const tool = (...args: readonly string[]): void => {
      const { status, stderr } = spawnSync(SOFTHSM, args, { env: { ...process.env, ...env } })
      if (status !== 0) expect.fail(String(stderr))
    }
    const clients = testCa({ name: 'Clients', intermediates: 0 })
    const [own, other] = [1, 2].map(() => clients.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] }))
    const token = ['--token', 'mtls', '--pin', '1234']
    writeFileSync(at('own.key'), own?.keyPem ?? '')
    tool('--init-token', '--free', '--label', 'mtls', '--pin', '1234', '--so-pin', '1234')
    tool('--import', at('own.key'), ...token, '--label', 'own', '--id', '07')
    rmSync(at('own.key'))

    const given = JSON.stringify({
      own: own?.pem,
      other: other?.pem,
      privateKeyEngine: 'pkcs11',
      privateKeyIdentifier: 'pkcs11:token=mtls;object=own;type=private?pin-value=1234',
    })
    const { stdout, stderr } = await runModule(
      `import { createClient } from './src/index.ts'
     import { startTlsServer, testCa } from './src/testing/index.ts'
     const { own, other, ...key } = ${given}
     const ca = testCa()
     const server = ca.issue({ names: ['localhost'] })
     const peer = await startTlsServer({ identity: server, requestCert: true })
     const options = { pins: { localhost: [server.pin] }, anchors: ca.anchorPem, resolver: async () => ['127.0.0.1'] }
     const client = createClient({ ...options, certificate: { cert: own, ...key } })
     const { status } = await client.fetch(peer.origin)
     let refused
     try { createClient({ ...options, certificate: { cert: other, ...key } }) } catch (error) { refused = error.code }
     console.log(JSON.stringify([status, Buffer.from(peer.clientCertificates[0]).toString('base64'), refused]))
     process.exit(0)`,
      env,
    )
    expect(stdout === '' ? stderr : JSON.parse(stdout)).toEqual([
      200,
      Buffer.from(own?.der ?? []).toString('base64'),
      'ERR_CONFIG_CERTIFICATE',
    ])
  },
)

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTlsServer, type TestTlsServer, testCa } from 'pinfetch/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testClient } from '../support/client.ts'
import { startListener } from '../support/client-hello.ts'
import { runModule } from '../support/run.ts'

const HOST = 'api.example.com'
const NAMES = [HOST, 'localhost'] // ours reaches the servers by the first, plain code by the second
const genuine = testCa({ name: 'Genuine' })
const pinned = genuine.issue({ names: NAMES })
const misnamed = genuine.issue({ names: ['other.example.com'], key: pinned.key })

const OPENSSL_CONF = `
nodejs_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = P-521
SignatureAlgorithms = rsa_pkcs1_sha1:ecdsa_secp256r1_sha256
`

/** CAs that end up in the process by one road each. Their servers' keys are pinned: only the chain speaks against them. */
const ROADS = ['nobody', 'extraCaCerts', 'sslCertFile', 'setDefault'] as const
const installed = Object.fromEntries(
  ROADS.map((road) => {
    const ca = testCa({ name: road })
    return [road, { ca, identity: ca.issue({ names: NAMES }) }]
  }),
) as Record<(typeof ROADS)[number], { ca: ReturnType<typeof testCa>; identity: typeof pinned }>

const directory = mkdtempSync(join(tmpdir(), 'pinfetch-'))
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

const servers: Record<string, TestTlsServer> = {}
/** First lines that a listener named as proxy was sent. */
const proxied: string[] = []
const proxySockets = new Set<Socket>()
const proxy = createServer((socket) => {
  proxySockets.add(socket)
  socket.on('error', () => socket.destroy())
  socket.once('data', (chunk) => {
    proxied.push(chunk.toString('latin1').split('\r\n')[0] ?? '')
    socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
  })
})

beforeAll(async () => {
  servers['pinned'] = await startTlsServer({ identity: pinned })
  servers['misnamed'] = await startTlsServer({ identity: misnamed })
  servers['tls12'] = await startTlsServer({ identity: pinned, maxVersion: 'TLSv1.2' })
  servers['tls11'] = await startTlsServer({ identity: pinned, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })
  for (const road of ROADS) servers[road] = await startTlsServer({ identity: installed[road].identity })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
})

/** Whatever else a test shows: no server but the pinned one ever reads what this client had to say. */
afterEach(() => {
  for (const [name, { requests }] of Object.entries(servers)) {
    if (name === 'pinned') continue
    expect(
      requests.filter(({ headers }) => headers.authorization !== undefined),
      name,
    ).toEqual([])
  }
})

afterAll(async () => {
  for (const server of Object.values(servers)) await server.close()
  for (const socket of proxySockets) socket.destroy()
  proxy.close()
  rmSync(directory, { recursive: true })
})

const server = (name: string): TestTlsServer => servers[name] ?? expect.fail(`no server ${name}`)

// What this machine sets for its own reasons is not part of the matrix.
for (const name of [
  'NODE_EXTRA_CA_CERTS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_USE_ENV_PROXY',
  'NODE_USE_SYSTEM_CA',
]) {
  delete process.env[name]
}
for (const name of [
  'OPENSSL_CONF',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
]) {
  delete process.env[name]
  delete process.env[name.toLowerCase()]
}

/**
 * Runs `body` in a process of its own, before and after the library is imported and its client made. `ours(name)` and
 * `plain(name)` request a server and answer the status or the code; what is put on `out` comes back, with the posture.
 */
async function inProcess(parts: {
  readonly before?: string
  readonly body: string
  readonly env?: Readonly<Record<string, string>>
  readonly flags?: readonly string[]
}): Promise<Record<string, unknown> & { posture: string[] }> {
  const plan = {
    ports: Object.fromEntries(Object.entries(servers).map(([name, { port }]) => [name, port])),
    pins: { [HOST]: [pinned.pin, ...ROADS.map((road) => installed[road].identity.pin)] },
    anchors: genuine.anchorPem,
    setDefault: installed.setDefault.ca.anchorPem,
  }
  const script = `
    import fs from 'node:fs'
    import tls from 'node:tls'
    import * as undici from 'undici'
    const plan = JSON.parse(process.env.PLAN)
    const out = {}
    const code = (error) => error.code ?? error.cause?.code ?? error.cause?.cause?.code ?? String(error.cause ?? error)
    const outcome = (request) => request.then(async (response) => (await response.text(), response.status), code)
    const plain = (name) => outcome(fetch('https://localhost:' + plan.ports[name] + '/', { signal: AbortSignal.timeout(2000) }))
    const socketTo = (name, options = {}) => new Promise((resolve) => {
      const settings = { host: '127.0.0.1', port: plan.ports[name], servername: 'localhost', ca: plan.anchors, ...options }
      const socket = tls.connect(settings, () => (resolve(socket.getProtocol()), socket.end()))
      socket.once('error', (error) => resolve(code(error)))
    })
    ${parts.before ?? ''}
    const { createClient } = await import('./src/index.ts')
    const make = (options) => createClient({ pins: plan.pins, resolver: async () => ['127.0.0.1'], ...options })
    const posture = []
    const [bundled, given] = [make({}), make({ anchors: plan.anchors })] // the roots of Node's release, and a list
    given.on('posture', ({ subject }) => posture.push(subject))
    const ours = (name, client = given) => {
      const init = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }
      return outcome(client.fetch('https://${HOST}:' + plan.ports[name] + '/', init))
    }
    ${parts.body}
    for (const client of [bundled, given]) await client.close()
    console.log(JSON.stringify({ ...out, posture }))
    process.exit(0)`
  const { stdout, stderr } = await runModule(script, { ...parts.env, PLAN: JSON.stringify(plan) }, parts.flags)
  const line = stdout.trim().split('\n').at(-1) ?? ''
  if (!line.startsWith('{')) expect.fail(stderr || stdout)
  return JSON.parse(line)
}

const offers = (flag: string): boolean => process.allowedNodeEnvironmentFlags.has(flag)
const hasSetDefault = 'setDefaultCACertificates' in (await import('node:tls'))

test('the control: in a clean process nothing is reported, and the pinned server answers', async () => {
  const result = await inProcess({ body: `out.ours = await ours('pinned')` })
  expect(result).toEqual({ ours: 200, posture: [] })
})

describe('B9, B20: trust that the environment brings', () => {
  test('NODE_TLS_REJECT_UNAUTHORIZED=0 opens plain fetch to anyone; here the chain and the name count: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const result = await inProcess({
      env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
      body: `
        out.ours = [await ours('nobody'), await ours('nobody', bundled), await ours('misnamed'), await ours('pinned')]
        out.plain = [await plain('nobody'), await plain('misnamed')]`,
    })
    expect(result).toEqual({
      ours: ['ERR_TRUST_UNKNOWN_ISSUER', 'ERR_TRUST_UNKNOWN_ISSUER', 'ERR_TRUST_NAME_MISMATCH', 200],
      plain: [200, 200],
      posture: ['NODE_TLS_REJECT_UNAUTHORIZED'],
    })
  })

  test('NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, the system store and setDefaultCACertificates open plain fetch; here: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const store = offers('--use-system-ca') ? '--use-system-ca' : '--use-openssl-ca' // Node takes one; both read SSL_CERT_FILE
    const result = await inProcess({
      env: {
        NODE_EXTRA_CA_CERTS: file('extra.pem', installed.extraCaCerts.ca.anchorPem),
        SSL_CERT_FILE: file('file.pem', installed.sslCertFile.ca.anchorPem),
        SSL_CERT_DIR: directory,
      },
      flags: [store],
      body: `
        const roads = ['extraCaCerts', 'sslCertFile', 'setDefault']
        out.exists = 'setDefaultCACertificates' in tls
        out.plain = [await plain('nobody'), await plain('extraCaCerts'), await plain('sslCertFile'), await plain('setDefault')]
        tls.setDefaultCACertificates?.([...tls.getCACertificates('default'), plan.setDefault])
        out.replaced = out.exists ? await plain('setDefault') : 200
        out.ours = []
        for (const road of roads) for (const client of [bundled, given, make({})]) out.ours.push(await ours(road, client))
        out.control = await ours('pinned')`,
    })
    const [nobody, extra, file_, unset] = result['plain'] as unknown[]
    expect([extra, file_, result['replaced']]).toEqual([200, 200, 200])
    expect([nobody, unset]).not.toContain(200)
    expect(result['ours']).toEqual(Array(9).fill('ERR_TRUST_UNKNOWN_ISSUER'))
    expect([result['control'], result['exists']]).toEqual([200, hasSetDefault])
    expect(result.posture).toEqual(['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR', store])
  })

  test('a default store that was replaced before the client was made is named, and not used', async () => {
    const result = await inProcess({
      before: `tls.setDefaultCACertificates?.([plan.setDefault])`,
      body: `out.ours = [await ours('setDefault', bundled), await ours('setDefault'), await ours('pinned')]`,
    })
    expect(result['ours']).toEqual(['ERR_TRUST_UNKNOWN_ISSUER', 'ERR_TRUST_UNKNOWN_ISSUER', 200])
    expect(result.posture).toEqual(hasSetDefault ? ['tls.setDefaultCACertificates'] : [])
  })

  test('OpenSSL’s own store is named by its flag alone', async () => {
    const result = await inProcess({
      flags: ['--use-openssl-ca'],
      env: { SSL_CERT_FILE: file('file.pem', installed.sslCertFile.ca.anchorPem) },
      body: `out.ours = [await ours('sslCertFile', bundled), await ours('pinned')]`,
    })
    expect(result).toEqual({ ours: ['ERR_TRUST_UNKNOWN_ISSUER', 200], posture: ['SSL_CERT_FILE', '--use-openssl-ca'] })
  })
})

describe('versions, suites and secrets', () => {
  test('--tls-min-v1.0, --tls-max-v1.2 and --tls-cipher-list move plain code down; here TLS 1.3 stays the floor: ERR_TLS_VERSION', async () => {
    const from = server('pinned').connections.length
    const result = await inProcess({
      flags: ['--tls_min_v1.0', '--tls-max-v1.2', '--tls-cipher-list=ALL:@SECLEVEL=0'], // Node reads either spelling
      body: `
        out.ours = [await ours('tls11'), await ours('tls12'), await ours('pinned')]
        out.plain = [await socketTo('tls11'), await socketTo('tls12'), await socketTo('pinned')]`,
    })
    expect(result['ours']).toEqual(['ERR_TLS_VERSION', 'ERR_TLS_VERSION', 200])
    expect(result['plain']).toEqual(['TLSv1.1', 'TLSv1.2', 'TLSv1.2'])
    expect(server('pinned').connections.slice(from)[0]?.protocol).toBe('TLSv1.3')
    expect([server('tls11'), server('tls12')].map(({ requests }) => requests.length)).toEqual([0, 0])
    expect(result.posture).toEqual(
      expect.arrayContaining(['--tls-min-v1.0', '--tls-max-v1.2', '--tls-cipher-list', 'tls.DEFAULT_MIN_VERSION']),
    )
  })

  test('a configuration of OpenSSL changes what plain code offers; here the ClientHello stays, and it is named', async () => {
    const conf = file('openssl.cnf', OPENSSL_CONF)
    const [clean, ours, plain] = [await startListener(), await startListener(), await startListener()]
    const client = testClient({ pins: { [HOST]: [pinned.pin] } }) // in this process, which has none
    await client.fetch(`https://${HOST}:${clean.port}/`).catch(() => undefined)
    const { posture } = await inProcess({
      env: { OPENSSL_CONF: conf },
      flags: [`--openssl-config=${conf}`],
      body: `
        Object.assign(plan.ports, { ours: ${ours.port}, plain: ${plain.port} })
        await ours('ours')
        await socketTo('plain')`,
    })
    expect(ours.hellos[0]).toEqual(clean.hellos[0])
    expect(plain.hellos[0]).toMatchObject({ groups: [25], signatureAlgorithms: [0x0201, 0x0403] }) // P-521, and RSA with SHA-1
    expect(posture).toEqual(['OPENSSL_CONF', '--openssl-config'])
  })

  test.each([
    ['before the library is loaded', 'before'],
    ['after it', 'after'],
  ])('TLS defaults and the name check patched %s: no effect, and named', async (_, when) => {
    const patch = `
      Object.assign(tls, {
        DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_MAX_VERSION: 'TLSv1.2', DEFAULT_CIPHERS: 'ALL:@SECLEVEL=0',
        checkServerIdentity: () => undefined,
      })`
    const result = await inProcess({
      before: when === 'before' ? patch : `const later = () => { ${patch} }`,
      body: `
        ${when === 'before' ? '' : 'later()'}
        out.ours = [await ours('misnamed'), await ours('tls11'), await ours('tls12'), await ours('pinned')]
        out.plain = [await socketTo('misnamed'), await socketTo('tls11')]`,
    })
    expect(result['ours']).toEqual(['ERR_TRUST_NAME_MISMATCH', 'ERR_TLS_VERSION', 'ERR_TLS_VERSION', 200])
    expect(result['plain']).toEqual(['TLSv1.2', 'TLSv1.1'])
    expect(result.posture).toEqual([
      'tls.checkServerIdentity',
      'tls.DEFAULT_MIN_VERSION',
      'tls.DEFAULT_MAX_VERSION',
      'tls.DEFAULT_CIPHERS',
    ])
  })

  test('--tls-keylog gets none of this client’s secrets, and all of plain code’s', async () => {
    const keylog = join(directory, 'keys.log')
    const result = await inProcess({
      flags: [`--tls-keylog=${keylog}`],
      body: `
        const logged = () => (fs.existsSync('${keylog}') ? fs.readFileSync('${keylog}', 'utf8').split('\\n').filter(Boolean) : [])
        out.ours = [await ours('pinned'), await ours('nobody'), await ours('tls12')]
        const socket = tls.connect({ host: '127.0.0.1', port: plan.ports.pinned, servername: 'localhost', ca: plan.anchors })
        const secrets = []
        socket.on('keylog', (line) => secrets.push(String(line).trim()))
        await new Promise((resolve) => socket.once('secureConnect', resolve))
        socket.end()
        while (!secrets.every((line) => logged().includes(line))) await new Promise((resolve) => setTimeout(resolve, 5))
        out.plain = secrets.length > 0
        out.others = logged().filter((line) => !secrets.includes(line))`,
    })
    expect(result).toEqual({
      ours: [200, 'ERR_TRUST_UNKNOWN_ISSUER', 'ERR_TLS_VERSION'],
      plain: true,
      others: [],
      posture: ['--tls-keylog'],
    })
  })
})

describe('B6, B32: other roads', () => {
  const named = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']

  test('proxy variables and a global dispatcher that heeds them: the proxy sees plain fetch and nothing of this client', async () => {
    const { port } = proxy.address() as { port: number }
    const url = `http://127.0.0.1:${port}`
    const result = await inProcess({
      env: { HTTPS_PROXY: url, HTTP_PROXY: url, ALL_PROXY: url, NODE_USE_ENV_PROXY: '1' },
      before: `undici.setGlobalDispatcher(new undici.EnvHttpProxyAgent())`,
      body: `
        out.ours = [await ours('pinned'), await ours('nobody')]
        out.plain = await plain('pinned')`,
    })
    expect(result['ours']).toEqual([200, 'ERR_TRUST_UNKNOWN_ISSUER'])
    expect(result['plain']).not.toBe(200)
    expect(new Set(proxied)).toEqual(new Set([`CONNECT localhost:${server('pinned').port} HTTP/1.1`]))
    expect(result.posture).toEqual([...named, 'setGlobalDispatcher'])
  })

  test('lower-case proxy variables are named too, and no value of theirs', async () => {
    const before = proxied.length
    const { port } = proxy.address() as { port: number }
    const result = await inProcess({
      env: { https_proxy: `http://user:hunter2@127.0.0.1:${port}`, HTTPS_PROXY: '' },
      body: `out.ours = await ours('pinned')`,
    })
    expect(result).toEqual({ ours: 200, posture: ['HTTPS_PROXY'] })
    expect(proxied.length).toBe(before)
  })

  test('a global dispatcher that checks nothing opens plain fetch; here: ERR_TRUST_UNKNOWN_ISSUER', async () => {
    const result = await inProcess({
      body: `
        undici.setGlobalDispatcher(new undici.Agent({ connect: { rejectUnauthorized: false } }))
        out.ours = [await ours('nobody'), await ours('misnamed'), await ours('pinned')]
        out.plain = await undici.fetch('https://localhost:' + plan.ports.nobody).then(({ status }) => status, code)`,
    })
    expect(result).toEqual({
      ours: ['ERR_TRUST_UNKNOWN_ISSUER', 'ERR_TRUST_NAME_MISMATCH', 200],
      plain: 200,
      posture: ['setGlobalDispatcher'],
    })
  })

  test('tls.connect and createSecureContext patched as some CA injectors do: refused, or without effect', async () => {
    const result = await inProcess({
      before: `
        const { connect, createSecureContext } = tls
        tls.createSecureContext = (options) => {
          const made = createSecureContext(options)
          made.context.addCACert(plan.setDefault) // the verdict of OpenSSL is theirs from here on
          return made
        }
        const weaken = (change) => { tls.connect = (options, ...rest) => connect({ ...options, ...change }, ...rest) }
        weaken({})`,
      body: `
        out.injected = [await ours('setDefault'), await ours('pinned')]
        weaken({ rejectUnauthorized: false })
        out.unverified = [await ours('nobody'), await make({ anchors: plan.anchors }).fetch('https://${HOST}:' + plan.ports.pinned).then((r) => r.status, code)]
        weaken({ requestOCSP: false })
        out.silent = await outcome(make({ anchors: plan.anchors }).fetch('https://${HOST}:' + plan.ports.pinned))
        weaken({ requestOCSP: false, checkServerIdentity: () => undefined })
        out.silentAndNamed = await outcome(make({ anchors: plan.anchors }).fetch('https://${HOST}:' + plan.ports.pinned))
        weaken({})
        out.plain = await socketTo('setDefault')`,
    })
    expect(result).toMatchObject({
      injected: ['ERR_TRUST_UNKNOWN_ISSUER', 200],
      unverified: ['ERR_TRUST_UNKNOWN_ISSUER', 200],
      silent: 'ERR_TRUST_NODE_REFUSED', // no event, no verdict
      silentAndNamed: 'ERR_TLS_NO_VERDICT',
      plain: 'TLSv1.3',
    })
  })
})

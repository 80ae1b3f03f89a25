import { execFile, spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { cli, cliJson, isoOf, type World, workplace } from './support.ts'

const DAY = 86_400_000
const exec = promisify(execFile)

describe('keys new', () => {
  test('makes a key for its holder and a public half for the root', async () => {
    const { path } = await workplace()
    const { exitCode, answer } = await cliJson([
      'keys',
      'new',
      'manifest',
      '--keys',
      path('k'),
      '--holder',
      'Alice B.',
      '--alg',
      'ES256',
    ])
    expect(exitCode).toBe(0)
    expect(answer.data).toMatchObject({ role: 'manifest', alg: 'ES256', holder: 'Alice B.', encrypted: false })
    expect(await readFile(path('k/manifest-alice-b.pem'), 'utf8')).toContain('PRIVATE KEY')
    const published = JSON.parse(await readFile(path('k/manifest-alice-b.pub.json'), 'utf8'))
    expect(published).toMatchObject({
      kty: 'EC',
      crv: 'P-256',
      alg: 'ES256',
      holder: 'Alice B.',
      kid: answer.data?.['kid'],
    })
    expect(published).not.toHaveProperty('d')
    const again = await cliJson(['keys', 'new', 'manifest', '--keys', path('k'), '--holder', 'Alice B.'])
    expect(again).toMatchObject({ exitCode: 3, answer: { error: { code: 'ERR_STORE_EXISTS' } } })
  })

  test('encrypts it with PINFETCH_PASSPHRASE', async () => {
    const { path } = await workplace()
    const env = { PINFETCH_PASSPHRASE: 'correct horse' }
    expect((await cliJson(['keys', 'new', 'root', '--keys', path('k')], { env })).answer.data).toMatchObject({
      encrypted: true,
    })
    expect(await readFile(path('k/root-1.pem'), 'utf8')).toContain('ENCRYPTED')
  })
})

test('keys list says which key of the root is where', async () => {
  const { path } = await startSolo({ env: { PINFETCH_PASSPHRASE: 'correct horse' } })
  await rm(path('pins.keys/root-spare.pem'))
  await cli(['keys', 'new', 'status', '--keys', path('pins.keys'), '--name', 'spare'])
  const list = async (env: Record<string, string>) =>
    (await cliJson(['keys', 'list', '--dir', path('pins')], { env })).answer.data
  expect(await list({ PINFETCH_PASSPHRASE: 'correct horse' })).toMatchObject({
    keys: [
      { role: 'root', file: 'root.pem', encrypted: true, threshold: 1 },
      { role: 'root', file: null },
      { role: 'manifest', file: 'manifest.pem' },
      { role: 'status', file: 'status.pem' },
    ],
    others: [{ file: 'status-spare.pem', encrypted: false }],
  })
  expect(await list({})).toMatchObject({
    keys: [{ file: null }, { file: null }, { file: null }, { file: null }],
    others: [{ kid: null }, { kid: null }, { file: 'status-spare.pem' }, { kid: null }],
  })
})

describe('keys rotate-root', () => {
  test('extends the life of the root and changes nothing else', async () => {
    const { path, publish, verify } = await startSolo()
    await publish()
    const now = Date.now() + 30 * DAY
    const { exitCode, answer } = await cliJson(['keys', 'rotate-root', '--dir', path('pins')], { now })
    expect(answer.data).toMatchObject({ root: { version: 2, expires: isoOf(now + 400 * DAY), pending: false } })
    expect(exitCode).toBe(0)
    await publish({ now })
    expect(await verify({ now })).toMatchObject({
      exitCode: 0,
      answer: { data: { root: { version: 2, from: 1 }, manifest: { version: 1 }, status: { version: 2 } } },
    })
  })

  test('a stolen status key: another key and a raised epoch, and the old one counts no longer', async () => {
    const { path, publish, verify, kidOf } = await startSolo()
    await publish()
    const stolen = await kidOf('status')
    await mkdir(path('attic'))
    await rename(path('pins.keys/status.pem'), path('attic/status.pem'))
    await cli(['keys', 'new', 'status', '--keys', path('pins.keys'), '--name', 'second'])
    const { answer } = await cliJson([
      ...['keys', 'rotate-root', '--dir', path('pins'), '--raise-epoch', 'status'],
      ...['--add', `status:${path('pins.keys/status-second.pub.json')}`, '--remove', stolen.slice(0, 12)],
    ])
    expect(answer).toMatchObject({ ok: true, data: { root: { version: 2 }, epochs: { manifest: 1, status: 2 } } })
    await cp(path('pins'), path('stolen'), { recursive: true })
    await publish()
    expect(await verify()).toMatchObject({
      exitCode: 0,
      answer: { data: { status: { version: 2 }, manifest: { version: 1 } } },
    })
    const thief = await cliJson(['manifest', 'sign', '--status-only', '--dir', path('stolen'), '--keys', path('attic')])
    expect(thief).toMatchObject({ exitCode: 4, answer: { error: { code: 'ERR_MANIFEST_SIG_THRESHOLD' } } })
  })

  test('stolen manifest keys: the manifest is signed anew under the raised epoch, without a change to the list', async () => {
    const { path, publish, verify } = await startSolo()
    await publish()
    await cli(['keys', 'rotate-root', '--dir', path('pins'), '--raise-epoch', 'manifest'])
    await publish()
    expect(await verify()).toMatchObject({ exitCode: 0, answer: { data: { manifest: { version: 2 } } } })
  })

  test('waits for the holders elsewhere, whose signatures are merged', async () => {
    const { path } = await workplace()
    await ok(['init', path('pins'), '--repo', 'acme/pins', '--profile', 'team'])
    for (const number of [2, 3]) {
      await mkdir(path(`holder${number}`))
      await rename(path(`pins.keys/root-${number}.pem`), path(`holder${number}/root-1.pem`))
    }
    const first = await cliJson(['keys', 'rotate-root', '--dir', path('pins'), '--threshold', 'status:1'])
    expect(first).toMatchObject({ exitCode: 0, answer: { data: { root: { version: 2, pending: true } } } })
    const clash = await cliJson(['keys', 'rotate-root', '--dir', path('pins'), '--raise-epoch', 'status'])
    expect(clash).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
    await cp(path('pins/pending/root.json'), path('copy.json'))
    // Whoever means to sign a manifest does not hand over all keys because somebody calls a root one.
    const before = await readFile(path('copy.json'))
    const unaware = await cliJson(['manifest', 'sign', path('copy.json'), '--keys', path('holder2')])
    expect(unaware).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining('--type root') } },
    })
    expect(await readFile(path('copy.json'))).toEqual(before)
    await ok(['manifest', 'sign', path('copy.json'), '--keys', path('holder2'), '--type', 'root'])
    await ok(['manifest', 'merge', path('copy.json'), '--dir', path('pins')])
    await ok(['manifest', 'publish', '--dir', path('pins'), '--to', path('public')])
    const argv = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
    expect((await cliJson(argv)).answer.data).toMatchObject({
      root: { version: 2 },
      roles: { root: { signedBy: { length: 2 } } },
    })
  })

  test.each([
    ['--add', 'alice.pub.json', 'not role:file'],
    ['--remove', 'nobody-here', 'not a key of the root'],
    ['--threshold', 'manifest', 'not role:number'],
  ])('refuses %s %s', async (option, value, message) => {
    const { path } = await startSolo()
    const { exitCode, answer } = await cliJson(['keys', 'rotate-root', '--dir', path('pins'), option, value])
    expect(answer.error).toMatchObject({ code: 'ERR_CONFIG_USAGE', message: expect.stringContaining(message) })
    expect(exitCode).toBe(2)
  })

  test('a threshold that nobody can reach is refused, as clients would', async () => {
    const { path } = await startSolo()
    const { exitCode, answer } = await cliJson([
      'keys',
      'rotate-root',
      '--dir',
      path('pins'),
      '--threshold',
      'manifest:2',
    ])
    expect(answer.error?.code).toBe('ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE')
    expect(exitCode).toBe(4)
  })
})

describe('--signer', () => {
  test.each(['Ed25519', 'ES256'] as const)('an external program signs for %s', async (alg) => {
    const { path, publish, verify } = await startWithSigner(alg)
    const { exitCode, stderr } = await publish(
      {},
      '--signer',
      `${process.execPath} ${path('sign.mjs')} ${path('vault.pem')}`,
    )
    expect([exitCode, stderr]).toEqual([0, expect.anything()])
    expect(await verify()).toMatchObject({ exitCode: 0, answer: { data: { manifest: { version: 1 } } } })
  })

  test('what answers something else, fails, or does not exist gets ERR_CONFIG_SIGNER, and nothing is signed', async () => {
    const { path, publish } = await startWithSigner('Ed25519')
    await writeFile(path('other.pem'), testCa().issue({ keyType: 'Ed25519' }).keyPem)
    for (const command of [
      `${process.execPath} ${path('sign.mjs')} ${path('other.pem')}`,
      `${process.execPath} ${path('sign.mjs')} ${path('nothing.pem')}`,
      'no-such-program --at all',
      `${process.execPath} -e "process.stdout.write('not a signature')"`,
    ]) {
      const { exitCode, stderr } = await publish({}, '--signer', command)
      expect(stderr).toContain('ERR_CONFIG_SIGNER')
      expect(exitCode).toBe(2)
    }
    await expect(readFile(path('pins/status.json'))).rejects.toThrow()
  })

  test('where several keys of a role are elsewhere, it has to be said which', async () => {
    const { path } = await workplace()
    await ok(['init', path('pins'), '--repo', 'acme/pins', '--profile', 'team'])
    for (const number of [1, 2, 3]) await rm(path(`pins.keys/manifest-${number}.pem`))
    const sign = ['manifest', 'sign', '--dir', path('pins'), '--signer', 'sign-it']
    expect(await cliJson(sign)).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_USAGE', hint: expect.stringContaining('=sign-it') } },
    })
  })

  const hasTokens = ['softhsm2-util', 'pkcs11-tool'].every((tool) => spawnSync(tool, ['--help']).error === undefined)
  if (!hasTokens) {
    process.stderr.write('keys.test.ts: the SoftHSM2 test is not run: Debian packages softhsm2 and opensc\n')
  }
  test.runIf(hasTokens || process.env['CI'] === 'true')('a key in SoftHSM2 signs through pkcs11-tool', async () => {
    const { path } = await workplace()
    await mkdir(path('tokens'))
    await writeFile(path('softhsm2.conf'), `directories.tokendir = ${path('tokens')}\n`)
    const env = { ...process.env, SOFTHSM2_CONF: path('softhsm2.conf') }
    const module = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(existsSync)
    const tool = ['--module', String(module), '--token-label', 'pins', '--login', '--pin', '1234']
    const pkcs11 = (...more: readonly string[]) => exec('pkcs11-tool', [...tool, ...more], { env })
    await exec('softhsm2-util', ['--init-token', '--free', '--label', 'pins', '--pin', '1234', '--so-pin', '1234'], {
      env,
    })
    await pkcs11('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '07')
    await pkcs11('--read-object', '--type', 'pubkey', '--id', '07', '-o', path('pub.der'))
    const publicKey = createPublicKey({ key: await readFile(path('pub.der')), format: 'der', type: 'spki' })
    await writeFile(path('hsm.pub.json'), JSON.stringify(publicKey.export({ format: 'jwk' })))
    const [digest, signature] = [path('digest'), path('signature')]
    await writeFile(path('hash.mjs'), HASH)
    await writeFile(
      path('hsm-sign'),
      [
        '#!/bin/sh -e', // the token signs digests, so the hash is made before; it answers r and s, 32 bytes each
        `export SOFTHSM2_CONF=${path('softhsm2.conf')}`,
        `${process.execPath} ${path('hash.mjs')} > ${digest}`,
        `pkcs11-tool ${tool.join(' ')} --sign --id 07 -m ECDSA -i ${digest} -o ${signature} > /dev/null`,
        `cat ${signature}`,
      ].join('\n'),
    )
    await chmod(path('hsm-sign'), 0o755)
    const { publish, verify } = await startSolo({}, path)
    await replaceManifestKey(path, path('hsm.pub.json'))
    expect(await publish({}, '--signer', path('hsm-sign'))).toMatchObject({ exitCode: 0 })
    expect(await verify()).toMatchObject({ exitCode: 0, answer: { data: { manifest: { version: 1 } } } })
    await writeFile(path('softhsm2.conf'), 'directories.tokendir = /nowhere\n') // the token is pulled out
    await cli(['manifest', 'add-pin', 'a.example.com', testCa().issue().pin, '--dir', path('pins')])
    const refused = await publish({}, '--signer', path('hsm-sign'))
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('ERR_CONFIG_SIGNER') })
  })
})

/** A repository whose manifest key only an external program has. */
async function startWithSigner(alg: 'Ed25519' | 'ES256') {
  const world = await startSolo()
  const { path } = world
  await ok(['keys', 'new', 'manifest', '--keys', path('vault'), '--alg', alg, '--name', 'hsm'])
  await rename(path('vault/manifest-hsm.pem'), path('vault.pem'))
  await writeFile(path('sign.mjs'), SIGN)
  await replaceManifestKey(path, path('vault/manifest-hsm.pub.json'))
  return world
}

async function replaceManifestKey(path: (name: string) => string, publicKey: string): Promise<void> {
  const kid = await kidIn(path('pins'), 'manifest')
  await ok(['keys', 'rotate-root', '--dir', path('pins'), '--add', `manifest:${publicKey}`, '--remove', kid])
  await rm(path('pins.keys/manifest.pem'))
}

async function startSolo(world: World = {}, at?: (name: string) => string) {
  const path = at ?? (await workplace()).path
  await ok(['init', path('pins'), '--repo', 'acme/pins'], world)
  const pins = [testCa().issue().pin, testCa().issue().pin]
  await ok(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), ...pins.flatMap((pin) => ['--pin', pin])])
  const publish = (when: World = {}, ...more: readonly string[]) =>
    cli(['manifest', 'publish', '--dir', path('pins'), '--to', path('public'), ...more], when)
  const verify = (when: World = {}) =>
    cliJson(['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')], when)
  return { path, publish, verify, kidOf: (role: string) => kidIn(path('pins'), role) }
}

async function kidIn(directory: string, role: string): Promise<string> {
  const { answer } = await cliJson(['keys', 'list', '--dir', directory])
  const keys = answer.data?.['keys'] as readonly { readonly role: string; readonly kid: string }[]
  return keys.find((key) => key.role === role)?.kid ?? ''
}

async function ok(argv: readonly string[], world?: World): Promise<void> {
  const { exitCode, stderr } = await cli(argv, world)
  if (exitCode !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
}

/** What a KMS client is: bytes on standard input, the signature on standard output; ES256 in DER, as AWS and OpenSSL give it. */
const SIGN = `
import { createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
const key = createPrivateKey(readFileSync(process.argv[2]))
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
process.stdout.write(sign(key.asymmetricKeyType === 'ec' ? 'sha256' : null, Buffer.concat(chunks), key))
`

const HASH = `
import { createHash } from 'node:crypto'
const hash = createHash('sha256')
for await (const chunk of process.stdin) hash.update(chunk)
process.stdout.write(hash.digest())
`

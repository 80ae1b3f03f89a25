import { spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { httpSignature, verificationKey } from 'pinfetch/signing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { pkcs11Signer } from '../../examples/signing-pkcs11.ts'
import { verifySignature } from '../../src/keys/verification-key.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readSignatures } from '../../src/signing/signature-fields.ts'
import { refusalOf } from '../support/client.ts'
import { messageOf, signingStage } from '../support/signing-stage.ts'

const PKCS11_TOOL = 'pkcs11-tool'
const MODULES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so']
const module = MODULES.find(existsSync) ?? ''
const isReady = module !== '' && spawnSync(PKCS11_TOOL, ['--help']).error === undefined
if (!isReady) process.stderr.write('not run: a signing key in a PKCS #11 token: Debian packages softhsm2 and opensc\n')

test.runIf(isReady || process.env['CI'] === 'true')(
  'a key that never leaves its token signs requests; one of another public key signs none: ERR_SIGN_SELF_CHECK_FAILED',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-signing-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const at = (name: string): string => join(folder, name)
    mkdirSync(at('tokens'))
    writeFileSync(at('softhsm2.conf'), `directories.tokendir = ${at('tokens')}\n`)
    vi.stubEnv('SOFTHSM2_CONF', at('softhsm2.conf'))
    vi.stubEnv('TOKEN_PIN', '1234')
    onTestFinished(() => void vi.unstubAllEnvs())
    const run = (program: string, ...args: readonly string[]): void => {
      const { status, stderr } = spawnSync(program, args)
      if (status !== 0) expect.fail(String(stderr))
    }
    run('softhsm2-util', '--init-token', '--free', '--label', 'signing', '--pin', '1234', '--so-pin', '1234')
    const token = ['--module', module, '--token-label', 'signing']
    const publicKeyOf = (id: string) => {
      run(PKCS11_TOOL, ...token, '--login', '--pin', '1234', '--keypairgen', '--key-type', 'EC:prime256v1', '--id', id)
      run(PKCS11_TOOL, ...token, '--read-object', '--type', 'pubkey', '--id', id, '-o', at(id))
      return createPublicKey({ key: readFileSync(at(id)), format: 'der', type: 'spki' })
    }
    const [own, other] = [publicKeyOf('07'), publicKeyOf('08')]
    const key = { module, token: 'signing', id: '07', pinVariable: 'TOKEN_PIN', keyId: 'token-7' }

    const { client, url, api, authority } = await signingStage(
      httpSignature({ keys: pkcs11Signer({ ...key, publicKey: own }) }),
    )
    expect((await client.fetch(url('/pay'), { method: 'POST', body: '{"amount":1}' })).status).toBe(200)
    const [request] = api.requests
    if (request === undefined) expect.fail('no request')
    const message = messageOf(request, authority)
    const [signature] = readSignatures(message.fields).values()
    if (signature === undefined) expect.fail('no signature')
    expect(signature.parameters.keyid).toBe('token-7')
    const base = Buffer.from(signatureBase(signature.components, signature.parametersText, message))
    expect(verifySignature(verificationKey(own, { keyId: 'token-7' }), base, signature.signature)).toBe(true)
    expect(verifySignature(verificationKey(other, { keyId: 'token-7' }), base, signature.signature)).toBe(false)

    const wrong = await signingStage(httpSignature({ keys: pkcs11Signer({ ...key, publicKey: other }) }))
    await refusalOf(wrong.client.fetch(wrong.url()), 'ERR_SIGN_SELF_CHECK_FAILED')
    expect(wrong.api.connections).toHaveLength(0)
  },
  60_000,
)

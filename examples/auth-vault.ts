/**
 * Secrets and keys that others keep: the password comes from a vault, with the time it is good for, and the key that signs never
 * leaves the key service. Both are functions of yours; the SDK of your cloud goes inside. `npx tsx examples/auth-vault.ts`.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createClient } from 'pinfetch'
import { basic, oauth, type SecretCallback, type Signer } from 'pinfetch/auth'
import { startLab } from './auth-lab.ts'

const { trust, issuer, metadata, apiOrigin, close } = await startLab()

/** As HashiCorp Vault answers: a lease, and another version when a server refused this one. */
const fromVault: SecretCallback = async ({ reason, previousVersion, signal }) => {
  signal.throwIfAborted()
  console.log(`vault: asked (${reason}${previousVersion === undefined ? '' : `, after ${previousVersion}`})`)
  const { version, value, leaseSeconds } = await vault.read('database/creds/reports')
  return { value, version, expiresAt: new Date(Date.now() + leaseSeconds * 1_000) }
}

/** As AWS KMS signs: a name for the key, the bytes to sign, and a signature. `r || s`, where a service answers DER. */
const byKeyService: Signer = {
  algorithm: 'ecdsa-p256-sha256',
  keyId: 'alias/orders',
  sign: async (message, { signal }) => {
    signal.throwIfAborted()
    return keyService.sign('alias/orders', message)
  },
}

const vault = {
  count: 0,
  read: async (_path: string) => ({
    version: `v${++vault.count}`,
    value: randomBytes(24).toString('base64url'),
    leaseSeconds: 3_600,
  }),
}
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const keyService = {
  publicKey: createPublicKey(privateKey),
  sign: async (_key: string, message: Uint8Array) =>
    new Uint8Array(sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
}

const orders = createClient({
  ...trust,
  auth: oauth({
    ...{ issuer, metadata, allowedOrigins: [apiOrigin] },
    client: { id: 'orders', authentication: { method: 'private_key_jwt', signer: byKeyService } },
    grant: { type: 'client_credentials' },
  }),
})
console.log(`signed by the key service: ${(await orders.fetch(`${apiOrigin}/orders`)).status}`)

const reports = createClient({
  ...trust,
  auth: basic({ username: 'reports', password: fromVault, allowedOrigins: [apiOrigin] }),
})
const { status } = await reports.fetch(`${apiOrigin}/reports`) // the lab knows no passwords: 401 has the vault asked again
console.log(`with a password of the vault: ${status}`)

await Promise.all([orders.close(), reports.close()])
await close()

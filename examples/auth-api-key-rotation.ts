/**
 * An API key in a file that somebody else rotates, as a Kubernetes secret: the new key is in force within two seconds, and a server
 * that does not know it yet still gets the old one. `npx tsx examples/auth-api-key-rotation.ts`.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'pinfetch'
import { apiKey } from 'pinfetch/auth'
import { startLab } from './auth-lab.ts'

const { trust, apiOrigin, lab, close } = await startLab()
const folder = mkdtempSync(join(tmpdir(), 'pinfetch-example-'))
const file = join(folder, 'partner-key')
const write = (key: string): void => writeFileSync(file, key, { mode: 0o600 })
write(lab.apiKeys[0] ?? '')

const client = createClient({
  ...trust,
  auth: apiKey({ header: 'x-api-key', source: { file }, allowedOrigins: [apiOrigin] }),
})
const ask = async (when: string): Promise<void> => {
  const { status } = await client.fetch(`${apiOrigin}/rates`)
  console.log(`${when}: ${status}`)
}
await ask('with the first key')

const next = randomBytes(24).toString('base64url')
const changed = new Promise((resolve) => client.on('secret.changed', resolve))
write(next) // the partner's servers do not know it yet
await changed
await ask('with a key that is too new')
lab.apiKeys = [next] // now they do, and forget the old one
await ask('with the second key')

await client.close()
await close()
rmSync(folder, { recursive: true })

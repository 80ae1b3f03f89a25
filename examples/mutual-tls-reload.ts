/**
 * A client certificate that is renewed on disk, by cert-manager or an agent of the CA: the next connections show the new one,
 * and nothing restarts. `npx tsx examples/mutual-tls-reload.ts`.
 */
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'pinfetch'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const api = await startTlsServer({ identity, requestCert: true })

const folder = mkdtempSync(join(tmpdir(), 'pinfetch-mtls-'))
const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
const clients = testCa({ name: 'Clients' })
const issue = (subject: string): TestCertificate => clients.issue({ subject, extendedKeyUsage: ['clientAuth'] })
write(issue('orders 1'))

const client = createClient({
  pins: { localhost: [identity.pin] },
  anchors: ca.anchorPem,
  certificate: { certFile, keyFile },
})
console.log('shown:', await shown())

const loaded = new Promise<void>((resolve) => client.on('certificate.loaded', () => resolve()))
write(issue('orders 2'))
await loaded // noticed at once where the file system tells, otherwise within half a second
console.log('shown:', await shown())

await client.close()
await api.close()
rmSync(folder, { recursive: true })

async function shown(): Promise<string | undefined> {
  await client.fetch(api.origin)
  const der = api.clientCertificates.at(-1)
  return der && new X509Certificate(der).subject
}

/** Each file whole or not at all; a pair that does not belong together is passed over until the other file is there. */
function write({ pem, keyPem }: TestCertificate): void {
  writeFileSync(`${keyFile}.new`, keyPem, { mode: 0o600 })
  writeFileSync(`${certFile}.new`, pem)
  renameSync(`${keyFile}.new`, keyFile)
  renameSync(`${certFile}.new`, certFile)
}

/**
 * Pins from a ConfigMap: the manifest host's documents as one bundle, mounted into the pod, followed without a restart. Kubernetes
 * writes a volume as a folder a generation, and swaps the link `..data` to the newest. Mount the volume, not the file (`subPath`):
 * a file that is mounted by itself never changes. `npx tsx examples/kubernetes-configmap.ts`.
 *
 * @example
 * kubectl create configmap pins --from-file=pins.json --dry-run=client -o yaml | kubectl apply -f -
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'pinfetch'
import { createTestRepository, startTlsServer, type TestRepository, testCa } from 'pinfetch/testing'

const ca = testCa()
const [old, next] = [ca.issue({ names: ['localhost'] }), ca.issue({ names: ['localhost'] })]
const api = await startTlsServer({ identity: old })
const repository = await createTestRepository({ hosts: { localhost: [old.pin] } })
const volume = mkdtempSync(join(tmpdir(), 'pinfetch-configmap-')) // volumeMounts: [{ name: pins, mountPath: /etc/pins }]
applyConfigMap(1)

const client = createClient({
  manifest: { url: join(volume, 'pins.json'), root: repository.root, memoryOnly: true },
  anchors: ca.anchorPem,
})
await client.ready()
console.log(`manifest ${client.manifest.version}:`, (await client.fetch(api.origin)).status)

const activated = new Promise<void>((resolve) => client.on('manifest.activated', ({ to }) => to === 2 && resolve()))
await repository.publish({ hosts: { localhost: [next.pin] } })
applyConfigMap(2)
await activated // within two seconds of the swap, whatever the poll interval is

api.setIdentity(next)
api.destroyConnections()
console.log(`manifest ${client.manifest.version}:`, (await client.fetch(api.origin)).status)

await client.close()
await api.close()
rmSync(volume, { recursive: true })

/** What kubelet does when the ConfigMap changed. */
function applyConfigMap(generation: number): void {
  const folder = `..2026_01_0${generation}`
  mkdirSync(join(volume, folder))
  writeFileSync(join(volume, folder, 'pins.json'), bundleOf(repository))
  symlinkSync(folder, join(volume, '..data_tmp'))
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'))
  if (generation === 1) symlinkSync(join('..data', 'pins.json'), join(volume, 'pins.json'))
}

/** The published documents as they are, in one JSON text. */
function bundleOf({ files }: TestRepository): string {
  const read = (path: string): unknown => JSON.parse(Buffer.from(files().get(path) ?? []).toString())
  const manifests = [...files().keys()].filter((path) => path.startsWith('manifests/'))
  return JSON.stringify({ status: read('status.json'), manifest: read(manifests.at(-1) ?? '') })
}

import {
  createTestRepository,
  type ManifestServer,
  startManifestServer,
  type TestCa,
  type TestHosts,
  type TestRepository,
  type TestRepositoryOptions,
} from 'pinfetch/testing'
import { until } from './client.ts'

export interface TestPins {
  readonly repository: TestRepository
  readonly server: ManifestServer
  /** What `createClient` takes as `manifest`. */
  readonly manifest: { readonly url: string; readonly root: Uint8Array; readonly memoryOnly: true }
}

/** A signed repository behind an https server of this name, ended with the test. */
export async function startTestPins(options: {
  readonly ca: TestCa
  readonly name: string
  readonly hosts: TestHosts
  readonly repository?: TestRepositoryOptions
}): Promise<TestPins> {
  const { ca, name, hosts, repository: more = {} } = options
  const repository = await createTestRepository({ ...more, hosts })
  const server = await until(startManifestServer({ files: repository, identity: ca.issue({ names: [name] }) }))
  const url = `https://${name}:${server.port}/`
  return { repository, server, manifest: { url, root: repository.root, memoryOnly: true } }
}

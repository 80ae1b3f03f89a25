import type { ClientOptions } from '../client/options.ts'
import type { PinText } from '../encoding/pin.ts'
import { type TestCa, testCa } from './ca.ts'
import { LOOPBACK } from './loopback.ts'
import { type ManifestServer, startManifestServer } from './manifest-server.ts'
import { createTestRepository, type TestHosts, type TestRepository, type TestRepositoryOptions } from './repository.ts'

/**
 * Signed pins for a test, served: a repository with its keys, and a manifest server in front of it.
 *
 * @example
 * const api = await startPinnedServer()
 * const pins = await servePins({ localhost: api.pins }, { ca: api.ca }) // publish
 * const client = createClient({ ...pins.clientOptions })
 * await pins.publish({ localhost: [nextPin, backupPin] }) // rotate; the client learns of it by client.manifest.refresh()
 * await pins.kill(stolenPin) // and refuses the key with ERR_TRUST_PIN_DENIED
 */
export async function servePins(hosts: TestHosts, options: ServePinsOptions = {}): Promise<ServedPins> {
  const { ca = testCa({ name: 'Pins' }), ...rest } = options
  const repository = await createTestRepository({ ...rest, hosts })
  const server = await startManifestServer({ files: repository, identity: ca.issue({ names: ['localhost'] }) })
  return {
    repository,
    server,
    clientOptions: {
      manifest: { url: server.url, root: repository.root, memoryOnly: true },
      anchors: ca.anchorPem,
      resolver: async () => [LOOPBACK],
    },
    publish: (changed) => repository.publish({ hosts: changed }),
    kill: (...spkis) => repository.deny(spkis),
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  }
}

/** What the manifest says beside hosts and pins. */
export interface ServePinsOptions extends Omit<TestRepositoryOptions, 'hosts'> {
  /** Of the manifest server, and the only anchor of `clientOptions`: give that of the services which the pins are of. */
  readonly ca?: TestCa
}

/** Signed pins behind a server, and the options of a client for them. */
export interface ServedPins extends AsyncDisposable {
  /** For `createClient`: the manifest, the CA as only anchor, and a resolver that sends every name to loopback. */
  readonly clientOptions: Pick<ClientOptions, 'anchors' | 'resolver'> & {
    readonly manifest: { readonly url: string; readonly root: Uint8Array; readonly memoryOnly: true }
  }
  /** The next manifest. A client has it after its next poll, or `client.manifest.refresh()`. */
  readonly publish: (hosts: TestHosts) => Promise<void>
  /** Denies these keys at once and on every host, in place of those that were denied before. */
  readonly kill: (...spkis: readonly PinText[]) => Promise<void>
  /** For everything else: roots, canaries, what the documents say. */
  readonly repository: TestRepository
  /** For what goes wrong on the way: faults, freezes and rollbacks. */
  readonly server: ManifestServer
  readonly close: () => Promise<void>
}

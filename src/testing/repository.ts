import type { HostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import { systemRuntime } from '../ports/system.ts'
import type { HostInput } from '../publisher/documents.ts'
import {
  createRepository,
  type PublishManifest,
  type PublishStatus,
  type Repository,
  type RepositoryOptions,
  type RotateRoot,
} from '../publisher/repository.ts'

/**
 * A signed manifest repository in memory, with its keys, that publishes at the time of a clock. What it has published is
 * served by `startManifestServer({ files: repository, identity })`.
 *
 * @example
 * const repository = await createTestRepository({ hosts: { 'api.example.com': [server.pin, spare.pin] } })
 * const client = createClient({ manifest: { url: manifestServer.url, root: repository.root } })
 * await repository.publish({ hosts: { 'api.example.com': [next.pin, spare.pin] } })
 */
export async function createTestRepository(options: TestRepositoryOptions = {}): Promise<TestRepository> {
  const { hosts, clock = systemRuntime.clock, ...rest } = options
  const repo = options.repo ?? 'test/pins'
  const env = options.env ?? 'test'
  const instant = (): number => clock.now()
  const repository = await createRepository({ ...rest, repo, env, now: instant() })
  let newest: TestHosts = {}

  const publish: TestRepository['publish'] = async ({ hosts: changed = newest, ...more } = {}) => {
    newest = changed
    await repository.publishManifest(hostInputs(changed), { now: instant(), ...more })
  }
  if (hosts !== undefined) await publish({ hosts })

  return {
    root: repository.anchor,
    repo,
    env,
    files: repository.files,
    publish,
    publishStatus: (more = {}) => repository.publishStatus({ now: instant(), ...more }),
    deny: (spkis, reason = 'denied by the test') =>
      repository.publishStatus({ now: instant(), deny: spkis.map((spki) => ({ spki, reason })) }),
    rotateRoot: async (more = {}) => {
      await repository.rotateRoot({ now: instant(), ...more })
      if (repository.versions().manifest > 0) await repository.publishStatus({ now: instant() })
    },
    repository,
  }
}

/** What is published first, and by which clock. */
export interface TestRepositoryOptions extends Partial<Omit<RepositoryOptions, 'now'>> {
  /** Published at once as version 1. Default: nothing but the root. */
  readonly hosts?: TestHosts
  /** Whose time the documents carry: the machine's by default, `createTestRuntime().clock` to move it. */
  readonly clock?: { readonly now: () => number }
}

/** Hosts as the document has them, or pins by host pattern: enforced, and a lone pin marked as meant to be alone. */
export type TestHosts = readonly HostInput[] | Readonly<Record<HostPattern, readonly PinText[]>>

/** Signed documents with their keys, in memory. */
export interface TestRepository {
  /** The first root document: what a client is given. */
  readonly root: Uint8Array
  readonly repo: string
  readonly env: string
  /** Path below the base URL to bytes, for everything published so far. */
  readonly files: () => Map<string, Uint8Array>
  /** The next manifest and the status that names it. Without `hosts`, the newest ones again. */
  readonly publish: (options?: { readonly hosts?: TestHosts } & Partial<PublishManifest>) => Promise<void>
  /** The next status for the newest manifest. */
  readonly publishStatus: (options?: Partial<PublishStatus>) => Promise<void>
  /** The next status with these keys on the deny list, in place of those that were. */
  readonly deny: (spkis: readonly PinText[], reason?: string) => Promise<void>
  /** The next root, and a status that points at it once there is a manifest. */
  readonly rotateRoot: (options?: Partial<RotateRoot>) => Promise<void>
  /** The publisher underneath, for everything else. */
  readonly repository: Repository
}

function hostInputs(hosts: TestHosts): readonly HostInput[] {
  if (isList(hosts)) return hosts
  return Object.entries(hosts).map(([host, spkis]) => ({
    host,
    mode: 'enforce',
    pins: spkis.map((spki) => ({ spki })),
    ...(spkis.length === 1 ? { singlePin: true } : {}),
  }))
}

const isList = (hosts: TestHosts): hosts is readonly HostInput[] => Array.isArray(hosts)

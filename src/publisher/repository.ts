import { createHash } from 'node:crypto'
import {
  type HostInput,
  hostBlobs,
  type ManifestInput,
  manifestPayload,
  type RootInput,
  rootPayload,
  type StatusInput,
  statusPayload,
} from './documents.ts'
import { generateSigningKey, type SigningAlgorithm, type SigningKey } from './keys.ts'
import { signDocument } from './sign.ts'

export interface RepositoryOptions {
  readonly repo: string
  readonly env: string
  /** Unix milliseconds of the first root. Every later call brings its own. */
  readonly now: number
  /** Default: what one person can keep: root 1 of 2 keys, manifest 1 of 1, status 1 of 1. */
  readonly roles?: Partial<Record<RoleName, { readonly keys: readonly SigningKey[]; readonly threshold: number }>>
  readonly alg?: SigningAlgorithm
  readonly mayDeny?: boolean
  readonly rootTtlMs?: number
}

export type RoleName = 'root' | 'manifest' | 'status'

export interface Repository {
  /** The first root: what an application ships. */
  readonly anchor: Uint8Array
  /** The newest root. */
  readonly root: () => Uint8Array
  /** Who signs now. */
  readonly roles: () => Roles
  /** Path below the base URL to bytes, for everything published so far. */
  readonly files: () => Map<string, Uint8Array>
  readonly versions: () => { readonly root: number; readonly status: number; readonly manifest: number }
  /**
   * Publishes a manifest under the next version, and the status that names it. Hosts that make it longer than 1 MiB go into
   * blobs beside it.
   */
  readonly publishManifest: (hosts: readonly HostInput[], options: PublishManifest) => Promise<void>
  /** Publishes a status under the next version, naming the newest manifest. Denies and poll hint stay until changed. */
  readonly publishStatus: (options: PublishStatus) => Promise<void>
  /** Publishes the next root, signed by the thresholds before and after. The status keeps its old hint until published again. */
  readonly rotateRoot: (options: RotateRoot) => Promise<void>
}

export interface PublishManifest {
  readonly now: number
  readonly version?: number
  readonly ttlMs?: number
  /** Seconds. */
  readonly staleGrace?: number
  /** Further members of the payload. */
  readonly members?: Partial<Omit<ManifestInput, 'hosts'>>
  /** Default `true`. `'canary'` names it as the canary for so many percent, beside the current one. */
  readonly status?: boolean | { readonly canaryPercent: number; readonly salt: string }
}

export interface PublishStatus {
  readonly now: number
  readonly version?: number
  readonly ttlMs?: number
  readonly deny?: StatusInput['deny']
  readonly poll?: StatusInput['poll']
  readonly members?: Partial<StatusInput>
}

export interface RotateRoot {
  readonly now: number
  readonly roles?: RepositoryOptions['roles']
  /** Roles whose keys were stolen: what they signed so far no longer counts. */
  readonly raiseEpoch?: readonly ('manifest' | 'status')[]
  readonly ttlMs?: number
  readonly members?: Partial<RootInput>
}

export type Roles = Readonly<Record<RoleName, { readonly keys: readonly SigningKey[]; readonly threshold: number }>>

/** A signed repository in memory, with its keys: for tests, for trying things out, and as the core of publishing tools. */
export async function createRepository(options: RepositoryOptions): Promise<Repository> {
  const { repo, env, alg = 'Ed25519', mayDeny = true } = options
  const identity = { repo, env }
  const files = new Map<string, Uint8Array>()
  let roles: Roles = { ...(await soloRoles(alg, options.roles)), ...options.roles }
  const epochs = { manifest: 1, status: 1 }
  let rootVersion = 0
  let statusVersion = 0
  let manifestVersion = 0
  let named: Pointer | undefined
  let canary: StatusInput['canary']
  let deny: StatusInput['deny']
  let poll: StatusInput['poll'] = { interval: 300, spread: 0.25 }

  const publishRoot = async (
    now: number,
    ttlMs: number,
    signers: readonly SigningKey[],
    members: Partial<RootInput> = {},
  ) => {
    rootVersion += 1
    const payload = rootPayload({
      ...identity,
      version: rootVersion,
      issuedAt: now,
      expires: now + ttlMs,
      keys: distinct([...roles.root.keys, ...roles.manifest.keys, ...roles.status.keys]),
      roles: {
        root: roles.root,
        manifest: { ...roles.manifest, epoch: epochs.manifest },
        status: { ...roles.status, epoch: epochs.status, mayDeny },
      },
      ...members,
    })
    files.set(`roots/${rootVersion}.json`, await signDocument(payload, 'root', distinct(signers)))
  }

  const publishStatus: Repository['publishStatus'] = async (given) => {
    const { now, ttlMs = STATUS_TTL_MS, members = {} } = given
    if (named === undefined) throw new TypeError('publish a manifest before a status')
    statusVersion = given.version ?? statusVersion + 1
    if (given.deny !== undefined) deny = given.deny
    if (given.poll !== undefined) poll = given.poll
    const payload = statusPayload({
      ...identity,
      version: statusVersion,
      issuedAt: now,
      expires: now + ttlMs,
      epoch: epochs.status,
      root: { version: rootVersion },
      manifest: named,
      poll,
      ...(canary === undefined ? {} : { canary }),
      ...(deny === undefined ? {} : { deny }),
      ...members,
    })
    files.set('status.json', await signDocument(payload, 'status', roles.status.keys))
  }

  const publishManifest: Repository['publishManifest'] = async (hosts, given) => {
    const { now, ttlMs = MANIFEST_TTL_MS, staleGrace = STALE_GRACE_S, members = {}, status = true } = given
    manifestVersion = given.version ?? manifestVersion + 1
    const facts = { ...identity, version: manifestVersion, issuedAt: now, expires: now + ttlMs }
    const common = { ...facts, epoch: epochs.manifest, staleGrace }
    const inline = manifestPayload({ ...common, hosts: [...hosts], ...members })
    const blobs = inline.length > MAX_PAYLOAD_BYTES ? hostBlobs(hosts) : []
    const payload =
      blobs.length === 0 ? inline : manifestPayload({ ...common, blobs: blobs.map(pointerTo), ...members })
    for (const blob of blobs) files.set(`blobs/${sha256(blob)}.json`, blob)
    const pointer = { version: manifestVersion, length: payload.length, sha256: sha256(payload) }
    const document = await signDocument(payload, 'manifest', roles.manifest.keys)
    files.set(`manifests/${pointer.version}.${pointer.sha256}.json`, document)
    if (typeof status === 'object') canary = { manifest: pointer, percent: status.canaryPercent, salt: status.salt }
    else {
      named = pointer
      canary = undefined
    }
    if (status !== false) await publishStatus({ now })
  }

  await publishRoot(options.now, options.rootTtlMs ?? ROOT_TTL_MS, roles.root.keys)
  const anchor = files.get('roots/1.json') ?? new Uint8Array()

  return {
    anchor,
    root: () => files.get(`roots/${rootVersion}.json`) ?? anchor,
    roles: () => roles,
    files: () => new Map(files),
    versions: () => ({ root: rootVersion, status: statusVersion, manifest: manifestVersion }),
    publishManifest,
    publishStatus,
    rotateRoot: async ({ now, roles: changed, raiseEpoch = [], ttlMs = ROOT_TTL_MS, members }) => {
      const before = roles.root.keys
      roles = { ...roles, ...changed }
      for (const role of raiseEpoch) {
        epochs[role] += 1
        if (role === 'status') statusVersion = 0
        else manifestVersion = 0
      }
      await publishRoot(now, ttlMs, [...before, ...roles.root.keys], members)
    },
  }
}

const pointerTo = (blob: Uint8Array) => ({ sha256: sha256(blob), length: blob.length })

type Pointer = StatusInput['manifest']

async function soloRoles(alg: SigningAlgorithm, given: RepositoryOptions['roles'] = {}): Promise<Roles> {
  const make = async (role: RoleName, count: number) => ({
    keys: given[role]?.keys ?? (await Promise.all(Array.from({ length: count }, () => generateSigningKey({ alg })))),
    threshold: given[role]?.threshold ?? 1,
  })
  return { root: await make('root', 2), manifest: await make('manifest', 1), status: await make('status', 1) }
}

function distinct(keys: readonly SigningKey[]): readonly SigningKey[] {
  return [...new Map(keys.map((key) => [key.kid, key])).values()]
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

const MAX_PAYLOAD_BYTES = 1024 * 1024 // what clients read in one piece
const DAY_MS = 86_400_000
const ROOT_TTL_MS = 400 * DAY_MS // a yearly ceremony, and a month to be late
const MANIFEST_TTL_MS = 90 * DAY_MS
const STATUS_TTL_MS = 7 * DAY_MS
const STALE_GRACE_S = 7 * 86_400

import { createHash } from 'node:crypto'
import { setTimeout as realTime } from 'node:timers/promises'
import type { Mirror } from '../../src/manifest/sources.ts'
import type { HostInput } from '../../src/publisher/documents.ts'
import { generateSigningKey } from '../../src/publisher/keys.ts'
import { createRepository, type RepositoryOptions } from '../../src/publisher/repository.ts'
import type { TestRuntime } from '../../src/testing/runtime.ts'
import { forge, host, payloadOf, pin, text } from './world.ts'

export type Keys = NonNullable<RepositoryOptions['roles']>

/** What was signed, by the seed that only this manifest's pins were made from. */
export interface Signed {
  readonly version: number
  readonly hosts: ReadonlyMap<string, readonly string[]>
  readonly undeny: readonly string[]
}

/** How a mirror answers: a moment of the history, and what goes wrong with it. */
export interface MirrorState {
  /** How many publications it lags behind. */
  readonly behind: number
  readonly fault: (typeof FAULTS)[number]
  /** The documents that are struck. */
  readonly on: 'status' | 'manifests' | 'everything'
  readonly noise: number
}

export const FAULTS = ['none', 'hang', '500', '404', 'truncated', 'flip', 'wrong', 'html', 'forged'] as const
export const HONEST: MirrorState = { behind: 0, fault: 'none', on: 'everything', noise: 0 }
export const NAMES = ['api', 'h0', 'h1', 'h2'].map((label) => `${label}.example.com`)

export async function makeKeys(): Promise<Keys> {
  const make = async (count: number) => Promise.all(Array.from({ length: count }, () => generateSigningKey()))
  const [root, manifest, status] = await Promise.all([make(2), make(1), make(1)])
  return {
    root: { keys: root, threshold: 1 },
    manifest: { keys: manifest, threshold: 1 },
    status: { keys: status, threshold: 1 },
  }
}

/**
 * Two publishers who hold the same keys and know nothing of each other unless they look, and three mirrors, each of which
 * serves any moment of what they published, or something else.
 */
export async function createFeed(keys: Keys, runtime: TestRuntime) {
  const now = (): number => runtime.clock.now()
  const open = () => createRepository({ repo: 'acme/pins', env: 'prod', now: now(), roles: keys })
  const publishers = [await open(), await open()].map((repository) => ({
    repository,
    manifest: 0,
    status: 0,
    deny: [] as readonly string[],
  }))
  const manifests = new Map<string, Uint8Array>() // immutable and never deleted: what one published, the other's mirrors have
  const planted = new Map<string, Uint8Array>() // by an attacker
  const statuses: Uint8Array[] = []
  const signed = new Map<string, Signed>()
  let states: readonly MirrorState[] = [HONEST, HONEST, HONEST]
  let hanging = 0

  const publisher = (by: number) => publishers[by % 2] ?? unreachable()
  const newest = (of: 'manifest' | 'status') => Math.max(...publishers.map((one) => one[of]))

  const record = ({ repository }: ReturnType<typeof publisher>): void => {
    for (const [path, bytes] of repository.files()) {
      if (path.startsWith('manifests/')) manifests.set(path, bytes)
      if (path === 'status.json') statuses.push(bytes)
    }
  }

  /** Signs under the publisher's own next version, or under the next of all when it looked first. */
  const publish = async (by: number, looks: boolean, undeny: readonly string[] = []): Promise<void> => {
    const who = publisher(by)
    who.manifest = (looks ? newest('manifest') : who.manifest) + 1
    const seed = `signed ${signed.size}`
    const names = NAMES.filter((_, at) => at === 0 || (signed.size + at) % 3 !== 0)
    const hosts = names.map((name): HostInput => host(name, `${seed} a`, `${seed} b`))
    signed.set(pin(`${seed} a`), {
      version: who.manifest,
      hosts: new Map(hosts.map(({ host: name, pins }) => [name, pins.map(({ spki }) => spki)])),
      undeny: undeny.map(pin),
    })
    const members = undeny.length === 0 ? {} : { undeny: undeny.map(pin) }
    await who.repository.publishManifest(hosts, { now: now(), version: who.manifest, members, status: false })
    who.deny = who.deny.filter((key) => !undeny.includes(key))
    await publishStatus(by, looks)
  }

  const publishStatus = async (by: number, looks: boolean): Promise<void> => {
    const who = publisher(by)
    if (who.manifest === 0) return
    who.status = (looks ? newest('status') : who.status) + 1
    const deny = who.deny.map((key) => ({ spki: pin(key), reason: 'leaked' }))
    await who.repository.publishStatus({ now: now(), version: who.status, deny })
    record(who)
  }

  const answer = (path: string, { behind, fault, on, noise }: MirrorState) => {
    const status = statuses[Math.max(0, statuses.length - 1 - behind)]
    const bytes = path === 'status.json' ? status : (manifests.get(path) ?? planted.get(path))
    const isStruck = on === 'everything' || path.startsWith(on)
    if (bytes === undefined) return { status: 404, bytes: new Uint8Array() }
    if (!isStruck || fault === 'none') return { status: 200, bytes }
    return struck(fault, path, bytes, noise, path === 'status.json' ? [...manifests.values()].at(-1) : status)
  }

  const struck = (fault: MirrorState['fault'], path: string, bytes: Uint8Array, noise: number, other?: Uint8Array) => {
    switch (fault) {
      case '500':
      case '404':
        return { status: Number(fault), bytes: text('no') }
      case 'truncated':
        return { status: 200, bytes: bytes.subarray(0, noise % bytes.length) }
      case 'flip':
        return {
          status: 200,
          bytes: bytes.map((byte, at) => (at === noise % bytes.length ? byte ^ (1 << (noise % 8)) : byte)),
        }
      case 'wrong':
        return { status: 200, bytes: other ?? text('{}') }
      case 'html':
        return { status: 200, bytes: text('<!doctype html><p>log in</p>') }
      case 'forged':
        return { status: 200, bytes: forged(path, bytes) }
      default:
        return 'hang' as const
    }
  }

  /** A stranger's status and the manifest that it names, with pins of his own, under the kids of the genuine keys. */
  const forged = (path: string, bytes: Uint8Array): Uint8Array => {
    const payload = payloadOf(bytes)
    const sign = (changed: object, type: 'status' | 'manifest') =>
      forge(changed, type, [STRANGER], { header: (header) => ({ ...header, kid: keys[type]?.keys[0]?.kid }) })
    if (path !== 'status.json') {
      return sign({ ...payload, hosts: [host(NAMES[0], 'attacker', 'attacker too')] }, 'manifest')
    }
    const { version, manifest } = payload as { version: number; manifest: { version: number; sha256: string } }
    const genuine = manifests.get(`manifests/${manifest.version}.${manifest.sha256}.json`) ?? unreachable()
    const theirs = { ...payloadOf(genuine), version: manifest.version + 1, hosts: [host(NAMES[0], 'attacker', 'too')] }
    const named = Buffer.from(JSON.stringify(theirs))
    const sha256 = createHash('sha256').update(named).digest('hex')
    planted.set(`manifests/${theirs.version}.${sha256}.json`, sign(theirs, 'manifest'))
    const pointer = { version: theirs.version, length: named.length, sha256 }
    return sign({ ...payload, version: version + 1, deny: [], manifest: pointer }, 'status')
  }

  const mirrors = [0, 1, 2].map(
    (at): Mirror => ({
      name: `mirror ${at}`,
      get: (path, { signal }) => {
        const given = answer(path, states[at] ?? HONEST)
        if (given !== 'hang') return Promise.resolve({ headers: {}, ...given })
        hanging += 1
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            hanging -= 1
            reject(signal.reason)
          })
        })
      },
    }),
  )

  return {
    anchor: publishers[0]?.repository.anchor ?? new Uint8Array(),
    source: { mirrors },
    signed,
    publish,
    publishStatus,
    deny: async (by: number, key: string): Promise<void> => {
      publisher(by).deny = [...new Set([...publisher(by).deny, key])]
      await publishStatus(by, true)
    },
    /** The next status leaves its denies out, and no manifest speaks of them. */
    forget: async (by: number): Promise<void> => {
      publisher(by).deny = []
      await publishStatus(by, true)
    },
    set: (next: readonly MirrorState[]) => {
      states = next
    },
    /** Moves the clock while the promise needs it to: in leaps while a mirror hangs, in steps for pauses between attempts. */
    drive: async <T>(promise: Promise<T>): Promise<T> => {
      let settled = false
      const done = () => {
        settled = true
      }
      promise.then(done, done)
      while (!settled) {
        await Promise.race([promise.catch(() => undefined), realTime(1)])
        if (!settled) await runtime.advance(hanging > 0 ? 5_000 : 250)
      }
      return promise
    },
  }
}

function unreachable(): never {
  throw new TypeError('two publishers')
}

const STRANGER = await generateSigningKey()

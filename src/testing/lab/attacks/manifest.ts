import { gzipSync } from 'node:zlib'
import type { ErrorCode } from '../../../errors/codes.ts'
import { type ManifestServer, startManifestServer } from '../../manifest-server.ts'
import { createTestRepository, type TestRepository } from '../../repository.ts'
import { createTestRuntime, type TestRuntime } from '../../runtime.ts'
import type { Attack, AttackResult, Attempt } from '../attack.ts'
import type { Contender } from '../contenders.ts'
import {
  attempt,
  codeIn,
  control,
  givenFor,
  HOST,
  hastyRuntime,
  type Keep,
  scenario,
  startStage,
  waitFor,
  witnessOf,
  worstOf,
} from '../stage.ts'
import type { World } from '../world.ts'

/**
 * Whoever has the host of the manifest serves what he likes, so that the key of a thief is trusted, whose certificate is of a trusted
 * CA. Who knows of no manifest trusts that CA.
 */
export const manifest: readonly Attack[] = [
  servedAttack({
    id: 'L43',
    title: 'Publishes pins without a signature, and under the algorithm none',
    codes: ['ERR_MANIFEST_SIG_THRESHOLD', 'ERR_MANIFEST_ENVELOPE_SHAPE', 'ERR_MANIFEST_SIG_ALG_MISMATCH'],
    ways: async ({ forged }) => {
      const evil = await forged()
      const ways: readonly ((signatures: Signatures) => Signatures)[] = [
        () => [],
        (signatures) => signatures.map(({ protected: header }) => ({ protected: withNone(header), signature: '' })),
        (signatures) => signatures.map((one) => ({ ...one, protected: withNone(one.protected) })),
      ]
      return ways.map((way) => (host) => host.serve(resigned(evil.files(), way)))
    },
  }),
  servedAttack({
    id: 'L44',
    title: 'Serves the manifest from before the key of the thief was taken out',
    codes: ['ERR_MANIFEST_STATUS_ROLLBACK'],
    ways: async ({ before }) => [(host) => host.serve(before)],
  }),
  {
    id: 'L45',
    group: 'manifest',
    title: 'Serves what was current for ever, so that a key that leaked since is never taken out',
    codes: ['ERR_TRUST_PINSET_EXPIRED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const runtime = createTestRuntime({ now: world.ca.root.options.now ?? 0 })
        const [server, leaked] = [world.ca.issue({ names: [HOST] }), world.ca.issue({ names: [HOST] })]
        const hosts = { [HOST]: [server.pin, leaked.pin] }
        const repository = await createTestRepository({ hosts, clock: runtime.clock })
        const { host, options } = await startHost(keep, world, repository)
        const [good, bad] = [await startStage(keep, server), await startStage(keep, leaked)]
        const pinfetch = { runtime, manifest: options }
        const open = await keep(contender.open(givenFor(world, [], { pins: hosts, pinfetch })))
        if (open.client !== undefined) await settled(open.client.ready(), runtime)
        const accepted = await control(open, good.url)
        host.freeze()
        await repository.publish({ hosts: { [HOST]: [server.pin] } })
        const { expiresAt } = open.client?.health().manifest ?? {}
        if (expiresAt !== undefined) runtime.setWall(expiresAt)
        await runtime.advance(1)
        return { attack: await settled(attempt(open, bad.url, witnessOf(bad)), runtime), control: accepted }
      }),
  },
  servedAttack({
    id: 'L46',
    title: 'Publishes pins under keys and a root of its own, for the same repository',
    codes: ['ERR_MANIFEST_SIG_THRESHOLD'],
    ways: async ({ forged }) => {
      const [status, root] = [await forged(), await forged()]
      await root.rotateRoot()
      return [status, root].map((evil) => (host) => host.serve(evil.files()))
    },
  }),
  servedAttack({
    id: 'L47',
    title: 'Mixes an old manifest with the new status, cuts it off, makes it 5 MB long, packs a gigabyte into it',
    codes: [
      'ERR_MANIFEST_LENGTH_MISMATCH',
      'ERR_MANIFEST_HASH_MISMATCH',
      'ERR_MANIFEST_FETCH_NETWORK',
      'ERR_MANIFEST_FETCH_TOO_LARGE',
      'ERR_MANIFEST_FETCH_ENCODED',
    ],
    ways: async ({ repository, before }) => {
      await repository.publish()
      const mixed = new Map(repository.files())
      const [old] = documentsOf(before).values()
      for (const path of documentsOf(mixed).keys()) if (old !== undefined) mixed.set(path, old)
      return [
        (host) => host.serve(mixed),
        (host) => host.respond('*', { ending: 'truncate' }),
        (host) => host.respond('*', { body: 'x'.repeat(LONG_OCTETS) }),
        (host) => host.respond('*', { body: bomb(), headers: { 'content-encoding': 'gzip' } }),
      ]
    },
  }),
]

interface Served {
  readonly id: string
  readonly title: string
  readonly codes: readonly ErrorCode[]
  /** What the host does, each in its turn. */
  readonly ways: (given: Material) => Promise<readonly ((host: ManifestServer) => void)[]>
}

interface Material {
  /** Has taken the key of the thief out, in its second manifest. */
  readonly repository: TestRepository
  /** What was served while that key was in. */
  readonly before: ReadonlyMap<string, Uint8Array>
  /** A repository of the thief's own keys under the same name, newer than the genuine one, with his pin. */
  readonly forged: () => Promise<TestRepository>
}

/** The client has the second manifest when the host turns bad; then the thief is in the place of the server. */
function servedAttack({ ways, ...rest }: Served): Attack {
  const run = (contender: Contender, world: World): Promise<AttackResult> =>
    scenario(async (keep) => {
      const [server, thief] = [world.ca.issue({ names: [HOST] }), world.otherCa.issue({ names: [HOST] })]
      const repository = await createTestRepository({ hosts: { [HOST]: [thief.pin] } })
      const before = new Map(repository.files())
      await repository.publish({ hosts: { [HOST]: [server.pin] } })
      const { host, options } = await startHost(keep, world, repository)
      const [good, bad] = [await startStage(keep, server), await startStage(keep, thief)]
      const { runtime, skip } = hastyRuntime()
      const given = givenFor(world, [server.pin], { pinfetch: { manifest: options, runtime } })
      const open = await keep(contender.open(given))
      await open.client?.ready()
      const forged = async (): Promise<TestRepository> => {
        const evil = await createTestRepository({ hosts: { [HOST]: [thief.pin] } })
        for (let version = 2; version <= NEWER; version += 1) await evil.publish()
        return evil
      }
      const attempts: Attempt[] = []
      // Who knows of no manifest is none the wiser, whatever the host does.
      if (open.client === undefined) attempts.push(await attempt(open, bad.url, witnessOf(bad)))
      else {
        for (const attack of await ways({ repository, before, forged })) {
          attack(host)
          skip(REFRESH_GAP_MS)
          const refusal = await open.client.manifest.refresh().then(() => ({}), codeIn)
          // Sends to the thief what is his if the client took it.
          attempts.push({ ...(await attempt(open, bad.url, witnessOf(bad))), ...refusal })
          host.thaw()
          host.respond('*', undefined)
        }
      }
      return { attack: worstOf(rest, attempts), control: await control(open, good.url) }
    })
  return { ...rest, group: 'manifest', beatsFetch: true, run }
}

async function startHost(keep: Keep, world: World, repository: TestRepository) {
  const identity = world.ca.issue({ names: ['localhost'] })
  const host = await keep(startManifestServer({ files: repository, identity }))
  return { host, options: { url: host.url, root: repository.root, memoryOnly: true } }
}

type Signatures = readonly { readonly protected: string; readonly signature: string }[]

/** The documents, the roots aside, with other signatures. */
function resigned(
  files: ReadonlyMap<string, Uint8Array>,
  way: (signatures: Signatures) => Signatures,
): ReadonlyMap<string, Uint8Array> {
  const change = (bytes: Uint8Array): Uint8Array => {
    const envelope = JSON.parse(Buffer.from(bytes).toString()) as { readonly signatures: Signatures }
    return Buffer.from(JSON.stringify({ ...envelope, signatures: way(envelope.signatures) }))
  }
  return new Map([...files].map(([path, bytes]) => [path, path.startsWith('roots/') ? bytes : change(bytes)]))
}

function withNone(header: string): string {
  const members = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
  return Buffer.from(JSON.stringify({ ...members, alg: 'none' })).toString('base64url')
}

const documentsOf = (files: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> =>
  new Map([...files].filter(([path]) => path.startsWith('manifests/')))

/** Moves the clock while sockets do their work, until the promise settles. */
async function settled<T>(work: Promise<T>, runtime: TestRuntime): Promise<T> {
  let done = false
  const finish = (): void => {
    done = true
  }
  work.then(finish, finish)
  while (!done) {
    await waitFor(50)
    if (!done) await runtime.advance(100)
  }
  return work
}

const NEWER = 4
const REFRESH_GAP_MS = 1_000 // a client asks no more often than once a second
const LONG_OCTETS = 5_000_000
const BOMB_PARTS = 100
const BOMB_PART_OCTETS = 10_000_000 // ten kilobytes on the wire

/** A gigabyte of zeros, as one member of a gzip file after the other (RFC 1952 §2.2): to pack it in one piece takes seconds. */
const bomb = (): Buffer => Buffer.concat(Array<Buffer>(BOMB_PARTS).fill(gzipSync(Buffer.alloc(BOMB_PART_OCTETS))))

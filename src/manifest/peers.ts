import { StoreError } from '../errors/errors.ts'
import { type Runtime, toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Store } from '../stores/store.ts'
import type { AcceptedStatus } from './accept.ts'
import { cacheBase, newestFirst, parseName, rootName } from './cache.ts'
import { found } from './read-document.ts'
import type { Mirror } from './sources.ts'

/** The processes that share a cache take turns in asking the source. */
export interface Peers {
  /** The newest poll that another process made, and which found what it stored to be the newest. */
  readonly lastPoll: () => Promise<PeerPoll | undefined>
  /** Leaves word of a poll of ours that succeeded. */
  readonly tell: (status: AcceptedStatus) => Promise<void>
  /** What the others stored, to be verified like an answer of the network: their word is worth no more. */
  readonly mirror: Mirror
}

export interface PeerPoll {
  readonly at: UnixMs
  readonly found: (status: AcceptedStatus | undefined) => boolean
}

/**
 * A poll leaves an empty file whose name says when it was, who made it and which status it found. Such a note is not signed,
 * so it may delay a poll, and only for as long as the updater lets others poll in its place; it never changes what is in force.
 */
export function createPeers(options: {
  readonly store: Store
  readonly repo: string
  readonly env: string
  readonly runtime: Runtime
}): Peers {
  const { store, runtime } = options
  const base = cacheBase(options.repo, options.env)
  const self = Buffer.from(runtime.random(4)).toString('hex')

  const notes = async (): Promise<readonly Note[]> => {
    const now = runtime.clock.now()
    const parsed = (await store.list(`${base}polls/`)).flatMap(parseNote)
    return parsed.filter(({ at }) => at <= now).sort((a, b) => b.at - a.at) // one from the future would count for ever
  }

  return {
    lastPoll: () =>
      bestEffort(async () => {
        const note = (await notes()).find(({ by }) => by !== self)
        return note === undefined
          ? undefined
          : { at: note.at, found: (status) => status?.sha256.slice(0, 16) === note.status }
      }),
    tell: async ({ sha256 }) => {
      await bestEffort(async () => {
        const at = String(Math.floor(runtime.clock.now())).padStart(16, '0')
        await store.put(`${base}polls/${at}.${self}.${sha256.slice(0, 16)}`, new Uint8Array())
        const keep = new Set((await notes()).slice(0, KEEP).map(({ name }) => name))
        for (const name of await store.list(`${base}polls/`)) if (!keep.has(name)) await store.delete(name)
      })
    },
    mirror: {
      name: 'cache',
      get: async (path) => {
        const name = await nameOf(path)
        return found(name === undefined ? undefined : await store.get(name))
      },
    },
  }

  async function nameOf(path: string): Promise<string | undefined> {
    const root = /^roots\/(\d{1,9})\.json$/.exec(path)
    if (root !== null) return rootName(base, Number(root[1]))
    if (path === 'status.json') return (await stored('status'))[0]?.name
    const manifest = /^manifests\/\d+\.([0-9a-f]{16})[0-9a-f]{48}\.json$/.exec(path)
    if (manifest === null) return `${base}${path}`
    const isWanted = ({ name }: { name: string }) => name.endsWith(`.${manifest[1]}.json`)
    return (await stored('manifest')).find(isWanted)?.name
  }

  async function stored(kind: 'status' | 'manifest') {
    const names = await store.list(`${base}${kind}/`)
    return names.flatMap((name) => parseName(name) ?? []).sort(newestFirst)
  }
}

interface Note {
  readonly name: string
  readonly at: UnixMs
  readonly by: string
  readonly status: string
}

function parseNote(name: string): readonly Note[] {
  const match = /\/(\d{16})\.([0-9a-f]{8})\.([0-9a-f]{16})$/.exec(name)
  if (match === null) return []
  return [{ name, at: toUnixMs(Number(match[1])), by: String(match[2]), status: String(match[3]) }]
}

/** Without a store there are no others; that it fails is what the cache says. */
async function bestEffort<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreError) return undefined
    throw error
  }
}

const KEEP = 4 // the newest, and a few in case of clocks that differ

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { createManifestUpdater, type ManifestUpdater, type ManifestView } from '../../src/manifest/updater.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'
import { isFull } from '../support/tier.ts'
import { createFeed, FAULTS, HONEST, type Keys, type MirrorState, makeKeys, NAMES, type Signed } from './feed.ts'

/** What happened over all runs: a property of clients to which nothing happens would prove nothing. */
const seen = { activated: 0, refused: new Set<string>(), denied: 0, undenied: 0, restarts: 0 }

/** One client, and everything that was ever in force in it, checked in the tick in which it comes into force. */
class Subject {
  readonly feed: Awaited<ReturnType<typeof createFeed>>
  readonly runtime: ReturnType<typeof createTestRuntime>
  readonly #store = memoryStore()
  readonly #undenied = new Set<string>()
  readonly #denied = new Set<string>()
  #updater: ManifestUpdater | undefined
  #highest = 0
  #failure: Error | undefined

  constructor(feed: Subject['feed'], runtime: Subject['runtime']) {
    this.feed = feed
    this.runtime = runtime
  }

  async start(): Promise<void> {
    await this.#updater?.close()
    const updater = createManifestUpdater({
      root: this.feed.anchor,
      source: this.feed.source,
      store: this.#store,
      runtime: this.runtime,
      startupMs: 10_000,
      emit: (event) => {
        if (event.type === 'manifest.rejected') seen.refused.add(event.code)
        if (event.type === 'manifest.activated') seen.activated += 1
      },
      onChange: () => this.#guard(updater.current()),
    })
    this.#updater = updater
    await this.feed.drive(updater.firstAttempt)
    this.check()
  }

  async refresh(): Promise<void> {
    if (this.#updater === undefined) throw new TypeError('not started')
    await this.feed.drive(this.#updater.refresh()).catch(() => undefined)
    this.check()
  }

  async stop(): Promise<void> {
    await this.#updater?.close()
  }

  check(): void {
    if (this.#updater !== undefined) this.#guard(this.#updater.current())
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Throws later, where fast-check sees it: an exception in a callback of the updater would be the updater's to handle. */
  #guard(view: ManifestView): void {
    if (view.kind === 'closed') return
    try {
      this.#judge(view)
    } catch (error) {
      this.#failure ??= error as Error
    }
  }

  #judge(view: ManifestView): void {
    if (view.version > 0) {
      expect(view.version, 'the version in force').toBeGreaterThanOrEqual(this.#highest)
      this.#highest = view.version
      const { version, hosts, undeny } = this.#signedFor(view)
      expect(view.version).toBe(version)
      expect(new Map(NAMES.flatMap((name) => pinsOf(view, name)))).toEqual(hosts)
      for (const spki of undeny) this.#undenied.add(spki)
    }
    const denied = new Set(view.denies.map(({ spki }) => spki as string))
    for (const spki of this.#denied) {
      if (denied.has(spki)) continue
      expect([...this.#undenied], 'a deny that is gone').toContain(spki)
      this.#denied.delete(spki)
      seen.undenied += 1
    }
    for (const spki of denied) {
      if (this.#denied.has(spki)) continue
      this.#denied.add(spki)
      this.#undenied.delete(spki) // an undeny of before does not end it
      for (const old of this.#signedFor(view, view.version).undeny) this.#undenied.add(old)
      seen.denied += 1
    }
  }

  #signedFor(view: ManifestView, version = 1): Signed {
    if (version === 0) return { version: 0, hosts: new Map(), undeny: [] }
    const [first = ''] = new Map(pinsOf(view, NAMES[0] ?? '')).get(NAMES[0] ?? '') ?? []
    return this.feed.signed.get(first) ?? expect.fail(`in force and never signed: version ${view.version}, ${first}`)
  }
}

function pinsOf(view: ManifestView, name: string): readonly (readonly [string, readonly string[]])[] {
  const entry = view.lookup(canonicalHost(name) ?? expect.fail(name), 443)
  return entry === undefined ? [] : [[name, entry.pins.map(({ spki }) => spki)]]
}

type Step = (subject: Subject) => Promise<void>

class Command implements fc.AsyncCommand<object, Subject> {
  readonly #name: string
  readonly #step: Step

  constructor(name: string, step: Step) {
    this.#name = name
    this.#step = step
  }

  check = () => true
  run = (_: object, subject: Subject) => this.#step(subject)
  toString = () => this.#name
}

const by = fc.nat({ max: 1 })
const key = fc.constantFrom('key 1', 'key 2', 'key 3')
const mirror: fc.Arbitrary<MirrorState> = fc.record({
  behind: fc.oneof(fc.constant(0), fc.nat({ max: 12 })),
  fault: fc.oneof(fc.constant('none' as const), fc.constantFrom(...FAULTS)),
  on: fc.constantFrom('status' as const, 'manifests' as const, 'everything' as const),
  noise: fc.nat(),
})

const commands = fc.commands(
  [
    fc.tuple(by, fc.boolean()).map(([who, looks]) => {
      return new Command(`publish(${who}, ${looks})`, ({ feed }) => feed.publish(who, looks))
    }),
    fc.tuple(by, fc.boolean()).map(([who, looks]) => {
      return new Command(`status(${who}, ${looks})`, ({ feed }) => feed.publishStatus(who, looks))
    }),
    fc.tuple(by, key).map(([who, spki]) => new Command(`deny(${who}, ${spki})`, ({ feed }) => feed.deny(who, spki))),
    fc.tuple(by, key).map(([who, spki]) => {
      return new Command(`undeny(${who}, ${spki})`, ({ feed }) => feed.publish(who, true, [spki]))
    }),
    by.map((who) => new Command(`forget(${who})`, ({ feed }) => feed.forget(who))),
    fc.tuple(mirror, mirror, mirror).map((states) => {
      return new Command(`mirrors(${JSON.stringify(states)})`, async ({ feed }) => feed.set(states))
    }),
    fc.constant(new Command('heal()', async ({ feed }) => feed.set([HONEST, HONEST, HONEST]))),
    ...[0, 1].map(() => fc.constant(new Command('refresh()', (subject) => subject.refresh()))),
    fc.constant(
      new Command('restart()', async (subject) => {
        seen.restarts += 1
        await subject.start()
      }),
    ),
  ],
  { maxCommands: 40, size: 'max' },
)

async function run(keys: Keys, steps: Iterable<fc.AsyncCommand<object, Subject>>): Promise<void> {
  const runtime = createTestRuntime()
  const feed = await createFeed(keys, runtime)
  await feed.publish(0, true)
  const subject = new Subject(feed, runtime)
  await subject.start()
  try {
    await fc.asyncModelRun(() => ({ model: {}, real: subject }), steps)
  } finally {
    await subject.stop()
  }
}

test(
  'two publishers and three mirrors in any order: no version goes back, nothing unsigned is in force, a deny ends by undeny alone (case 106)',
  async () => {
    const keys = await makeKeys()
    await fc.assert(
      fc.asyncProperty(commands, (steps) => run(keys, steps)),
      isFull ? { numRuns: 3_000 } : { numRuns: 100, interruptAfterTimeLimit: 10_000 },
    )
    expect(seen.activated).toBeGreaterThan(0)
    console.log(seen)
  },
  isFull ? 600_000 : 60_000,
)

import type { CanonicalOrigin } from '../encoding/host.ts'
import type { PinText } from '../encoding/pin.ts'
import { CODES } from '../errors/codes.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { entryName } from '../publisher/diff.ts'
import { announcementMs, type Rotation, serverKey, stepOf } from '../publisher/rotation.ts'
import type { SeenChain } from '../publisher/seen.ts'
import type { HostInput } from '../publisher/wire.ts'
import { anchorsFrom, serverName } from './chain.ts'
import type { Io, Paint } from './io.ts'
import { look } from './look.ts'
import type { Places } from './manifest.ts'
import { backupPins, originOf, pinTexts } from './manifest-hosts.ts'
import { findEntry } from './manifest-pins.ts'
import { publish } from './manifest-publish.ts'
import { contentIn } from './next-documents.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { dropRotation, readRotations, saveRotation } from './rotations.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'
import { readWorkingList, withSeen, writeWorkingList } from './working-list.ts'

export interface RotateHostOptions extends Places {
  readonly port?: string
  /** The key to announce; needed for the first run alone. */
  readonly pin?: string
  readonly backup?: string
  /** The pin that leaves. Default: that of the key which the server shows. */
  readonly retire?: string
  readonly to?: string
  readonly command?: string
  readonly url?: string
  readonly ca?: string
  readonly sni?: string
  /** Servers to look at, where there are several or the entry is a pattern. */
  readonly connect?: readonly string[]
  readonly signer?: readonly string[]
  readonly allow?: readonly string[]
  readonly abandon?: boolean
}

/**
 * A server's change of keys, step by step: announce another key, wait until every client knows it, see that the server has
 * changed, retire the old pin. Goes as far as it can and says what comes next; run again, it goes on from there.
 */
export async function rotate(pattern: string, options: RotateHostOptions, io: Io, paint: Paint): Promise<Outcome> {
  const { directory } = options
  const { entry } = await findEntry(pattern, options)
  const held = (await readRotations(directory)).find(({ host, port }) => host === entry.host && port === entry.port)
  if (options.abandon === true) return abandon(entry, held, directory)
  const run: Run = { entry, options, io, paint, warnings: [] }
  let rotation = await startOrGoOn(held, run)
  for (;;) {
    const result = await advance(rotation, run)
    if ('stop' in result) return describe(rotation, result.stop, run)
    rotation = result.rotation
    await saveRotation(directory, rotation)
  }
}

interface Run {
  readonly entry: HostInput
  readonly options: RotateHostOptions
  readonly io: Io
  readonly paint: Paint
  /** Of what was published on the way. */
  readonly warnings: string[]
}

interface Stop {
  readonly next: string
  readonly nextAt?: number
  readonly failure?: Failure
  readonly warnings?: readonly string[]
}

type Advance = { readonly rotation: Rotation } | { readonly stop: Stop }

async function advance(rotation: Rotation, run: Run): Promise<Advance> {
  const { io, options } = run
  switch (stepOf(rotation, io.now())) {
    case 'announce':
      return announce(rotation, run)
    case 'wait':
      return wait(rotation, run)
    case 'swap':
      return seeServers(rotation, run)
    case 'retire':
      return retire(rotation, run)
    case 'done': {
      const next = `pinfetch manifest lint --dir ${shownPath(options.directory)} --probe   # is a key in reserve left?`
      return { stop: { next } }
    }
  }
}

async function startOrGoOn(held: Rotation | undefined, run: Run): Promise<Rotation> {
  const { entry, options, io } = run
  const given = [
    ...pinTexts(options.pin === undefined ? [] : [options.pin]),
    ...(await backupPins(options.backup === undefined ? [] : [options.backup], io)),
  ]
  const [adopt] = given
  const name = entryName(entry)
  if (held !== undefined && (adopt === undefined || adopt === held.adopt)) return held
  if (held !== undefined && held.finishedAt === undefined) {
    const hint = `Go on with it: leave the pin out. Or forget it: pinfetch rotate ${name} --abandon`
    throw new UsageError(`${name}: a rotation to ${held.adopt} is under way`, hint)
  }
  if (adopt === undefined || given.length > 1) {
    const hint = `Make a key (openssl ecparam -name prime256v1 -genkey -noout -out next.pem), then: pinfetch rotate ${name} --backup next.pem`
    throw new UsageError(
      `${name}: no rotation is under way, and ${given.length} keys are given to begin one with`,
      hint,
    )
  }
  if (entry.allOf !== undefined) {
    throw new UsageError(`${name}: its groups count pins by position`, 'Change pins and allOf in hosts.json together.')
  }
  if (entry.pins.length < 2) {
    const hint = `Add a key in reserve first: pinfetch manifest add-pin ${entry.host} --backup reserve.pem --dir ${shownPath(options.directory)}`
    throw new UsageError(`${name}: its only pin cannot be retired before there are others`, hint)
  }
  const started = { ...keyOf(entry), retire: await pinToRetire(run), adopt, startedAt: io.now() }
  if (started.retire === adopt)
    throw new UsageError(`${name}: ${adopt} is the key in use`, 'Name the key that is to come.')
  await saveRotation(options.directory, started)
  return started
}

/** Of the pins that the entry has, the one of the key which its server shows. */
async function pinToRetire(run: Run): Promise<PinText> {
  const { entry, options } = run
  const pinned = entry.pins.map(({ spki }) => spki)
  const name = entryName(entry)
  const there = `It has: ${pinned.join(', ')}. Name the one that leaves: --retire sha256/…`
  if (options.retire !== undefined) {
    const [pin] = pinTexts([options.retire])
    if (pin !== undefined && pinned.includes(pin)) return pin
    throw new UsageError(`${name}: ${options.retire} is not pinned`, there)
  }
  const looked = await lookAtServers(run)
  if ('failure' in looked) throw new UsageError(looked.failure.message, `Mend that, or name the pin: --retire sha256/…`)
  const shown = new Set(
    looked.chains.map(({ path: [endEntity] }) => endEntity?.pins.find((pin) => pinned.includes(pin))),
  )
  const [only] = shown
  if (only !== undefined && shown.size === 1) return only
  throw new UsageError(
    `${name}: its servers show ${shown.size > 1 ? 'different keys' : 'a key that is not pinned itself'}`,
    there,
  )
}

async function announce(rotation: Rotation, run: Run): Promise<Advance> {
  const { directory } = run.options
  await changePins(run, (pins) => withPin(pins, rotation.adopt))
  const stop = await publishUntil((pins) => pins.includes(rotation.adopt), run)
  if (stop !== undefined) return { stop }
  const at = run.io.now()
  const { status } = await readRepository(directory, toUnixMs(at))
  const { interval = 300, spread = 0.25 } = status?.payload.poll ?? {}
  const clamped = Math.min(Math.max(interval, MIN_POLL_S), MAX_POLL_S)
  return { rotation: { ...rotation, announced: { at, ready: at + announcementMs({ interval: clamped, spread }) } } }
}

/** At a terminal somebody may stay; a pipe is told when to come back. */
async function wait(rotation: Rotation, { io, entry, options }: Run): Promise<Advance> {
  const ready = rotation.announced?.ready ?? io.now()
  const { prompts, wait: sleep } = io
  if (prompts !== undefined && sleep !== undefined) {
    const stays = await (await prompts()).confirm(`Every client knows the key ${fromNow(ready, io.now())}. Wait here?`)
    if (stays) {
      await sleep(Math.max(0, ready - io.now()))
      return { rotation }
    }
  }
  const next = `not before ${dateOf(ready)} (${fromNow(ready, io.now())}): give the server its new key, then: ${again(entry, options)}`
  return { stop: { next, nextAt: ready } }
}

async function seeServers(rotation: Rotation, run: Run): Promise<Advance> {
  const { entry, options, io } = run
  const { directory } = options
  const looked = await lookAtServers(run)
  if ('failure' in looked) return { stop: { failure: looked.failure, next: again(entry, options) } }
  const list = await readWorkingList(directory)
  await writeWorkingList(directory, withSeen(list, looked.chains), true)
  const pins = list.hosts.filter((one) => isEntry(one, rotation)).flatMap((one) => one.pins.map(({ spki }) => spki))
  const keys = looked.chains.map((chain) =>
    serverKey(
      rotation,
      chain.path.map((one) => one.pins),
      pins,
    ),
  )
  const strange = keys.indexOf('strange')
  if (strange >= 0)
    return { stop: { failure: strangeKey(looked.chains[strange], rotation), next: again(entry, options) } }
  if (!keys.includes('old')) return { rotation: { ...rotation, swappedAt: io.now() } }
  await changePins(run, (held) => withPin(held, rotation.retire)) // the server went back before its pin was gone for good
  const still = keys.filter((key) => key === 'old').length
  const who = keys.length === 1 ? 'the server' : `${still} of ${keys.length} servers`
  const next = `give ${who} the new key (${rotation.adopt}, or another pinned one), then: ${again(entry, options)}`
  return { stop: { next } }
}

async function retire(rotation: Rotation, run: Run): Promise<Advance> {
  const seen = await seeServers(rotation, run) // again: since the last look somebody may have gone back
  if ('stop' in seen) return seen
  await changePins(run, (pins) => pins.filter(({ spki }) => spki !== rotation.retire))
  const stop = await publishUntil((pins) => !pins.includes(rotation.retire), run)
  return stop === undefined ? { rotation: { ...rotation, finishedAt: run.io.now() } } : { stop }
}

/** `undefined` once clients can have a manifest of which this is true. */
async function publishUntil(isTrue: (pins: readonly PinText[]) => boolean, run: Run): Promise<Stop | undefined> {
  const { options, entry, io, paint } = run
  const { directory, to, command } = options
  if (to === undefined && command === undefined) {
    const { manifest, status } = await readRepository(directory, toUnixMs(io.now()))
    const published = contentIn(manifest)?.hosts?.find((one) => isEntry(one, entry))
    const isNamed = manifest !== undefined && status?.payload.manifest.version === manifest.version
    if (isNamed && published !== undefined && isTrue(published.pins.map(({ spki }) => spki))) return undefined
    const by = `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`
    return { next: `${by}, then: ${again(entry, options)}   # or give rotate the --to` }
  }
  const {
    data: _,
    text: __,
    next,
    failure,
    warnings = [],
  } = await publish({ ...options, statusOnly: false, onlyIfChanged: true }, io, paint)
  if (failure !== undefined) return { failure, warnings, next: `${next ?? ''}; then: ${again(entry, options)}` }
  run.warnings.push(...warnings)
  return undefined
}

/** Writes the list only where it differs, so that a step can be repeated. */
async function changePins(
  { entry, options }: Run,
  change: (pins: HostInput['pins']) => HostInput['pins'],
): Promise<void> {
  const list = await readWorkingList(options.directory)
  const hosts = list.hosts.map((one) => {
    if (!isEntry(one, entry)) return one
    const pins = change(one.pins)
    return pins.length === one.pins.length ? one : { ...one, pins }
  })
  if (hosts.every((one, index) => one === list.hosts[index])) return
  await writeWorkingList(options.directory, { ...list, hosts }, true)
}

async function lookAtServers({
  entry,
  options,
  io,
}: Run): Promise<{ readonly chains: readonly SeenChain[] } | { readonly failure: Failure }> {
  const anchors = await anchorsFrom(options.ca)
  const targets = options.connect ?? [undefined]
  const as = asNamed(entry)
  const chains: SeenChain[] = []
  for (const target of targets) {
    const origin = originOf(entry.host, entry.port, target)
    const sni = serverName(
      options.sni ?? (target === undefined || as === undefined || as.kind === 'ip' ? undefined : as.host),
    )
    const { chain, judgement } = await look(origin, { anchors, sni, ...(as === undefined ? {} : { as }) }, io)
    if (chain !== undefined) chains.push(chain)
    else {
      const [finding] = judgement.findings
      const code = finding?.code ?? 'ERR_TRUST_UNKNOWN_ISSUER'
      return { failure: { code, message: `${origin.text}: ${finding?.message ?? 'no path'}`, hint: CODES[code].fix } }
    }
  }
  return { chains }
}

/** The name under which clients ask; `undefined` for a pattern, of which there are many. */
const asNamed = ({ host, port }: HostInput): CanonicalOrigin | undefined =>
  host.startsWith('*') ? undefined : originOf(host, port, undefined)

function strangeKey(chain: SeenChain | undefined, { adopt }: Rotation): Failure {
  const shown = chain?.path[0]?.pins[0]
  return {
    code: 'ERR_TRUST_PIN_MISMATCH',
    message: `${chain?.host}: shows ${shown}, which clients refuse (expected ${adopt}, or another pin of the entry)`,
    hint: 'Give the server the announced key, or announce this one: pinfetch manifest add-pin, then publish.',
  }
}

async function abandon(entry: HostInput, held: Rotation | undefined, directory: string): Promise<Outcome> {
  const name = entryName(entry)
  if (held === undefined) throw new UsageError(`${name}: no rotation is under way`, 'Nothing to do.')
  await dropRotation(directory, held)
  return {
    data: { ...keyOf(entry), step: 'abandoned' },
    text: [`${name}  the rotation is forgotten; its pins stay as they are`],
    next: `pinfetch manifest diff ${shownPath(directory)}   # what is not published yet`,
  }
}

function describe(rotation: Rotation, stop: Stop, { io, entry, warnings }: Run): Outcome {
  const { retire: from, adopt, startedAt, announced, swappedAt, finishedAt } = rotation
  const step = stepOf(rotation, io.now())
  const at = (time: number | undefined) => (time === undefined ? null : dateOf(time))
  const row = (name: string, done: number | undefined, what: string) => [
    name,
    what,
    done === undefined ? '' : `${dateOf(done)}  ${fromNow(done, io.now())}`,
  ]
  return {
    data: {
      host: entry.host,
      port: entry.port ?? null,
      step,
      retire: from,
      adopt,
      startedAt: dateOf(startedAt),
      announcedAt: at(announced?.at),
      ready: at(announced?.ready),
      swappedAt: at(swappedAt),
      finishedAt: at(finishedAt),
      nextAt: at(stop.nextAt),
    },
    text: table([
      row('announced', announced?.at, adopt),
      row('every client knows', announced?.ready, ''),
      row('server changed', swappedAt, ''),
      row('retired', finishedAt, from),
    ]),
    warnings: [...warnings, ...(stop.warnings ?? [])],
    next: stop.next,
    ...(stop.failure === undefined ? {} : { failure: stop.failure }),
  }
}

function again(entry: HostInput, { directory, to, connect = [] }: RotateHostOptions): string {
  const words = ['pinfetch rotate', entry.host]
  if (entry.port !== undefined) words.push(`--port ${entry.port}`)
  words.push(`--dir ${shownPath(directory)}`)
  if (to !== undefined) words.push(`--to ${shownPath(to)}`)
  if (connect.length > 0) words.push(`--connect ${connect.join(' ')}`)
  return words.join(' ')
}

const keyOf = ({ host, port }: HostInput) => (port === undefined ? { host } : { host, port })
const isEntry = (one: HostInput, { host, port }: { readonly host: string; readonly port?: number }): boolean =>
  one.host === host && one.port === port
const withPin = (pins: HostInput['pins'], spki: PinText): HostInput['pins'] =>
  pins.some((pin) => pin.spki === spki) ? pins : [...pins, { spki }]

const MIN_POLL_S = 15 // clients keep to this range, whatever a status says
const MAX_POLL_S = 86_400

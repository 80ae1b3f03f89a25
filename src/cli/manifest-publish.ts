import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { ManifestError } from '../errors/errors.ts'
import { blobPath } from '../manifest/hosts.ts'
import { refusal } from '../manifest/refusal.ts'
import type { ManifestLocation, Mirror } from '../manifest/sources.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { anchorsFrom } from './chain.ts'
import { deadlineData, deadlineRows } from './deadlines.ts'
import { readBytes, readIfPresent } from './files.ts'
import { readBack, refuseCatchAll } from './hosting.ts'
import type { Io, Paint } from './io.ts'
import { warningsOf } from './lint-text.ts'
import { lookAtAll } from './look.ts'
import { describeSigned } from './manifest-sign.ts'
import { withMirror } from './manifest-verify.ts'
import { isInForce } from './next-documents.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { manifestPath, readRepository } from './repository-files.ts'
import { type SignedNext, type SignOptions, signNext } from './sign-next.ts'
import { signersOf } from './signers.ts'
import { baseUrl } from './source.ts'
import { counted, dateOf, shownPath, table } from './text.ts'
import { type Upload, uploadByCommand, uploadToFolder } from './upload.ts'
import { type Walk, walkRepository } from './walk.ts'
import { readWorkingList, withSeen, writeWorkingList } from './working-list.ts'

export interface PublishOptions extends SignOptions {
  readonly to?: string
  readonly command?: string
  /** Where clients find it: asked before, read back from afterwards. */
  readonly url?: string
  readonly ca?: string
  readonly probe?: boolean
}

/**
 * Lint, sign with the keys that are here, verify as a client would, then write: blobs, manifests and roots, read back, and
 * the status last. Until the status is out, no client sees any of it.
 */
export async function publish(options: PublishOptions, io: Io, paint: Paint): Promise<Outcome> {
  const { directory, statusOnly } = options
  const upload = await uploadFor(options, io)
  const target = locationOf(options)
  const runtime = runtimeAt(io.now())
  const signal = io.signal ?? new AbortController().signal
  const before = await readRepository(directory, toUnixMs(io.now()))
  const atTarget = <T>(use: (mirror: Mirror) => Promise<T>): Promise<T> | undefined =>
    target === undefined ? undefined : withMirror(target, options.ca, runtime, use)
  if (target?.kind === 'https') {
    await atTarget((mirror) => refuseCatchAll(mirror, before.root.version + 1, runtime, signal))
  }
  const looked = options.probe === true ? await lookAgain(directory, options.ca, io) : []

  const signed = (await isReady(options, io)) ? undefined : await signNext(options, io)
  if (signed !== undefined && (signed.kind !== 'signed' || signed.status === undefined)) {
    return unfinished(signed, options, io, paint)
  }
  const source: ManifestLocation = { kind: 'directory', path: directory }
  const anchor = await readBytes(join(directory, 'root.json'))
  const walk = await withMirror(source, undefined, runtime, (mirror) => walkRepository(mirror, anchor, runtime, signal))
  const [immutable, status] = await filesOf(directory, walk)
  const written = [...(await upload(immutable))]
  await atTarget((mirror) => readBack(mirror, immutable, runtime, signal))
  written.push(...(await upload(status)))
  const served = await atTarget((mirror) => walkRepository(mirror, anchor, runtime, signal))

  const until = deadlinesOf(walk.root, walk.status, walk.manifest)
  const lag = served !== undefined && served.status.version < walk.status.version
  const now = io.now()
  const place = options.to ?? options.url ?? directory
  return {
    data: {
      written,
      root: { version: walk.root.version, expires: dateOf(walk.root.payload.expires) },
      manifest: { version: walk.manifest.version, expires: dateOf(walk.manifest.payload.expires) },
      status: { version: walk.status.version, expires: dateOf(walk.status.payload.expires) },
      readBack: served === undefined ? null : { status: served.status.version },
      hosts: walk.manifest.hosts.size,
      deadlines: deadlineData(until),
      findings: signed?.findings ?? [],
    },
    text: table([
      ['published', `${counted(written.length, 'file')} to ${options.to ?? 'the command'}, status.json last`],
      ['manifest', `version ${walk.manifest.version}, ${counted(walk.manifest.hosts.size, 'host')}`],
      ['status', `version ${walk.status.version}, until ${dateOf(walk.status.payload.expires)}`],
      ['verified', served === undefined ? 'before it was sent' : 'as a client reads it'],
      ...deadlineRows(until, now),
    ]),
    warnings: [
      ...(served === undefined ? ['nothing was read back: --url says where clients find it'] : []),
      ...(lag
        ? [
            `${target === undefined ? '' : nameOf(target)} still serves status ${served.status.version}: a cache in between; max-age=30 is enough`,
          ]
        : []),
      ...(statusOnly && !isInForce({ ...before, manifest: walk.manifest }, await readWorkingList(directory))
        ? ['hosts.json has changes that are not signed']
        : []),
      ...walk.warnings,
      ...looked,
      ...warningsOf(signed?.findings ?? []),
    ],
    next: nextStep(walk, statusOnly, { directory, place }),
  }
}

/** Signed elsewhere, and nothing left to sign: then publishing needs no key. */
async function isReady(options: PublishOptions, io: Io): Promise<boolean> {
  const { directory, statusOnly } = options
  if (statusOnly) return false // a job whose key is gone must not look alive
  const repository = await readRepository(directory, toUnixMs(io.now()))
  const { root, status, manifest } = repository
  if (status === undefined || manifest === undefined || status.payload.manifest.version !== manifest.version)
    return false
  if (!isInForce(repository, await readWorkingList(directory))) return false
  return (await signersOf('status', root.roles.status.keys, options, io)).length === 0
}

async function lookAgain(directory: string, ca: string | undefined, io: Io): Promise<readonly string[]> {
  const list = await readWorkingList(directory)
  const { chains, warnings } = await lookAtAll(list, await anchorsFrom(ca), io)
  await writeWorkingList(directory, withSeen(list, chains), true)
  return warnings
}

function unfinished(signed: SignedNext, options: PublishOptions, io: Io, paint: Paint): Outcome {
  const outcome = describeSigned(signed, options, io, paint)
  if (signed.kind === 'refused') return outcome
  const { code, message } = notSigned(signed)
  return { ...outcome, failure: { code, message, hint: `Nothing was published. ${outcome.next ?? ''}` } }
}

function notSigned(signed: SignedNext): ManifestError {
  if (signed.kind !== 'pending') {
    return refusal('ERR_MANIFEST_SIG_THRESHOLD', { document: 'status' }, 'no status key is here')
  }
  const { role, version } = signed
  const where = { document: 'manifest', version } as const
  return refusal('ERR_MANIFEST_SIG_THRESHOLD', where, `signed by ${signed.signed} of the ${role.threshold} that must`)
}

/** What clients may ask for: first what is immutable, then the status. */
async function filesOf(
  directory: string,
  { roots, manifest, canary, status }: Walk,
): Promise<readonly [ReadonlyMap<string, Uint8Array>, ReadonlyMap<string, Uint8Array>]> {
  const immutable = new Map<string, Uint8Array>()
  for (const one of canary === undefined ? [manifest] : [manifest, canary]) {
    for (const reference of one.payload.blobs ?? []) {
      const path = blobPath(reference)
      immutable.set(path, await readBytes(join(directory, path)))
    }
    immutable.set(manifestPath(one), one.bytes)
  }
  for (let version = 1; version <= (roots.at(-1)?.version ?? 1); version += 1) {
    const path = `roots/${version}.json`
    const bytes = await readIfPresent(join(directory, path)) // below the anchor, older ones may have been archived
    if (bytes !== undefined) immutable.set(path, bytes)
  }
  return [immutable, new Map([['status.json', status.bytes]])]
}

async function uploadFor({ to, command, directory }: PublishOptions, io: Io): Promise<Upload> {
  if ((to === undefined) === (command === undefined)) {
    throw new UsageError(
      'give either --to or --command',
      `pinfetch manifest publish --dir ${shownPath(directory)} --to ./public`,
    )
  }
  if (command !== undefined) return uploadByCommand(command, directory, io.signal)
  const folder = resolve(to ?? '')
  if (folder === directory) {
    throw new UsageError('--to is the folder of --dir', 'Name the folder that your web server serves: --to ./public')
  }
  const names = await readdir(folder).catch(() => [])
  const key = names.find((name) => name.endsWith('.pem'))
  if (key !== undefined) {
    throw new UsageError(
      `${join(folder, key)}: a key lies where everybody reads`,
      'Name another folder, or move the key away first.',
    )
  }
  return uploadToFolder(folder)
}

function locationOf({ url, to }: PublishOptions): ManifestLocation | undefined {
  if (url !== undefined) return { kind: 'https', url: baseUrl(url) }
  return to === undefined ? undefined : { kind: 'directory', path: resolve(to) }
}

const nameOf = (location: ManifestLocation): string =>
  location.kind === 'https' ? location.url.href : shownPath(location.path)

const runtimeAt = (now: number): Runtime => ({
  ...systemRuntime,
  clock: { ...systemRuntime.clock, now: () => toUnixMs(now) },
})

function nextStep(
  { manifest, status }: Walk,
  isHeartbeat: boolean,
  { directory, place }: { readonly directory: string; readonly place: string },
): string {
  if (isHeartbeat) return `again before ${dateOf(status.payload.expires)}: pinfetch manifest heartbeat, from a job`
  const [first] = manifest.hosts
  const host = first === undefined ? '<host>' : first.host.replace(/^\*{1,2}\./, 'www.')
  const port = first?.port === undefined ? '' : `:${first.port}`
  const source = /^https:/.test(place) ? place : shownPath(resolve(place))
  return `pinfetch verify https://${host}${port} --manifest ${source} --root ${shownPath(join(directory, 'root.json'))}`
}

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { StoreError } from '../errors/errors.ts'
import {
  type AcceptedManifest,
  type AcceptedStatus,
  acceptManifest,
  acceptStatus,
  checkManifestExpiry,
} from '../manifest/accept.ts'
import { readNoBlob } from '../manifest/hosts.ts'
import { refusal } from '../manifest/refusal.ts'
import { holderOf, parseEnvelope } from '../manifest/verify.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { type HostInput, manifestPayload, type StatusInput, statusPayload } from '../publisher/documents.ts'
import type { SigningKey } from '../publisher/keys.ts'
import { signDocument } from '../publisher/sign.ts'
import { deadlineData, deadlineRows, deadlinesOf } from './deadlines.ts'
import { makeDirectory, readIfPresent, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { readKeys } from './key-files.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { PROFILES } from './profile.ts'
import { manifestPath, type PublishedRepository, readRepository } from './repository-files.ts'
import { counted, dateOf, shownPath, table } from './text.ts'
import { readWorkingList, type WorkingList, workingListPath } from './working-list.ts'

/**
 * Signs the working list as the next manifest, and a status that names it. Where no manifest key is and the list says what
 * the manifest in force says, the status alone. What a client would refuse is not written; the status is written last.
 */
export async function sign(options: Places & { readonly statusOnly: boolean }, io: Io): Promise<Outcome> {
  const { directory, keys: keyDirectory } = options
  const now = toUnixMs(io.now())
  const passphrase = io.env['PINFETCH_PASSPHRASE']
  const list = await readWorkingList(directory)
  const published = await readRepository(directory, now)
  const statusKeys = await presentKeys(published, 'status', keyDirectory, passphrase)
  const manifestKeys = options.statusOnly ? [] : await readKeys(keyDirectory, 'manifest', passphrase)

  const isUnchanged = isDeepStrictEqual(hostsIn(published.manifest), list.hosts)
  const keepsManifest = options.statusOnly || (manifestKeys.length === 0 && isUnchanged)
  const manifest = keepsManifest
    ? inForce(published, options.statusOnly)
    : await nextManifest(published, list, await presentKeys(published, 'manifest', keyDirectory, passphrase), now)
  if (keepsManifest) checkManifestExpiry(manifest, now) // a status cannot make it valid again
  const status = await nextStatus(published, manifest, list, statusKeys, now)

  const path = manifestPath(manifest)
  if (!keepsManifest) {
    await makeDirectory(join(directory, 'manifests'))
    await writeWhole(join(directory, path), manifest.bytes)
  }
  await refuseIfOvertaken(directory, published.status)
  await writeWhole(join(directory, 'status.json'), status.bytes, { replace: true })

  const until = deadlinesOf(published.root, status, manifest)
  const shown = shownPath(directory)
  return {
    data: {
      root: { version: published.root.version, expires: dateOf(published.root.payload.expires) },
      manifest: { version: manifest.version, expires: dateOf(manifest.payload.expires), new: !keepsManifest, path },
      status: { version: status.version, expires: dateOf(status.payload.expires), path: 'status.json' },
      hosts: manifest.hosts.size,
      deadlines: deadlineData(until),
    },
    text: table([
      [
        'manifest',
        `version ${manifest.version}${keepsManifest ? ', as before' : ''}, ${counted(manifest.hosts.size, 'host')}, until ${dateOf(manifest.payload.expires)}`,
      ],
      ['status', `version ${status.version}, until ${dateOf(status.payload.expires)}`],
      ...deadlineRows(until, now),
    ]),
    warnings: [
      ...(options.statusOnly && !isUnchanged ? [`${workingListPath(directory)} has changes that are not signed`] : []),
      ...(manifest.hosts.size === 0 ? ['the manifest has no host: clients will refuse every request'] : []),
    ],
    next: `upload ${shown}, manifests first and status.json last; then: pinfetch manifest verify <url> --root ${join(shown, 'root.json')}`,
  }
}

/** @throws ManifestError SIG_THRESHOLD, saying which keys are missing, before anything is signed in vain. */
async function presentKeys(
  { root }: PublishedRepository,
  role: 'manifest' | 'status',
  directory: string,
  passphrase: string | undefined,
): Promise<readonly SigningKey[]> {
  const { keys, threshold } = root.roles[role]
  const present = (await readKeys(directory, role, passphrase)).filter(({ kid }) => keys.some((key) => key.kid === kid))
  const holders = new Set(keys.filter(({ kid }) => present.some((key) => key.kid === kid)).map(holderOf))
  if (holders.size >= threshold) return present
  const message = `${threshold} of the role’s ${keys.length} keys must sign, ${present.length} of them in ${directory}`
  throw refusal('ERR_MANIFEST_SIG_THRESHOLD', { document: role }, message)
}

async function nextManifest(
  { root, highestManifest, manifest: before }: PublishedRepository,
  { hosts, profile }: WorkingList,
  keys: readonly SigningKey[],
  now: UnixMs,
): Promise<AcceptedManifest> {
  const { repo, env, roles } = root.payload
  const { manifestTtlMs, staleGrace } = PROFILES[profile]
  const version = Math.max(highestManifest, before?.version ?? 0) + 1
  const { epoch } = roles.manifest
  const expires = now + manifestTtlMs
  const payload = manifestPayload({ repo, env, version, issuedAt: now, expires, epoch, staleGrace, hosts: [...hosts] })
  const pointer = { version, length: payload.length, sha256: createHash('sha256').update(payload).digest('hex') }
  return acceptManifest(await signDocument(payload, 'manifest', keys), pointer, { root, now, readBlob: readNoBlob })
}

async function nextStatus(
  { root, status: before }: PublishedRepository,
  manifest: AcceptedManifest,
  { profile }: WorkingList,
  keys: readonly SigningKey[],
  now: UnixMs,
): Promise<AcceptedStatus> {
  const { repo, env, roles } = root.payload
  const { payload: manifestBytes, sha256 } = parseEnvelope(manifest.bytes, { document: 'manifest' })
  const { deny, poll = DEFAULT_POLL } = lastingMembers(before)
  const payload = statusPayload({
    repo,
    env,
    version: (before?.version ?? 0) + 1,
    issuedAt: now,
    expires: now + PROFILES[profile].statusTtlMs,
    epoch: roles.status.epoch,
    root: { version: root.version },
    manifest: { version: manifest.version, length: manifestBytes.length, sha256 },
    ...(deny === undefined ? {} : { deny }),
    poll,
  })
  const verdict = await acceptStatus(await signDocument(payload, 'status', keys), { root, trusted: before, now })
  if (verdict.kind === 'accepted') return verdict.status
  throw new TypeError('a new status version that is the old one')
}

/** Denies and the poll hint stay until somebody changes them: a heartbeat must not lift a deny. */
function lastingMembers(status: AcceptedStatus | undefined): Partial<Pick<StatusInput, 'deny' | 'poll'>> {
  if (status === undefined) return {}
  const { payload } = parseEnvelope(status.bytes, { document: 'status' })
  return JSON.parse(Buffer.from(payload).toString('utf8')) as Pick<StatusInput, 'deny' | 'poll'>
}

/** As they were signed, for the parsed ones carry instants. */
function hostsIn(manifest: AcceptedManifest | undefined): readonly HostInput[] | undefined {
  if (manifest === undefined) return undefined
  const { payload } = parseEnvelope(manifest.bytes, { document: 'manifest' })
  return (JSON.parse(Buffer.from(payload).toString('utf8')) as { hosts?: HostInput[] }).hosts
}

function inForce({ manifest }: PublishedRepository, asked: boolean): AcceptedManifest {
  if (manifest !== undefined) return manifest
  const message = asked ? 'there is no manifest that a status could name' : 'there is no manifest yet'
  throw new UsageError(message, 'Run pinfetch manifest sign --dir <dir>, with the manifest keys.')
}

/** Two signers at once would make two documents of one version, which clients take for an attack. */
async function refuseIfOvertaken(directory: string, before: AcceptedStatus | undefined): Promise<void> {
  const path = join(directory, 'status.json')
  const bytes = await readIfPresent(path)
  if (Buffer.compare(bytes ?? NOTHING, before?.bytes ?? NOTHING) === 0) return
  throw new StoreError('ERR_STORE_WRITE', `${path}: somebody else signed in the meantime; run the command again`)
}

const NOTHING = new Uint8Array()
const DEFAULT_POLL = { interval: 300, spread: 0.25 }

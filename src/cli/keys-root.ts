import { join } from 'node:path'
import type { TrustedRoot } from '../manifest/root.ts'
import type { RoleName } from '../manifest/schema.ts'
import type { VerificationKey } from '../manifest/verify.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { nextRoot, type RootChange } from '../publisher/next-root.ts'
import { addSignature, signDocument } from '../publisher/sign.ts'
import { acceptedRoot, keysIn } from './adopt-root.ts'
import { makeDirectory, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { rootKeyFrom } from './keys-files.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { dropPending, pendingOf, pendingPath, readPending, writePending } from './pending.ts'
import { PROFILES } from './profile.ts'
import { readRepository } from './repository-files.ts'
import { tooFew } from './sign-next.ts'
import { signersOf } from './signers.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'
import { readWorkingList } from './working-list.ts'

export interface RotateOptions extends Places {
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
  readonly threshold?: readonly string[]
  readonly raiseEpoch?: readonly ('manifest' | 'status')[]
  readonly signer?: readonly string[]
  readonly restart?: boolean
}

/**
 * The next root: a longer life, other keys, other thresholds. Signed by the thresholds before and after; where too few of
 * their keys are here, it waits in `pending/` for the others.
 */
export async function rotateRoot(options: RotateOptions, io: Io): Promise<Outcome> {
  const { directory, raiseEpoch = [] } = options
  const now = toUnixMs(io.now())
  const { root } = await readRepository(directory, now)
  const { rootTtlMs } = PROFILES[(await readWorkingList(directory)).profile]
  const change = await changeFrom(options, root, io)
  const isChange = Object.values(change).some((part) => Object.keys(part ?? {}).length > 0)
  const pending = options.restart === true ? undefined : await readPending(directory, 'root')
  if (pending !== undefined && isChange) {
    throw new UsageError(
      `${pendingPath(directory, 'root')}: another root waits for signatures`,
      'Sign that one (no options), or drop it with --restart.',
    )
  }
  const payload = pending?.envelope.payload ?? nextRoot(root.payload, change, { now, ttlMs: rootTtlMs })
  const candidates = uniqueKeys([...root.roles.root.keys, ...keysIn(payload)])
  const signers = await signersOf('root', candidates, options, io)
  if (signers.length === 0) throw tooFew('root', root.roles.root, signers, options.keys)
  let document = pending?.bytes ?? (await signDocument(payload, 'root', signers))
  for (const signer of pending === undefined ? [] : signers) document = await addSignature(document, 'root', signer)

  const next = await acceptedRoot(document, root, now)
  const { kids } = pendingOf(document, 'root')
  if (next === undefined) {
    await writePending(directory, 'root', document)
    const path = pendingPath(directory, 'root')
    return {
      data: { root: { version: root.version + 1, path, pending: true }, signedBy: kids },
      text: table([
        ['root', `version ${root.version + 1}, signed by ${kids.length}; the thresholds before and after must sign`],
      ]),
      next: `hand ${shownPath(path)} to the other holders: pinfetch manifest sign ${shownPath(path)} --type root --keys <their keys>`,
    }
  }
  const path = `roots/${next.version}.json`
  await makeDirectory(join(directory, 'roots'))
  await writeWhole(join(directory, path), document)
  await dropPending(directory, 'root')
  const { expires } = next.payload
  return {
    data: {
      root: { version: next.version, expires: dateOf(expires), path, pending: false },
      signedBy: kids,
      epochs: { manifest: next.payload.roles.manifest.epoch, status: next.payload.roles.status.epoch },
    },
    text: table([
      ['root', `version ${next.version}, signed by ${kids.length}`],
      ['until', `${dateOf(expires)}  ${fromNow(expires, now)}`],
      ...raiseEpoch.map((role) => [
        'epoch',
        `${role} ${next.payload.roles[role].epoch}: what its keys signed before no longer counts`,
      ]),
    ]),
    warnings: isChange
      ? ['run publish at once: until then, clients that see the new root refuse what the old keys signed']
      : [],
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`,
  }
}

async function changeFrom(options: RotateOptions, root: TrustedRoot, io: Io): Promise<RootChange> {
  const { add = [], remove = [], threshold = [], raiseEpoch = [] } = options
  const known = uniqueKeys(Object.values(root.roles).flatMap(({ keys }) => keys))
  return {
    add: await Promise.all(add.map((text) => rootKeyFrom(text, io))),
    remove: remove.map((text) => kidOf(text, known)),
    threshold: Object.fromEntries(threshold.map(thresholdOf)),
    raiseEpoch,
  }
}

function kidOf(text: string, known: readonly VerificationKey[]): string {
  const found = known.filter(({ kid }) => text.length >= 8 && kid.startsWith(text))
  const [only] = found
  if (only !== undefined && found.length === 1) return only.kid
  const hint = 'pinfetch keys list --dir <dir> shows the keys; their first 8 characters are enough.'
  throw new UsageError(`--remove ${JSON.stringify(text)}: not a key of the root`, hint)
}

function thresholdOf(text: string): readonly [RoleName, number] {
  const [, role, count] = /^(root|manifest|status):([1-9]\d?)$/.exec(text) ?? []
  if (role !== undefined) return [role as RoleName, Number(count)]
  throw new UsageError(`--threshold ${JSON.stringify(text)}: not role:number`, 'Example: --threshold manifest:2')
}

const uniqueKeys = (keys: readonly VerificationKey[]): readonly VerificationKey[] => [
  ...new Map(keys.map((key) => [key.kid, key])).values(),
]

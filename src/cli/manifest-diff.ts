import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseEnvelope } from '../manifest/verify.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { contentOf, type ManifestContent } from '../publisher/content.ts'
import { type ContentDiff, diffContent, entryName } from '../publisher/diff.ts'
import type { CtDiff } from '../publisher/log-list-diff.ts'
import { readBytes } from './files.ts'
import type { Io, Paint } from './io.ts'
import { typeOf } from './manifest-sign.ts'
import { contentIn } from './next-documents.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { counted } from './text.ts'
import { contentOfList, readWorkingList } from './working-list.ts'

/** What changes from one manifest to another: files, repositories (their list), or the two halves of one repository. */
export async function diff(a: string, b: string | undefined, io: Io, paint: Paint): Promise<Outcome> {
  const before = b === undefined ? await inForce(a, io) : await contentAt(a)
  const after = await contentAt(b ?? a)
  const changes = diffContent(before, after)
  const total = changes.added.length + changes.removed.length + changes.changed.length + changes.members.length
  return {
    data: changes,
    text: total === 0 ? ['no difference'] : lines(changes, paint),
    ...(total === 0 ? {} : { next: 'pinfetch manifest lint --dir <dir>   # what clients would say to it' }),
  }
}

function lines({ added, removed, changed, members, ct }: ContentDiff, paint: Paint): readonly string[] {
  return [
    ...added.map((entry) => paint.green(`+ ${entryName(entry)}  ${counted(entry.pins.length, 'pin')}`)),
    ...removed.map((entry) => paint.red(`- ${entryName(entry)}`)),
    ...changed.flatMap(({ host, pinsAdded, pinsRemoved, members: others }) => [
      `~ ${host}${others.length === 0 ? '' : `  ${others.join(', ')}`}`,
      ...pinsAdded.map((pin) => paint.green(`  + ${pin}`)),
      ...pinsRemoved.map((pin) => paint.red(`  - ${pin}`)),
    ]),
    ...members.flatMap((name) => (name === 'ct' && ct !== undefined ? ctLines(ct, paint) : [`~ ${name}`])),
  ]
}

function ctLines({ policy, list, logsAdded, logsRemoved, logsChanged }: CtDiff, paint: Paint): readonly string[] {
  const move = (what: string, change: CtDiff['policy']): readonly string[] =>
    change === undefined ? [] : [`  ${what} ${change.from ?? 'none'} → ${change.to ?? 'none'}`]
  return [
    '~ ct',
    ...move('policy', policy),
    ...move('log list of', list),
    ...logsAdded.map((name) => paint.green(`  + ${name}`)),
    ...logsRemoved.map((name) => paint.red(`  - ${name}`)),
    ...logsChanged.map((name) => `  ~ ${name}`),
  ]
}

async function inForce(path: string, io: Io): Promise<ManifestContent> {
  if (!(await isDirectory(path))) {
    throw new UsageError(
      'one file is given, and nothing to compare it with',
      'Give two files, or the folder of a repository.',
    )
  }
  return contentIn((await readRepository(resolve(path), toUnixMs(io.now()))).manifest) ?? { hosts: [] }
}

/** Of a folder the working list; of a file its payload, whoever signed it: this only shows. */
async function contentAt(path: string): Promise<ManifestContent> {
  if (await isDirectory(path)) return contentOfList(await readWorkingList(resolve(path)))
  const bytes = await readBytes(path)
  const type = typeOf(bytes, path)
  if (type === 'manifest') return contentOf(parseEnvelope(bytes, { document: type }).payload)
  throw new UsageError(`${path}: a ${type}, not a manifest`, `Give a file of ${join('manifests', '')}, or a folder.`)
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false, // reading it will say why
  )
}

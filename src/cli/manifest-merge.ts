import { resolve } from 'node:path'
import { parseEnvelope } from '../manifest/verify.ts'
import { mergeSignatures } from '../publisher/sign.ts'
import { readBytes, writeWhole } from './files.ts'
import { typeOf } from './manifest-sign.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { pendingOf, readPending, writePending } from './pending.ts'
import { shownPath, table } from './text.ts'

export interface MergeOptions {
  readonly dir?: string
  readonly out?: string
}

/** Unites the signatures of copies that several people signed: into the repository’s pending document, or into a file. */
export async function merge(paths: readonly string[], { dir, out }: MergeOptions): Promise<Outcome> {
  const [first = ''] = paths
  const copies = await Promise.all(paths.map(async (path) => ({ path, bytes: await readBytes(path) })))
  const types = copies.map(({ path, bytes }) => typeOf(bytes, path))
  const [type = 'manifest'] = types
  const directory = dir === undefined ? undefined : resolve(dir)
  const held = directory === undefined ? undefined : await readPending(directory, type)
  const documents = [...(held === undefined ? [] : [held.bytes]), ...copies.map(({ bytes }) => bytes)]
  const payloads = new Set(
    documents.map((bytes, index) => payloadOf(bytes, types[Math.max(0, index - (held ? 1 : 0))] ?? type)),
  )
  if (new Set(types).size > 1 || payloads.size > 1) {
    throw new UsageError(
      'the copies carry different payloads: only signatures of the same bytes can be united',
      `See what differs: pinfetch manifest diff ${shownPath(first)} ${shownPath(paths[1] ?? directory ?? '')}`,
      'ERR_CONFIG_FILE',
    )
  }
  const merged = mergeSignatures(type, documents)
  const target = out ?? first
  if (directory === undefined) await writeWhole(target, merged, { replace: true })
  else await writePending(directory, type, merged)
  const { kids, envelope } = pendingOf(merged, type)
  return {
    data: { type, sha256: envelope.sha256, signedBy: kids, written: directory ?? target },
    text: table([[type, `payload ${envelope.sha256}`], ...kids.map((kid) => ['signed by', kid])]),
    next:
      directory === undefined
        ? `pinfetch manifest merge ${shownPath(target)} --dir <dir>`
        : `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`,
  }
}

const payloadOf = (bytes: Uint8Array, type: ReturnType<typeof typeOf>): string =>
  parseEnvelope(bytes, { document: type }).sha256

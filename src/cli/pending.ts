import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Envelope, parseEnvelope } from '../manifest/verify.ts'
import type { DocumentType } from '../publisher/sign.ts'
import { makeDirectory, readIfPresent, writeWhole } from './files.ts'

/*
 * A document that too few have signed so far. It lies in `pending/`, apart from what is published, until the threshold is
 * met; its payload never changes, so signers may work on copies and unite them.
 */

export interface Pending {
  readonly bytes: Uint8Array
  readonly envelope: Envelope
  readonly kids: readonly string[]
}

export async function readPending(directory: string, type: DocumentType): Promise<Pending | undefined> {
  const bytes = await readIfPresent(pendingPath(directory, type))
  return bytes === undefined ? undefined : pendingOf(bytes, type)
}

/** @throws ManifestError when the bytes are no document of the type. */
export function pendingOf(bytes: Uint8Array, type: DocumentType): Pending {
  const envelope = parseEnvelope(bytes, { document: type })
  return { bytes, envelope, kids: envelope.entries.map(({ kid }) => kid) }
}

export async function writePending(directory: string, type: DocumentType, bytes: Uint8Array): Promise<void> {
  await makeDirectory(join(directory, 'pending'))
  await writeWhole(pendingPath(directory, type), bytes, { replace: true })
}

export async function dropPending(directory: string, type: DocumentType): Promise<void> {
  await unlink(pendingPath(directory, type)).catch(() => undefined) // nothing depends on it any longer
}

export const pendingPath = (directory: string, type: DocumentType): string => join(directory, 'pending', `${type}.json`)

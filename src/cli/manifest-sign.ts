import { join } from 'node:path'
import { ManifestError } from '../errors/errors.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { addSignature, type DocumentType } from '../publisher/sign.ts'
import { deadlineData, deadlineRows } from './deadlines.ts'
import { readBytes, writeWhole } from './files.ts'
import type { Io, Paint } from './io.ts'
import { readKeys } from './key-files.ts'
import { lintFailure, lintText, warningsOf } from './lint-text.ts'
import { isInForce } from './next-documents.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { pendingOf } from './pending.ts'
import { manifestPath } from './repository-files.ts'
import { type SignedNext, type SignOptions, signNext } from './sign-next.ts'
import { counted, dateOf, shownPath, table } from './text.ts'
import { workingListPath } from './working-list.ts'

/** `manifest sign`: the next documents, or one more signature on a document that somebody handed over. */
export async function sign(
  options: SignOptions & { readonly document?: string; readonly type?: DocumentType },
  io: Io,
  paint: Paint,
): Promise<Outcome> {
  if (options.document !== undefined) return signOne(options.document, options, io)
  return describeSigned(await signNext(options, io), options, io, paint)
}

export function describeSigned(signed: SignedNext, options: SignOptions, io: Io, paint: Paint): Outcome {
  const { directory, statusOnly } = options
  const { repository, findings, list } = signed
  const now = io.now()
  const shown = shownPath(directory)
  if (signed.kind === 'refused') return refusedByLint(signed, `pinfetch manifest lint --dir ${shown}`, paint)
  if (signed.kind === 'pending') {
    const { version, role, path } = signed
    const missing = role.threshold - signed.signed
    return {
      data: { manifest: { version, path, signed: signed.signed, threshold: role.threshold, pending: true } },
      text: table([['manifest', `version ${version}, signed by ${signed.signed} of the ${role.threshold} that must`]]),
      warnings: warningsOf(findings),
      next: `hand ${shownPath(path)} to ${counted(missing, 'more holder')} of its keys: pinfetch manifest sign ${shownPath(path)} --keys <their keys>`,
    }
  }
  const { manifest, status, isNew } = signed
  const { root } = repository
  const { size } = manifest.hosts
  const until = status === undefined ? undefined : deadlinesOf(root, status, manifest)
  return {
    data: {
      root: { version: root.version, expires: dateOf(root.payload.expires) },
      manifest: {
        version: manifest.version,
        expires: dateOf(manifest.payload.expires),
        new: isNew,
        path: manifestPath(manifest),
      },
      status:
        status === undefined
          ? null
          : { version: status.version, expires: dateOf(status.payload.expires), path: 'status.json' },
      hosts: size,
      deadlines: until === undefined ? null : deadlineData(until),
    },
    text: table([
      [
        'manifest',
        `version ${manifest.version}${isNew ? '' : ', as before'}, ${counted(size, 'host')}, until ${dateOf(manifest.payload.expires)}`,
      ],
      ...(status === undefined || until === undefined
        ? [['status', 'not signed: its keys are elsewhere']]
        : [
            ['status', `version ${status.version}, until ${dateOf(status.payload.expires)}`],
            ...deadlineRows(until, now),
          ]),
    ]),
    warnings: [
      ...(statusOnly && !isInForce(repository, list)
        ? [`${workingListPath(directory)} has changes that are not signed`]
        : []),
      ...warningsOf(findings),
    ],
    next:
      status === undefined
        ? `pinfetch manifest publish --dir ${shown} --to <folder>   # where the status keys are`
        : `pinfetch manifest publish --dir ${shown} --to <folder>; or upload ${shown}, status.json last, and: pinfetch manifest verify <url> --root ${join(shown, 'root.json')}`,
  }
}

function refusedByLint({ findings }: Pick<SignedNext, 'findings'>, next: string, paint: Paint): Outcome {
  const failure = lintFailure(findings)
  return {
    data: { findings },
    text: lintText(findings, paint),
    next,
    ...(failure === undefined ? {} : { failure }),
  }
}

/** A signer far from the repository: the document is a file, and the payload stays as it is. */
async function signOne(
  path: string,
  { keys: keyDirectory, type: expected = 'manifest' }: SignOptions & { readonly type?: DocumentType },
  io: Io,
): Promise<Outcome> {
  const bytes = await readBytes(path)
  const type = typeOf(bytes, path)
  if (type !== expected) {
    // Its file is named as a stranger likes, and a root decides on everybody’s keys.
    throw new UsageError(
      `${path}: expected a ${expected}, saw a ${type}`,
      `If that is what you mean to sign: pinfetch manifest sign ${shownPath(path)} --type ${type}`,
    )
  }
  const keys = await readKeys(keyDirectory, type, io)
  if (keys.length === 0) {
    throw new UsageError(
      `${keyDirectory}: holds no key of the role ${type}`,
      `Its file is named ${type}-<name>.pem; --keys says where.`,
    )
  }
  let document = bytes
  for (const key of keys) document = await addSignature(document, type, key)
  await writeWhole(path, document, { replace: true })
  const { kids, envelope } = pendingOf(document, type)
  return {
    data: { document: path, type, sha256: envelope.sha256, signedBy: kids },
    text: table([
      [type, `payload ${envelope.sha256}`],
      ...kids.map((kid) => ['signed by', `${kid}${keys.some((key) => key.kid === kid) ? '  here' : ''}`]),
    ]),
    next: `send ${shownPath(path)} back; there: pinfetch manifest merge ${shownPath(path)} --dir <dir>`,
  }
}

/** What kind of document signatures say they are over. @throws UsageError */
export function typeOf(bytes: Uint8Array, path: string): DocumentType {
  for (const type of ['manifest', 'root', 'status'] as const) {
    try {
      pendingOf(bytes, type)
      return type
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error
      if (error.code !== 'ERR_MANIFEST_SIG_TYP_MISMATCH') {
        throw new UsageError(
          `${path}: ${error.message}`,
          'Give a file of pending/, manifests/ or roots/.',
          'ERR_CONFIG_FILE',
          error,
        )
      }
    }
  }
  throw new UsageError(
    `${path}: no document of pinfetch`,
    'Give a file of pending/, manifests/ or roots/.',
    'ERR_CONFIG_FILE',
  )
}

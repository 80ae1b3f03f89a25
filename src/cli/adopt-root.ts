import { join } from 'node:path'
import { ManifestError } from '../errors/errors.ts'
import { readRoot } from '../manifest/payload.ts'
import { acceptRoot, type TrustedRoot } from '../manifest/root.ts'
import { type PublicJwk, thumbprint, type VerificationKey } from '../manifest/verify.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { addSignature } from '../publisher/sign.ts'
import { writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { dropPending, readPending, writePending } from './pending.ts'
import type { PublishedRepository } from './repository-files.ts'
import { readRepository } from './repository-files.ts'
import { type SignerOptions, signersOf } from './signers.ts'

/**
 * Signs a root that waits for signatures with the root keys that are here, and takes it over once the thresholds before and
 * after have signed.
 *
 * @returns The repository as it is then.
 */
export async function adoptRoot(
  directory: string,
  repository: PublishedRepository,
  options: SignerOptions,
  io: Io,
): Promise<PublishedRepository> {
  const { root } = repository
  const pending = await readPending(directory, 'root')
  if (pending === undefined) return repository
  const now = toUnixMs(io.now())
  let document = pending.bytes
  const signers = await signersOf('root', [...root.roles.root.keys, ...keysIn(pending.envelope.payload)], options, io)
  for (const signer of signers) document = await addSignature(document, 'root', signer)
  const next = await acceptedRoot(document, root, now)
  if (next === undefined) {
    if (signers.length > 0) await writePending(directory, 'root', document)
    return repository
  }
  await writeWhole(join(directory, `roots/${next.version}.json`), document)
  await dropPending(directory, 'root')
  return readRepository(directory, now)
}

/** `undefined` while too few have signed. @throws ManifestError for what no signature could mend. */
export async function acceptedRoot(
  document: Uint8Array,
  root: TrustedRoot,
  now: number,
): Promise<TrustedRoot | undefined> {
  try {
    return await acceptRoot(document, root, toUnixMs(now))
  } catch (error) {
    if (error instanceof ManifestError && error.code === 'ERR_MANIFEST_SIG_THRESHOLD') return undefined
    throw error
  }
}

/** The root keys that a proposed root names: their signatures are needed, and nothing of them is trusted yet. */
export function keysIn(payload: Uint8Array): readonly VerificationKey[] {
  const { keys, roles } = readRoot(payload, {})
  return keys.flatMap(({ kty, crv, alg, x, y, holder }) => {
    const jwk: PublicJwk = y === undefined ? { kty, crv, x } : { kty, crv, x, y }
    const kid = thumbprint(jwk)
    return roles.root.keys.includes(kid) ? [{ kid, alg, holder, jwk }] : []
  })
}

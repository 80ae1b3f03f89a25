import type { Role, TrustedRoot } from '../manifest/root.ts'
import type { RoleName, RootKey } from '../manifest/schema.ts'
import { holderOf, thumbprint, type VerificationKey } from '../manifest/verify.ts'
import { wordsOf } from '../publisher/command.ts'
import { commandSigner } from '../publisher/command-signer.ts'
import { keySigner, type Signer } from '../publisher/signer.ts'
import type { Io } from './io.ts'
import { readKeys } from './key-files.ts'
import { UsageError } from './outcome.ts'

export interface SignerOptions {
  /** The directory of the key files. */
  readonly keys: string
  /** `command` for the one key of a role that is no file here, or `kid=command`. */
  readonly signer?: readonly string[]
}

/** Everybody here who may sign for a role: its key files, then the commands that stand for its other keys. */
export async function signersOf(
  role: RoleName,
  keys: readonly VerificationKey[],
  options: SignerOptions,
  io: Io,
): Promise<readonly Signer[]> {
  const inFiles = (await readKeys(options.keys, role, io)).filter(({ kid }) => keys.some((key) => key.kid === kid))
  const elsewhere = keys.filter(({ kid }) => !inFiles.some((key) => key.kid === kid))
  const byCommand = (options.signer ?? []).flatMap((text) => {
    const key = keyOf(text, elsewhere)
    if (key === undefined) return []
    const words = wordsOf(text.replace(KID, ''))
    if (words === undefined || words.length === 0) {
      throw new UsageError(
        `--signer ${JSON.stringify(text)}: not a command`,
        'Close the quotes: --signer "sign-it --key 7"',
      )
    }
    return [commandSigner(words, { kid: key.kid, alg: key.alg, publicJwk: key.jwk }, io.signal)]
  })
  return [...inFiles.map(keySigner), ...byCommand]
}

/** Whether the holders of these keys are as many as must sign. */
export function meetsThreshold({ keys, threshold }: Role, kids: readonly string[]): boolean {
  return countHolders(keys, kids) >= threshold
}

/** Whether a manifest would be in force only because keys signed that are kept for emergencies. */
export function needsBreakGlass({ payload, roles: { manifest } }: TrustedRoot, kids: readonly string[]): boolean {
  const glass = new Set(payload.keys.filter(({ note }) => note === BREAK_GLASS).map(kidOf))
  const isUsed = kids.some((kid) => glass.has(kid))
  return (
    isUsed &&
    !meetsThreshold(
      manifest,
      kids.filter((kid) => !glass.has(kid)),
    )
  )
}

/** The note that a root says of such a key. */
export const BREAK_GLASS = 'break-glass'

const kidOf = ({ kty, crv, x, y }: RootKey): string =>
  thumbprint(y === undefined ? { kty, crv, x } : { kty, crv, x, y })

/** Keys of one holder are one vote. */
export function countHolders(keys: readonly VerificationKey[], kids: readonly string[]): number {
  return new Set(keys.filter(({ kid }) => kids.includes(kid)).map(holderOf)).size
}

function keyOf(text: string, elsewhere: readonly VerificationKey[]): VerificationKey | undefined {
  const [, prefix] = KID.exec(text) ?? []
  if (prefix !== undefined) return elsewhere.find(({ kid }) => kid.startsWith(prefix)) // of another role, perhaps
  if (elsewhere.length <= 1) return elsewhere[0]
  const hint = `Say which: ${elsewhere.map(({ kid }) => `--signer "${kid.slice(0, 12)}=${text}"`).join(' or ')}`
  throw new UsageError(`--signer: ${elsewhere.length} keys of the role are no files here`, hint)
}

const KID = /^([A-Za-z0-9_-]{8,43})=/

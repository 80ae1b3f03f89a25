import { CODES } from '../errors/codes.ts'
import { SignError } from '../errors/errors.ts'
import { type VerificationKey, verificationKey } from '../keys/verification-key.ts'
import { type VerifiedEvidence, verifyEvidence } from '../monitor/evidence/verify.ts'
import { readBytes } from './files.ts'
import { type Paint, printable } from './io.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { shownPath, table } from './text.ts'

/** Checks the digest and the signature, and judges the peer again, at the time that was recorded. */
export async function verifyEvidenceFile(
  file: string,
  options: { readonly key?: string },
  paint: Paint,
): Promise<Outcome> {
  const key = options.key === undefined ? undefined : await readKey(options.key)
  const verified = verifyEvidence(await readBytes(file), key)
  const { evidence, sha256, signature, again, differences } = verified
  const { handshake } = evidence
  const failure = failureOf(verified)
  const same = again === undefined ? 'not judged again: there was nothing to judge' : verdictText(again)
  return {
    data: {
      file,
      sha256,
      signature,
      host: handshake.host,
      at: handshake.at,
      recorded: { outcome: handshake.verdict, code: handshake.code ?? null },
      again: again === undefined ? null : { outcome: again.outcome, code: again.code ?? null },
      differences,
      versions: evidence.versions,
    },
    text: table([
      ['digest', `${paint.green('holds')}  ${sha256}`],
      ['signature', signature === 'verified' ? paint.green('holds') : signature],
      [
        'recorded',
        printable(`${verdictText({ outcome: handshake.verdict, code: handshake.code })}  ${handshake.host}`),
      ],
      ['again', failure === undefined ? same : paint.red(same)],
      ...differences.map((difference) => ['differs', printable(difference)]),
    ]),
    warnings: sealWarnings(signature, again !== undefined),
    next: `pinfetch evidence show ${shownPath(file)}`,
    ...(failure === undefined ? {} : { failure }),
  }
}

/** What a reader must not take for granted. */
export function sealWarnings(signature: VerifiedEvidence['signature'], wasJudged: boolean): readonly string[] {
  return [
    ...(signature === 'unsigned'
      ? ['not signed: its digest shows accidents, and not that somebody wrote it anew']
      : []),
    ...(signature === 'unchecked' ? ['signed, and the signature was not checked: give --key'] : []),
    ...(wasJudged ? [] : ['the attempt ended before certificates were judged: there is no verdict to give again']),
  ]
}

function failureOf({ differences, evidence }: VerifiedEvidence): Failure | undefined {
  const [difference] = differences
  if (difference === undefined) return undefined
  const code = 'ERR_MONITOR_EVIDENCE_DIFFERS'
  const message = printable(`${difference} (it was made with pinfetch ${evidence.versions.pinfetch})`)
  return { code, message, hint: CODES[code].fix }
}

function verdictText({ outcome, code }: { readonly outcome: string; readonly code?: string | undefined }): string {
  return code === undefined ? outcome : `${outcome}  ${code}`
}

async function readKey(path: string): Promise<VerificationKey> {
  const text = Buffer.from(await readBytes(path)).toString('utf8')
  try {
    return verificationKey(text.trimStart().startsWith('{') ? JSON.parse(text) : text, { keyId: path })
  } catch (error) {
    if (!(error instanceof SignError || error instanceof SyntaxError)) throw error
    throw new UsageError(`--key ${path}: not a key that signs evidence`, 'Give a public key as PEM or JWK.')
  }
}

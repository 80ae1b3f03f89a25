import { createSecretKey } from 'node:crypto'
import type { SignatureAlgorithm } from '../../src/keys/signer.ts'
import { verificationKey, verifySignature } from '../../src/keys/verification-key.ts'
import { MessageRefusal } from '../../src/signing/refusal.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readSignatures } from '../../src/signing/signature-fields.ts'
import { type MessageRow, messageOf } from './signed-message.ts'
import { type Answer, outcome } from './suite.ts'

/** A signed message and its key: does the signature of this label verify? */
export interface SigningCase {
  readonly label: string
  readonly message: MessageRow
  readonly request?: MessageRow
  readonly alg: SignatureAlgorithm
  readonly keyMaterial: { readonly publicPem?: string; readonly privatePem?: string; readonly secretBase64?: string }
}

export function runSigningCase(input: unknown): Answer {
  const { label, message: row, request, alg, keyMaterial } = input as SigningCase
  const startedAt = performance.now()
  const { publicPem = '', secretBase64 } = keyMaterial
  const key = verificationKey(secretBase64 === undefined ? publicPem : createSecretKey(secretBase64, 'base64'), {
    keyId: '',
    algorithm: alg,
  })
  try {
    const message = messageOf(row, request)
    const read = readSignatures(message.fields).get(label)
    if (read === undefined) return outcome('ERR_VERIFY_MISSING', startedAt)
    const base = signatureBase(read.components, read.parametersText, message)
    const verifies = verifySignature(key, Buffer.from(base, 'latin1'), read.signature)
    return outcome(verifies ? undefined : 'ERR_VERIFY_FAILED', startedAt)
  } catch (error) {
    if (error instanceof MessageRefusal) return outcome('ERR_VERIFY_MALFORMED', startedAt)
    throw error
  }
}

import { encodeBase64Url } from '../encoding/base64.ts'
import { type Envelope, parseEnvelope } from '../manifest/verify.ts'
import type { SigningKey } from './keys.ts'
import { keySigner, type Signer } from './signer.ts'

export type DocumentType = 'root' | 'status' | 'manifest'

/** One signature of each signer over exactly these bytes. */
export async function signDocument(
  payload: Uint8Array,
  type: DocumentType,
  signers: readonly (Signer | SigningKey)[],
): Promise<Uint8Array> {
  const signatures = await Promise.all(signers.map((signer) => sign(payload, type, signer)))
  return serialise(encodeBase64Url(payload), signatures)
}

/** Signing is asynchronous among people: the payload stays as it is, each signer adds one entry. */
export async function addSignature(
  document: Uint8Array,
  type: DocumentType,
  signer: Signer | SigningKey,
): Promise<Uint8Array> {
  const { payload, payloadText, entries } = parseEnvelope(document, { document: type })
  const others = entries.filter(({ kid }) => kid !== signer.kid).map(entryOf)
  return serialise(payloadText, [...others, await sign(payload, type, signer)])
}

/**
 * Unites the signatures of copies that several people signed.
 *
 * @throws TypeError when the copies do not carry the same payload.
 */
export function mergeSignatures(type: DocumentType, documents: readonly Uint8Array[]): Uint8Array {
  const envelopes = documents.map((document) => parseEnvelope(document, { document: type }))
  const [first] = envelopes
  if (first === undefined) throw new TypeError('nothing to merge')
  if (envelopes.some(({ sha256 }) => sha256 !== first.sha256)) {
    throw new TypeError('the copies carry different payloads: only signatures of the same bytes can be merged')
  }
  const byKid = new Map(
    envelopes.flatMap(({ entries }) => entries.map((entry) => [entry.kid, entryOf(entry)] as const)),
  )
  return serialise(first.payloadText, [...byKid.values()])
}

/** RFC 7515 §5.1: what is signed is the protected header and the payload, both as base64url, with a dot between. */
async function sign(payload: Uint8Array, type: DocumentType, party: Signer | SigningKey): Promise<Entry> {
  const { alg, kid, sign: signatureOf } = 'sign' in party ? party : keySigner(party)
  const header = encodeBase64Url(utf8(JSON.stringify({ alg, kid, typ: `pinfetch-${type}+jws` })))
  const signature = await signatureOf(utf8(`${header}.${encodeBase64Url(payload)}`))
  return { protected: header, signature: encodeBase64Url(signature) }
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Entry {
  readonly protected: string
  readonly signature: string
}

function entryOf({ protected: header, signature }: Envelope['entries'][number]): Entry {
  return { protected: header, signature }
}

function serialise(payload: string, signatures: readonly Entry[]): Uint8Array {
  return utf8(JSON.stringify({ payload, signatures }))
}

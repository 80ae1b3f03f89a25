import { FlattenedSign, importJWK } from 'jose'
import { encodeBase64Url } from '../encoding/base64.ts'
import { type Envelope, parseEnvelope } from '../manifest/verify.ts'
import type { SigningKey } from './keys.ts'

export type DocumentType = 'root' | 'status' | 'manifest'

/** One signature of each key over exactly these bytes. */
export async function signDocument(
  payload: Uint8Array,
  type: DocumentType,
  keys: readonly SigningKey[],
): Promise<Uint8Array> {
  const signatures = await Promise.all(keys.map((key) => sign(payload, type, key)))
  return serialise(encodeBase64Url(payload), signatures)
}

/** Signing is asynchronous among people: the payload stays as it is, each signer adds one entry. */
export async function addSignature(document: Uint8Array, type: DocumentType, key: SigningKey): Promise<Uint8Array> {
  const { payload, payloadText, entries } = parseEnvelope(document, { document: type })
  const others = entries.filter(({ kid }) => kid !== key.kid).map(entryOf)
  return serialise(payloadText, [...others, await sign(payload, type, key)])
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

async function sign(payload: Uint8Array, type: DocumentType, { privateJwk, alg, kid }: SigningKey): Promise<Entry> {
  const jws = await new FlattenedSign(payload)
    .setProtectedHeader({ alg, kid, typ: `pinfetch-${type}+jws` })
    .sign(await importJWK({ ...privateJwk, alg }, alg))
  if (jws.protected === undefined) throw new TypeError('a signature without protected header')
  return { protected: jws.protected, signature: jws.signature }
}

interface Entry {
  readonly protected: string
  readonly signature: string
}

function entryOf({ protected: header, signature }: Envelope['entries'][number]): Entry {
  return { protected: header, signature }
}

function serialise(payload: string, signatures: readonly Entry[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ payload, signatures }))
}

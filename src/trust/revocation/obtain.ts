import { hash } from 'node:crypto'
import { StoreError } from '../../errors/errors.ts'
import { type FetchEvidence, type Runtime, toUnixMs } from '../../ports/runtime.ts'
import { nextTurn } from '../../ports/turn.ts'
import type { Store } from '../../stores/store.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { encodeOcspRequest } from '../../x509/ocsp-request.ts'
import { CrlReader, crlValidUntil, type VerifiedCrl } from './crl.ts'
import { DEFAULT_LIMITS, EvidenceError, maxAgeFor } from './evidence.ts'
import { requireListOf } from './judge-crl.ts'
import { verifyOcspResponse } from './ocsp.ts'
import type { SerialRecord } from './serial-index.ts'

/** One thing to know: the list behind a URL, or a responder's word on one certificate. */
export type Subject = { readonly url: string; readonly certificate: Certificate; readonly issuer: Certificate } & (
  | { readonly kind: 'crl' }
  | { readonly kind: 'ocsp' }
)

/** A statement that was verified and may be used now. */
export interface Statement {
  /** DER of an OCSP response; of a list only the index is kept. */
  readonly ocspResponse?: Uint8Array
  readonly crl?: VerifiedCrl
  /** What a response says that says revoked. */
  readonly revoked?: SerialRecord
  readonly thisUpdate: number
  readonly validUntil: number
  readonly bytes: number
}

export interface ObtainOptions {
  readonly fetch: FetchEvidence
  readonly store: Store
  readonly runtime: Runtime
  readonly maxBytes: number
  readonly timeoutMs: number
}

/** The same for every certificate of an issuer where a list is concerned. */
export function keyOf({ kind, url, certificate, issuer }: Subject): string {
  const about = kind === 'crl' ? '' : ` ${Buffer.from(certificate.serialNumber).toString('hex')}`
  return hash('sha256', `${kind} ${url} ${issuer.spkiSha256}${about}`, 'hex')
}

/** Over the network, verified, and kept on disk. @throws EvidenceError */
export async function fetchStatement(subject: Subject, options: ObtainOptions): Promise<Statement> {
  const { fetch, maxBytes, timeoutMs } = options
  const { url, certificate, issuer } = subject
  const request = subject.kind === 'crl' ? {} : { ocspRequest: encodeOcspRequest(certificate, issuer) }
  const pieces: Uint8Array[] = []
  const arriving = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of fetch({ url, maxBytes, timeoutMs, ...request })) {
      pieces.push(Uint8Array.from(piece))
      yield piece
    }
  }
  const statement = await read(subject, arriving(), options)
  await save(subject, Buffer.concat(pieces), statement, options)
  return statement
}

/** What an earlier process kept, verified again: a disk is nobody's word. `undefined` when there is nothing of use. */
export async function loadStatement(
  subject: Subject,
  { store, runtime }: ObtainOptions,
): Promise<Statement | undefined> {
  const folder = folderOf(subject)
  for (const name of [...(await store.list(folder))].sort().reverse()) {
    try {
      const bytes = await store.get(name)
      if (bytes !== undefined) return await read(subject, inPieces(bytes), { runtime })
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      await store.delete(name)
    }
  }
  return undefined
}

async function read(
  subject: Subject,
  pieces: AsyncIterable<Uint8Array>,
  { runtime }: Pick<ObtainOptions, 'runtime'>,
): Promise<Statement> {
  return subject.kind === 'crl' ? readList(subject, pieces, runtime) : readResponse(subject, pieces, runtime)
}

async function readList(
  { certificate, issuer }: Subject,
  pieces: AsyncIterable<Uint8Array>,
  { clock }: Runtime,
): Promise<Statement> {
  const reader = new CrlReader(issuer, DEFAULT_LIMITS)
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    reader.write(piece)
    await nextTurn() // a long list is read between the requests
  }
  const crl = reader.end()
  requireListOf(certificate, crl) // any list of the issuer is signed as well; in the place of this one it would say nothing
  const limits = DEFAULT_LIMITS
  const validUntil = crlValidUntil(crl, { now: clock.now(), limits, maxAgeMs: maxAgeFor(certificate, limits) })
  return { crl, thisUpdate: crl.thisUpdate, validUntil, bytes }
}

async function readResponse(
  { certificate, issuer }: Subject,
  pieces: AsyncIterable<Uint8Array>,
  { clock }: Runtime,
): Promise<Statement> {
  const parts: Uint8Array[] = []
  for await (const piece of pieces) parts.push(Uint8Array.from(piece))
  const response = new Uint8Array(Buffer.concat(parts))
  const now = toUnixMs(clock.now())
  const evidence = verifyOcspResponse({ response, certificate, issuer, now, limits: DEFAULT_LIMITS })
  if (evidence.status === 'undetermined') throw new EvidenceError(evidence.code, evidence.message)
  const { thisUpdate, validUntil } = evidence
  const statement = { ocspResponse: response, thisUpdate, validUntil, bytes: response.length }
  return evidence.status === 'revoked' ? { ...statement, revoked: evidence } : statement
}

/** Best effort, and the newest alone: what cannot be kept is fetched again after a restart. */
async function save(
  subject: Subject,
  bytes: Uint8Array,
  { thisUpdate }: Statement,
  { store }: Pick<ObtainOptions, 'store'>,
): Promise<void> {
  if (store.volatile === true) return
  const folder = folderOf(subject)
  const name = `${folder}${String(thisUpdate).padStart(16, '0')}`
  try {
    await store.put(name, bytes)
    for (const older of await store.list(folder)) if (older < name) await store.delete(older)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
  }
}

const folderOf = (subject: Subject): string => `revocation/${keyOf(subject).slice(0, 32)}/`

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

const PIECE_BYTES = 64 * 1024

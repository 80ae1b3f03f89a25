import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { UnixMs } from '../ports/runtime.ts'
import type { FieldLine } from './message.ts'
import { canonicalRequest, encodeUri, type PathRules } from './sigv4-canonical.ts'

/** A request that AWS Signature Version 4 is to sign. */
export interface SigV4Request {
  readonly method: string
  /** Path and query as they stand on the wire, the query without its `?`. */
  readonly path: string
  readonly query: string
  /** Host and everything else that is to be signed. */
  readonly fields: readonly FieldLine[]
  /** SHA-256 of the body in hexadecimal, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string
}

export interface SigV4Scope {
  /** As `20150830T123600Z`. */
  readonly timestamp: string
  readonly accessKeyId: string
  /** As `20150830/us-east-1/service/aws4_request`. */
  readonly scope: string
  readonly key: KeyObject
  readonly sessionToken: string | undefined
  /** Some services want the token beside the signature and not under it. */
  readonly signsToken: boolean
  /** Whether the hash of the payload is said as well, as S3 wants it. */
  readonly saysPayload: boolean
  readonly pathRules: PathRules
}

export interface SigV4Signature {
  readonly signature: string
  /** What the signature was made of, for the eyes of whoever looks for a difference. Holds a session token. */
  readonly canonicalRequest: string
  readonly stringToSign: string
}

/** The header fields that sign a request. */
export function signedHeaders(
  request: SigV4Request,
  scope: SigV4Scope,
): SigV4Signature & { readonly headers: Readonly<Record<string, string>> } {
  const { timestamp, sessionToken, signsToken, saysPayload, pathRules } = scope
  const headers: Record<string, string> = { 'x-amz-date': timestamp }
  const fields: FieldLine[] = [...request.fields, ['x-amz-date', timestamp]]
  if (saysPayload) {
    headers['x-amz-content-sha256'] = request.payload
    fields.push(['x-amz-content-sha256', request.payload])
  }
  if (sessionToken !== undefined) {
    headers['x-amz-security-token'] = sessionToken
    if (signsToken) fields.push(['x-amz-security-token', sessionToken])
  }
  const canonical = canonicalRequest({ ...request, fields, pathRules })
  const signed = signatureOf(canonical.text, scope)
  const credential = `${scope.accessKeyId}/${scope.scope}`
  headers['authorization'] =
    `${ALGORITHM} Credential=${credential}, SignedHeaders=${canonical.signedHeaders}, Signature=${signed.signature}`
  return { ...signed, headers }
}

/** The parameters that sign a request when they are appended to its query: whoever has the URL can send it until then. */
export function signedQuery(
  request: SigV4Request,
  scope: SigV4Scope,
  expiresInSec: number,
): SigV4Signature & { readonly query: string } {
  const { timestamp, sessionToken, signsToken, saysPayload, pathRules } = scope
  const names = request.fields.map(([name]) => name)
  const headers = encodeUri([...new Set(names)].sort().join(';'))
  let query = `X-Amz-Algorithm=${ALGORITHM}&X-Amz-Credential=${encodeUri(`${scope.accessKeyId}/${scope.scope}`)}`
  query += `&X-Amz-Date=${timestamp}&X-Amz-SignedHeaders=${headers}&X-Amz-Expires=${expiresInSec}`
  if (saysPayload) query += `&X-Amz-Content-Sha256=${request.payload}`
  const token = sessionToken === undefined ? '' : `&X-Amz-Security-Token=${encodeUri(sessionToken)}`
  const covered = signsToken ? `${query}${token}` : query
  const signed = signatureOf(
    canonicalRequest({ ...request, query: `${request.query}&${covered}`, pathRules }).text,
    scope,
  )
  return { ...signed, query: `${query}${token}&X-Amz-Signature=${signed.signature}` }
}

/** What the secret of an access key signs with, in one region, for one service, on one day. */
export function signingKey(secretAccessKey: string, scope: string): KeyObject {
  const parts = scope.split('/')
  const key = parts.reduce<string | Buffer>(
    (above, part) => createHmac('sha256', above).update(part).digest(),
    `AWS4${secretAccessKey}`,
  )
  return createSecretKey(key as Buffer)
}

/** As `20150830T123600Z`. */
export function timestampOf(at: UnixMs): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

/** @param timestamp As `20150830T123600Z`. */
export function scopeOf(timestamp: string, region: string, service: string): string {
  return `${timestamp.slice(0, 8)}/${region}/${service}/aws4_request`
}

function signatureOf(canonical: string, { timestamp, scope, key }: SigV4Scope): SigV4Signature {
  const stringToSign = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash('sha256', canonical)}`
  const signature = createHmac('sha256', key).update(stringToSign).digest('hex')
  return { signature, canonicalRequest: canonical, stringToSign }
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'

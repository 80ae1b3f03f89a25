import { createHash } from 'node:crypto'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { FieldLine } from '../../src/signing/message.ts'
import {
  type SigV4Request,
  type SigV4Scope,
  type SigV4Signature,
  scopeOf,
  signedHeaders,
  signedQuery,
  signingKey,
  timestampOf,
} from '../../src/signing/sigv4-signature.ts'
import type { Answer } from './suite.ts'

/** A request as it stands on the wire, and all that comes of it, signed in the header and in the query. */
export interface SigV4Case {
  readonly id?: string
  readonly context: {
    readonly credentials: {
      readonly access_key_id: string
      readonly secret_access_key: string
      readonly token?: string
    }
    readonly expiration_in_seconds: number
    readonly normalize: boolean
    readonly omit_session_token?: boolean
    readonly region: string
    readonly service: string
    readonly sign_body: boolean
    /** ISO 8601. */
    readonly timestamp: string
  }
  readonly request: string
  readonly 'header-canonical-request': string
  readonly 'header-string-to-sign': string
  readonly 'header-signature': string
  readonly 'header-signed-request': string
  readonly 'query-canonical-request': string
  readonly 'query-string-to-sign': string
  readonly 'query-signature': string
  readonly 'query-signed-request': string
}

/** @returns `pass` where all eight texts are the expected ones, to the byte. */
export function runSigV4Case(input: unknown): Answer {
  const row = input as SigV4Case
  const startedAt = performance.now()
  const { request, line, head, body } = requestOf(row)
  const scope = scopeFor(row)
  const inHeader = signedHeaders(request, { ...scope, saysPayload: row.context.sign_body })
  const inQuery = signedQuery(request, scope, row.context.expiration_in_seconds)
  const added = Object.entries(inHeader.headers)
  const target = `${line.target}${request.query === '' ? '?' : '&'}${inQuery.query}`
  const isRight =
    matches(row, 'header', inHeader) &&
    matches(row, 'query', inQuery) &&
    isSameMessage(row['header-signed-request'], [line.text, ...head, ...added.map((one) => one.join(':'))], body) &&
    isSameMessage(row['query-signed-request'], [`${line.method} ${target} ${line.version}`, ...head], body)
  return { result: isRight ? 'pass' : 'fail', us: Math.round((performance.now() - startedAt) * 1_000) }
}

function matches(row: SigV4Case, place: 'header' | 'query', made: SigV4Signature): boolean {
  return (
    made.canonicalRequest === row[`${place}-canonical-request`] &&
    made.stringToSign === row[`${place}-string-to-sign`] &&
    made.signature === row[`${place}-signature`]
  )
}

/** The order in which header fields are appended is nobody's concern, nor the case of their names. */
function isSameMessage(expected: string, lines: readonly string[], body: string): boolean {
  const [head = '', ...rest] = expected.split('\n\n')
  const tidy = (text: string): string => {
    const [start, ...fields] = text.split(/\n(?!\s)/)
    return [start, ...fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase())).sort()].join('\n')
  }
  return tidy(head) === tidy(lines.join('\n')) && rest.join('\n\n').trimEnd() === body
}

function requestOf({ request: text, context }: SigV4Case) {
  const [head = '', ...rest] = text.split('\n\n')
  const body = rest.join('\n\n')
  const [start = '', ...lines] = head.trimEnd().split(/\n(?!\s)/)
  const [, method = '', target = '', version = ''] = /^(\S+) (.*) (\S+)$/s.exec(start) ?? []
  const [path = '', query = ''] = target.split(/\?(.*)/s)
  const fields = lines.map((line): FieldLine => {
    const [name = '', value = ''] = line.split(/:(.*)/s)
    return [name.toLowerCase(), value]
  })
  const payload = createHash('sha256')
    .update(context.sign_body ? body : '')
    .digest('hex')
  const request: SigV4Request = { method, path, query, fields, payload }
  return { request, line: { text: start, method, target, version }, head: lines, body }
}

function scopeFor({ context }: SigV4Case): SigV4Scope {
  const { credentials, region, service, normalize, omit_session_token: omitsToken = false } = context
  const timestamp = timestampOf(toUnixMs(Date.parse(context.timestamp)))
  const scope = scopeOf(timestamp, region, service)
  return {
    timestamp,
    accessKeyId: credentials.access_key_id,
    scope,
    key: signingKey(credentials.secret_access_key, scope),
    sessionToken: credentials.token,
    signsToken: !omitsToken,
    saysPayload: false,
    pathRules: { normalize, encode: 'twice' },
  }
}

import type { FieldTypes } from '../../src/signing/component.ts'
import type { FieldLine, Message, RequestMessage } from '../../src/signing/message.ts'
import type { FieldType } from '../../src/signing/structured-fields.ts'

/** A message as the suites of signatures write it. */
export interface MessageRow {
  readonly kind: 'request' | 'response'
  readonly method?: string
  readonly url?: string
  readonly target?: string
  readonly status?: number
  readonly headers: readonly FieldLine[]
  readonly trailers?: readonly FieldLine[]
}

export function messageOf(row: MessageRow, request?: MessageRow): Message {
  if (row.kind === 'request') return requestOf(row)
  return {
    kind: 'response',
    status: row.status ?? 0,
    ...fieldsOf(row),
    ...(request === undefined ? {} : { request: requestOf(request) }),
  }
}

/** The suites say `dict`. */
export function fieldTypesOf(types: Readonly<Record<string, string>> = {}): FieldTypes {
  const entries = Object.entries(types).map(([name, type]) => [name, type === 'dict' ? 'dictionary' : type] as const)
  return Object.fromEntries(entries) as Record<string, FieldType>
}

function requestOf(row: MessageRow): RequestMessage {
  const { method = '', url = '', target } = row
  return { kind: 'request', method, url, ...fieldsOf(row), ...(target === undefined ? {} : { target }) }
}

function fieldsOf({ headers, trailers }: MessageRow): Pick<Message, 'fields' | 'trailers'> {
  return { fields: inLowerCase(headers), ...(trailers === undefined ? {} : { trailers: inLowerCase(trailers) }) }
}

const inLowerCase = (lines: readonly FieldLine[]): readonly FieldLine[] =>
  lines.map(([name, value]) => [name.toLowerCase(), value])

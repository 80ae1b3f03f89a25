/** What JSON can say, and nothing that it would drop or turn into something else. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined }

/**
 * One text for one value (RFC 8785): no white space, members by their names' UTF-16 code units, numbers and strings as
 * ECMAScript writes them. A member that is `undefined` is left out, as if it were not there.
 *
 * @throws RangeError for numbers that JSON has not: NaN and the infinities.
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`${value} is no number of JSON`)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  let members = ''
  for (const name of Object.keys(value).sort()) {
    const member = value[name]
    if (member !== undefined) members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`
  }
  return `{${members}}`
}

const isList = (value: object): value is readonly JsonValue[] => Array.isArray(value)

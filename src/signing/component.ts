import { SerializeError, serializeString } from 'structured-headers'
import { FIELD_TYPES } from './field-types.ts'
import { MessageRefusal } from './refusal.ts'
import { type FieldType, type Item, serializeMember } from './structured-fields.ts'

/**
 * What a signature covers (RFC 9421 §2), as an application writes it: a header field by its name in lower case, a derived
 * component such as `@method`, `@query-param:NAME` with the name as it is meant, or one with parameters.
 */
export type Component = DerivedName | `@query-param:${string}` | (string & {}) | ComponentDetails

/** A component of a message with its parameters (RFC 9421 §2). */
export interface ComponentDetails {
  readonly name: DerivedName | `@query-param:${string}` | (string & {})
  /** The field as its structure says it, whatever its spelling (§2.1.1). */
  readonly sf?: true
  /** One member of a dictionary (§2.1.2). */
  readonly key?: string
  /** Each line as bytes: for fields whose lines cannot be joined, or that hold more than ASCII (§2.1.3). */
  readonly bs?: true
  /** Of the request that a response answers (§2.4). */
  readonly req?: true
  /** A trailer field (§2.1.4). */
  readonly tr?: true
  /** For `sf`, where the field is not a registered one. */
  readonly fieldType?: FieldType
}

/** What a signature can cover beside fields (RFC 9421 §2.2). */
export type DerivedName =
  | '@method'
  | '@target-uri'
  | '@authority'
  | '@scheme'
  | '@request-target'
  | '@path'
  | '@query'
  | '@status'

/** A component identifier that RFC 9421 §2 allows. */
export interface ComponentIdentifier {
  readonly name: string
  /** As it stands in the signature base, parameters in the order they were given. */
  readonly text: string
  /** The same for any order of the parameters, which counts for nothing when two are compared (§2). */
  readonly id: string
  readonly sf: boolean
  readonly bs: boolean
  readonly req: boolean
  readonly tr: boolean
  readonly key?: string
  /** Of `@query-param`: the name as it is meant, not percent-encoded. */
  readonly parameter?: string
  /** Of a field with `sf` or `key`. */
  readonly fieldType?: FieldType
}

export type FieldTypes = Readonly<Record<string, FieldType>>

/** @throws MessageRefusal `invalid` */
export function componentIdentifier(component: Component): ComponentIdentifier {
  const details: ComponentDetails = typeof component === 'string' ? { name: component } : component
  const isQueryParam = details.name.startsWith(QUERY_PARAM_PREFIX)
  const name = isQueryParam ? '@query-param' : details.name
  const parameters = new Map<string, string | true>()
  if (isQueryParam) parameters.set('name', encodeQueryText(wellFormed(details.name.slice(QUERY_PARAM_PREFIX.length))))
  if (details.sf === true) parameters.set('sf', true)
  if (details.key !== undefined) parameters.set('key', details.key)
  if (details.bs === true) parameters.set('bs', true)
  if (details.tr === true) parameters.set('tr', true)
  if (details.req === true) parameters.set('req', true)
  return parseIdentifier([name, parameters], details.fieldType === undefined ? {} : { [name]: details.fieldType })
}

/**
 * An item of Signature-Input as an identifier (RFC 9421 §2.5): a parameter that is not understood makes it invalid, since
 * what it would change is not known.
 *
 * @throws MessageRefusal `invalid`
 */
export function parseIdentifier(item: Item, fieldTypes: FieldTypes = {}): ComponentIdentifier {
  const [name, parameters] = item
  if (typeof name !== 'string') throw invalid('a component identifier', 'a string')
  if (!(DERIVED.has(name) || FIELD_NAME.test(name))) {
    throw invalid(quote(name), 'a derived component of RFC 9421 §2.2 or a field name in lower case')
  }
  const isField = !name.startsWith('@')
  const flags = { sf: false, bs: false, req: false, tr: false }
  let key: string | undefined
  let parameter: string | undefined
  for (const [of, value] of parameters) {
    if (value === true && (of === 'req' || (isField && isFlag(of)))) flags[of] = true
    else if (of === 'key' && isField && typeof value === 'string') key = value
    else if (of === 'name' && name === '@query-param' && typeof value === 'string') parameter = queryName(value)
    else throw invalid(quote(name), `only parameters that RFC 9421 gives it, saw ${quote(of)}`)
  }
  if (flags.bs && (flags.sf || key !== undefined)) throw invalid(quote(name), 'bs without sf and key')
  if (name === '@query-param' && parameter === undefined) throw invalid(quote(name), 'the parameter name')
  const fieldType = fieldTypeOf(name, flags.sf, key, fieldTypes)
  const text = identifierText(item)
  return Object.freeze({
    name,
    text,
    id: parameters.size < 2 ? text : identifierText([name, new Map([...parameters].sort(byKey))]),
    ...flags,
    ...(key === undefined ? {} : { key }),
    ...(parameter === undefined ? {} : { parameter }),
    ...(fieldType === undefined ? {} : { fieldType }),
  })
}

/**
 * Covered components: each once.
 *
 * @throws MessageRefusal `invalid`
 */
export function distinct(components: readonly ComponentIdentifier[]): readonly ComponentIdentifier[] {
  const seen = new Set<string>()
  for (const { id } of components) {
    if (seen.has(id)) throw invalid(id, 'each component once')
    seen.add(id)
  }
  return components
}

/** `application/x-www-form-urlencoded` percent-encoding, a space as `%20` (RFC 9421 §2.2.8). */
export function encodeQueryText(text: string): string {
  return encodeURIComponent(text).replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A name is encoded in one way: in another it would name nothing (RFC 9421 §2.2.8). */
function queryName(encoded: string): string {
  try {
    const name = decodeURIComponent(encoded)
    if (encodeQueryText(name) === encoded) return name
  } catch (error) {
    if (!(error instanceof URIError)) throw error
  }
  throw invalid(quote(encoded), 'a percent-encoded parameter name')
}

/** As a URL has it: half a surrogate pair is no character. */
const wellFormed = (text: string): string => Buffer.from(text).toString()

export function quote(name: string): string {
  const text = name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name
  return JSON.stringify(text).replace(/[^\x20-\x7e…]/g, '?')
}

/** `key` says that a field is a dictionary; `sf` alone says that somebody knows what it is. */
function fieldTypeOf(name: string, sf: boolean, key: string | undefined, types: FieldTypes): FieldType | undefined {
  if (!sf && key === undefined) return undefined
  const known = Object.hasOwn(types, name) ? types[name] : FIELD_TYPES.get(name)
  if (key !== undefined && (known ?? 'dictionary') !== 'dictionary') throw invalid(quote(name), 'a dictionary, for key')
  if (key === undefined && known === undefined) throw invalid(quote(name), 'a known field type, for sf')
  return known ?? 'dictionary'
}

function identifierText(item: Item): string {
  try {
    return item[1].size === 0 ? serializeString(String(item[0])) : serializeMember(item)
  } catch (error) {
    if (error instanceof SerializeError) throw invalid(quote(String(item[0])), 'parameters in ASCII')
    throw error
  }
}

function isFlag(name: string): name is 'sf' | 'bs' | 'tr' {
  return name === 'sf' || name === 'bs' || name === 'tr'
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}

function invalid(subject: string, expected: string): MessageRefusal {
  return new MessageRefusal('invalid', `component ${subject}: expected ${expected}`)
}

const DERIVED: ReadonlySet<string> = new Set<DerivedName | '@query-param'>([
  '@method',
  '@target-uri',
  '@authority',
  '@scheme',
  '@request-target',
  '@path',
  '@query',
  '@query-param',
  '@status',
])
const QUERY_PARAM_PREFIX = '@query-param:'
const FIELD_NAME = /^[a-z0-9!#$%&'*+\-.^_`|~]+$/ // RFC 9110 §5.1, in lower case
const MAX_SHOWN = 100

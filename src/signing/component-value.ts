import { type ComponentIdentifier, encodeQueryText, quote } from './component.ts'
import type { FieldLine, Message, RequestMessage } from './message.ts'
import { MessageRefusal } from './refusal.ts'
import { canonicalField, type Dictionary, parseDictionary, serializeMember } from './structured-fields.ts'

/**
 * The value of a covered component (RFC 9421 §2): one line of ASCII.
 *
 * @throws MessageRefusal `missing` where the message has no such thing, `ambiguous` where it has two, `invalid` where it
 *   cannot have one, `not-ascii` where the value would be more than a line of ASCII.
 */
export function componentValue(component: ComponentIdentifier, message: Message): string {
  const of = target(component, message)
  const value = component.name.startsWith('@') ? derivedValue(component, of) : fieldValue(component, of)
  if (!LINE.test(value)) throw refusal('not-ascii', component, 'expected one line of ASCII, saw something else')
  return value
}

/** RFC 9421 §2.4: `req` is for responses, and says that the request is meant. */
function target(component: ComponentIdentifier, message: Message): Message {
  if (!component.req) return message
  if (message.kind === 'request')
    throw refusal('invalid', component, 'expected a response, since req is of its request')
  if (message.request === undefined) throw refusal('missing', component, 'expected a response to a known request')
  return message.request
}

function derivedValue(component: ComponentIdentifier, message: Message): string {
  if (component.name === '@status') {
    if (message.kind === 'response') return String(message.status)
    throw refusal('invalid', component, 'expected a response, saw a request')
  }
  if (message.kind === 'response') throw refusal('invalid', component, 'expected a request, or the parameter req')
  switch (component.name) {
    case '@method':
      return message.method
    case '@request-target':
      if (message.target !== undefined) return message.target
      break
    case '@query-param':
      return queryParam(component, message)
  }
  const { scheme, authority, path, query } = urlParts(component, message.url)
  switch (component.name) {
    case '@target-uri':
      return `${scheme}://${authority}${path}${query}`
    case '@authority':
      return authority
    case '@scheme':
      return scheme
    case '@request-target':
      return path + query
    case '@path':
      return path
    case '@query':
      return query === '' ? '?' : query // RFC 9421 §2.2.7
  }
  throw refusal('invalid', component, 'expected a derived component that is known')
}

interface UrlParts {
  readonly scheme: string
  readonly authority: string
  readonly path: string
  /** With its `?`, also where nothing follows; empty where there is none. */
  readonly query: string
}

/**
 * By hand, for `URL` drops a `?` that nothing follows and the wire keeps it. Normalised as RFC 9110 §4.2.3 says, and no
 * further: no dot segment, no percent-encoding is touched.
 */
function urlParts(component: ComponentIdentifier, url: string): UrlParts {
  const [, scheme = '', authority = '', path = '', query = ''] = ABSOLUTE_URL.exec(url) ?? []
  if (authority === '') throw refusal('invalid', component, 'expected an absolute http or https URL without user name')
  const lower = scheme.toLowerCase()
  const defaultPort = lower === 'https' ? HTTPS_PORT : HTTP_PORT
  return {
    scheme: lower,
    authority: authority.toLowerCase().replace(defaultPort, ''),
    path: path === '' ? '/' : path,
    query,
  }
}

/** RFC 9421 §2.2.8: decoded as a form is, and encoded again in the one way. */
function queryParam(component: ComponentIdentifier, message: RequestMessage): string {
  const { query } = urlParts(component, message.url)
  const values = new URLSearchParams(query).getAll(component.parameter ?? '')
  const [value] = values
  if (value === undefined) throw refusal('missing', component, 'no such parameter in the query')
  if (values.length > 1) throw refusal('ambiguous', component, 'the parameter occurs twice in the query')
  // a decoder turns every octet that is no UTF-8 into this character: two queries would have one value
  if (value.includes('\uFFFD')) throw refusal('ambiguous', component, 'the parameter is not UTF-8')
  return encodeQueryText(value)
}

function fieldValue(component: ComponentIdentifier, message: Message): string {
  const lines = component.tr ? (message.trailers ?? []) : message.fields
  if (component.bs) return fieldValues(component, lines).map(byteSequence(component)).join(', ')
  const value = combinedValue(component, lines)
  if (component.fieldType === undefined) return value
  const expected = `expected a structured ${component.fieldType}`
  if (component.key === undefined) {
    const text = canonicalField(value, component.fieldType)
    if (text === undefined) throw refusal('invalid', component, expected)
    return text
  }
  const dictionary = dictionaryOf(lines, component.name, value)
  if (dictionary === undefined) throw refusal('invalid', component, expected)
  const member = dictionary.get(component.key)
  if (member === undefined) throw refusal('missing', component, 'no such member in the dictionary')
  return serializeMember(member)
}

/** Read once a message: twenty signatures may each cover fifty members of one field. */
function dictionaryOf(lines: readonly FieldLine[], name: string, value: string): Dictionary | undefined {
  const known = dictionaries.get(lines) ?? new Map<string, Reading>()
  dictionaries.set(lines, known)
  const reading = known.get(name)
  if (reading?.value === value) return reading.dictionary
  const dictionary = parseDictionary(value)
  known.set(name, { value, dictionary })
  return dictionary
}

interface Reading {
  readonly value: string
  readonly dictionary: Dictionary | undefined
}

const dictionaries = new WeakMap<readonly FieldLine[], Map<string, Reading>>()

/** RFC 9421 §2.1: the lines, joined by commas. */
function combinedValue(component: ComponentIdentifier, lines: readonly FieldLine[]): string {
  let combined: string | undefined
  for (const [name, value] of lines) {
    if (name !== component.name) continue
    if (combined === undefined) combined = trimmed(value)
    else if (name === 'set-cookie') throw refusal('ambiguous', component, 'several lines that cannot be joined; use bs')
    else combined += `, ${trimmed(value)}`
  }
  if (combined === undefined)
    throw refusal('missing', component, `no such ${component.tr ? 'trailer' : 'header'} field`)
  return combined
}

function fieldValues(component: ComponentIdentifier, lines: readonly FieldLine[]): readonly string[] {
  const values = lines.filter(([name]) => name === component.name).map(([, value]) => trimmed(value))
  if (values.length === 0) throw refusal('missing', component, `no such ${component.tr ? 'trailer' : 'header'} field`)
  return values
}

/** Without white space around it, and on one line (RFC 9421 §2.1, steps 2 and 3). */
function trimmed(value: string): string {
  return value
    .split(/\r\n(?=[ \t])/)
    .map(withoutSpace)
    .join(' ')
}

/** By hand: an expression that looks for spaces at the end takes the square of their number. */
function withoutSpace(value: string): string {
  let start = 0
  let end = value.length
  while (isSpace(value.charCodeAt(start))) start += 1
  while (isSpace(value.charCodeAt(end - 1))) end -= 1
  return value.slice(start, end)
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09

/** Strings stand for octets here, as they do in every HTTP parser of Node. */
function byteSequence(component: ComponentIdentifier): (value: string) => string {
  return (value) => {
    if (BEYOND_OCTETS.test(value))
      throw refusal('not-ascii', component, 'expected octets, saw characters beyond Latin-1')
    return `:${Buffer.from(value, 'latin1').toString('base64')}:`
  }
}

function refusal(reason: MessageRefusal['reason'], component: ComponentIdentifier, what: string): MessageRefusal {
  return new MessageRefusal(reason, `component ${quote(component.text)}: ${what}`)
}

const ABSOLUTE_URL = /^(https?):\/\/([^/?#@\\\s]+)(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/is
const HTTPS_PORT = /:(?:443)?$/
const HTTP_PORT = /:(?:80)?$/
const LINE = /^[\t\x20-\x7e]*$/
const BEYOND_OCTETS = /[\u0100-\uffff]/

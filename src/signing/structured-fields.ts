import * as sh from 'structured-headers'
import { decodeBase64 } from '../encoding/base64.ts'

/** A decimal that is a whole number: `1.0` is not `1` (RFC 9651 §3.3), and a JavaScript number cannot tell them apart. */
export class Decimal {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export type BareItem = sh.BareItem | Decimal
export type Parameters = ReadonlyMap<string, BareItem>
export type Item = readonly [value: BareItem, parameters: Parameters]
export type InnerList = readonly [items: readonly Item[], parameters: Parameters]
export type Member = Item | InnerList
export type Dictionary = ReadonlyMap<string, Member>
export type FieldType = 'item' | 'list' | 'dictionary'

/**
 * A structured field (RFC 9651 §4.2), its lines joined by commas; `undefined` for any other text.
 *
 * Stricter than the RFC in three things, so that no two readers can see two meanings in one field: a key that stands twice is
 * refused instead of the last one kept, base64 has one spelling, and what a JavaScript value cannot hold is not rounded to it.
 */
export function parseDictionary(text: string): Dictionary | undefined {
  return parse(text, true, sh.parseDictionary, (members, exact) => {
    return new Map([...members].map(([key, member]) => [key, exactMember(member, exact)]))
  })
}

export function parseList(text: string): readonly Member[] | undefined {
  return parse(text, false, sh.parseList, (members, exact) => members.map((member) => exactMember(member, exact)))
}

export function parseItem(text: string): Item | undefined {
  return parse(text, false, sh.parseItem, exactItem)
}

/** The one text of a structured field (RFC 9651 §4.1): what two sides that each parse it have in common. */
export function canonicalField(text: string, type: FieldType): string | undefined {
  if (type === 'item') {
    const item = parseItem(text)
    return item && serializeMember(item)
  }
  if (type === 'list') return parseList(text)?.map(serializeMember).join(', ')
  const dictionary = parseDictionary(text)
  return dictionary && serializeDictionary(dictionary)
}

/** @throws SerializeError of structured-headers for what no structured field can hold; nothing parsed is such a thing. */
export function serializeDictionary(dictionary: Dictionary): string {
  return [...dictionary]
    .map(([key, member]) => {
      const name = sh.serializeKey(key)
      return member[0] === true ? name + serializeParameters(member[1]) : `${name}=${serializeMember(member)}`
    })
    .join(', ')
}

export function serializeMember(member: Member): string {
  const [value, parameters] = member
  const text = isArray(value) ? `(${value.map(serializeMember).join(' ')})` : serializeBareItem(value)
  return text + serializeParameters(parameters)
}

export function isInnerList(member: Member): member is InnerList {
  return isArray(member[0])
}

export function serializeParameters(parameters: Parameters): string {
  let text = ''
  for (const [key, value] of parameters) {
    text += value === true ? `;${sh.serializeKey(key)}` : `;${sh.serializeKey(key)}=${serializeBareItem(value)}`
  }
  return text
}

function serializeBareItem(value: BareItem): string {
  if (value instanceof Decimal) return value.value.toFixed(1)
  if (typeof value === 'number') return Number.isInteger(value) ? sh.serializeInteger(value) : serializeDecimal(value)
  if (value instanceof sh.DisplayString) return serializeDisplayString(value)
  return sh.serializeBareItem(value)
}

/** RFC 9651 §4.1.5: three digits, the last one rounded to even. */
function serializeDecimal(value: number): string {
  const isTie = Number.isInteger(value * 2_000) && !Number.isInteger(value * 1_000)
  const thousandths = isTie ? 2 * Math.round(value * 500) : Math.round(value * 1_000)
  if (!(Math.abs(thousandths) < 1e15)) throw new sh.SerializeError('expected at most 12 digits before the point')
  return (thousandths / 1_000).toFixed(3).replace(/0{1,2}$/, '')
}

/** RFC 9651 §4.1.11: two hexadecimal digits an octet, also below 16. */
function serializeDisplayString(value: sh.DisplayString): string {
  const octets = [...Buffer.from(value.toString())]
  const isPlain = (octet: number): boolean => octet >= 0x20 && octet < 0x7f && octet !== 0x25 && octet !== 0x22
  const text = octets.map((octet) =>
    isPlain(octet) ? String.fromCharCode(octet) : `%${octet.toString(16).padStart(2, '0')}`,
  )
  return `%"${text.join('')}"`
}

/** Tells of each number, in the order of the text, whether it is a whole decimal. */
type Exact = Iterator<boolean>

function parse<Parsed, Result>(
  text: string,
  isDictionary: boolean,
  parser: (text: string) => Parsed,
  restore: (parsed: Parsed, exact: Exact) => Result,
): Result | undefined {
  if (!ASCII.test(text)) return undefined
  try {
    const parsed = parser(text)
    const wholeDecimals = inspect(text, isDictionary)
    return wholeDecimals && restore(parsed, wholeDecimals[Symbol.iterator]())
  } catch (error) {
    if (error instanceof sh.ParseError) return undefined
    throw error
  }
}

function exactMember(member: sh.Item | sh.InnerList, exact: Exact): Member {
  if (!sh.isInnerList(member)) return exactItem(member, exact)
  const items = member[0].map((item) => exactItem(item, exact))
  return [items, exactParameters(member[1], exact)]
}

function exactItem([value, parameters]: sh.Item, exact: Exact): Item {
  return [exactValue(value, exact), exactParameters(parameters, exact)]
}

function exactParameters(parameters: sh.Parameters, exact: Exact): Parameters {
  const result = new Map<string, BareItem>(parameters)
  for (const [key, value] of parameters) result.set(key, exactValue(value, exact))
  return result
}

function exactValue(value: sh.BareItem, exact: Exact): BareItem {
  return typeof value === 'number' && exact.next().value === true ? new Decimal(value) : value
}

/**
 * One pass over text that is known to be a structured field: whether each number is a whole decimal. `undefined` where a key
 * stands twice, or a value has a second spelling that the parser takes for the same.
 */
function inspect(text: string, isDictionary: boolean): boolean[] | undefined {
  const wholeDecimals: boolean[] = []
  const members = new Set<string>()
  let parameters: Set<string> | undefined
  let expectsMember = isDictionary
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (' \t,()='.includes(char)) {
      if (char === ',') expectsMember = isDictionary
      if (char !== '=') parameters = undefined
      at += 1
    } else if (char === ';') {
      at += 1
      while (text[at] === ' ') at += 1
      const end = endOf(TOKEN, text, at)
      parameters ??= new Set()
      if (!addNew(parameters, text.slice(at, end))) return undefined
      at = end
    } else if (expectsMember) {
      const end = endOf(TOKEN, text, at)
      if (!addNew(members, text.slice(at, end))) return undefined
      expectsMember = false
      at = end
    } else if (!skip()) return undefined
  }
  return wholeDecimals

  /** Steps over the bare item at `at`; false where it has a second spelling. */
  function skip(): boolean {
    const start = at
    switch (text[at]) {
      case '"':
        at = endOfString(text, at) + 1
        return true
      case '%':
        at = text.indexOf('"', at + 2) + 1
        return !text.startsWith(BYTE_ORDER_MARK, start) // a decoder drops it
      case ':':
        at = text.indexOf(':', at + 1) + 1
        return decodeBase64(text.slice(start + 1, at - 1)) !== undefined
      case '?':
        at += 2
        return true
      case '@': {
        at = endOf(NUMBER, text, at + 1)
        return Math.abs(Number(text.slice(start + 1, at))) <= MAX_DATE_SECONDS
      }
    }
    if (!/[-0-9]/.test(text.charAt(at))) {
      at = endOf(TOKEN, text, at)
      return true
    }
    at = endOf(NUMBER, text, at)
    wholeDecimals.push(/\.0+$/.test(text.slice(start, at)))
    return true
  }
}

function addNew(keys: Set<string>, key: string): boolean {
  if (keys.has(key)) return false
  keys.add(key)
  return true
}

/** Index after what stands at `at`; past one character in any case. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at + 1
}

/** Index of the closing quote: the first that an even number of backslashes stands before. */
function endOfString(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end
}

const isArray: (value: unknown) => value is readonly Item[] = Array.isArray

const ASCII = /^[\x20-\x7e\t]*$/
const TOKEN = /[\w:/!#$%&'*+\-.^`|~]+/y
const NUMBER = /-?[0-9]+(?:\.[0-9]+)?/y
const BYTE_ORDER_MARK = '%"%ef%bb%bf'
const MAX_DATE_SECONDS = 8.64e12 // what a JavaScript Date can hold

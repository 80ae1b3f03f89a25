import {
  contentOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  latin1,
  openElement,
} from './der.ts'
import { type DistinguishedName, parseName } from './names.ts'

/** A GeneralName (RFC 5280 §4.2.1.6). Text is as sent, octet for character: judging it is the reader's business. */
export type GeneralName =
  | { readonly kind: 'dns' | 'email' | 'uri'; readonly text: string }
  | { readonly kind: 'ip'; readonly octets: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'other' | 'x400' | 'ediParty' | 'registeredId' }

/** GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName, given its content. */
export function parseGeneralNames(element: DerElement): readonly GeneralName[] {
  const reader = openElement(element)
  if (reader.atEnd) throw new DerError('list of names is empty')
  const names: GeneralName[] = []
  while (!reader.atEnd) names.push(parseGeneralName(reader.read()))
  return names
}

export function parseGeneralName(element: DerElement): GeneralName {
  const text = TEXT_KINDS[element.tag]
  if (text !== undefined) return { kind: text, text: latin1(contentOf(element)) }
  if (element.tag === contextPrimitive(7)) return { kind: 'ip', octets: contentOf(element) }
  if (element.tag === contextConstructed(4)) {
    const reader = openElement(element) // explicit, for Name is a CHOICE
    const name = parseName(reader.read(0x30))
    reader.expectEnd()
    return { kind: 'directory', name }
  }
  const kind = OPAQUE_KINDS[element.tag]
  if (kind === undefined) throw new DerError('name is of no known form')
  return { kind }
}

const TEXT_KINDS: Readonly<Record<number, 'email' | 'dns' | 'uri'>> = {
  [contextPrimitive(1)]: 'email',
  [contextPrimitive(2)]: 'dns',
  [contextPrimitive(6)]: 'uri',
}

const OPAQUE_KINDS: Readonly<Record<number, 'other' | 'x400' | 'ediParty' | 'registeredId'>> = {
  [contextConstructed(0)]: 'other',
  [contextConstructed(3)]: 'x400',
  [contextConstructed(5)]: 'ediParty',
  [contextPrimitive(8)]: 'registeredId',
}

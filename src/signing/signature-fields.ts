import { type ComponentIdentifier, distinct, type FieldTypes, parseIdentifier, quote } from './component.ts'
import type { FieldLine } from './message.ts'
import { MessageRefusal } from './refusal.ts'
import {
  type BareItem,
  type Dictionary,
  isInnerList,
  type Member,
  type Parameters,
  parseDictionary,
  serializeMember,
} from './structured-fields.ts'

/** One signature of a message, read but not verified. */
export interface ReadSignature {
  readonly components: readonly ComponentIdentifier[]
  readonly parameters: SignatureParameters
  /** As the signature base has it. */
  readonly parametersText: string
  readonly signature: Uint8Array
}

/** RFC 9421 §2.3. Others are signed with the rest, and mean nothing here. */
export interface SignatureParameters {
  /** Unix seconds, like `expires`. */
  readonly created?: number
  readonly expires?: number
  readonly nonce?: string
  readonly alg?: string
  readonly keyid?: string
  readonly tag?: string
}

/** What a server asks a client to sign with (RFC 9421 §5.1). */
export interface RequestedSignature {
  readonly label: string
  readonly components: readonly ComponentIdentifier[]
  /** `created` and `expires` ask for a time of ours. */
  readonly created: boolean
  readonly expires: boolean
  readonly parameters: Omit<SignatureParameters, 'created' | 'expires'>
}

/**
 * The signatures of a message by label; empty where it has none.
 *
 * @throws MessageRefusal `malformed`, or `invalid` for a component that is none: of any of them, since a field that is wrong
 *   in one place is not to be trusted in another.
 */
export function readSignatures(
  fields: readonly FieldLine[],
  fieldTypes: FieldTypes = {},
): ReadonlyMap<string, ReadSignature> {
  const inputs = dictionary(fields, 'signature-input')
  const signatures = dictionary(fields, 'signature')
  for (const label of signatures.keys()) {
    if (!inputs.has(label)) throw malformed(`Signature: ${quote(label)} is not in Signature-Input`)
  }
  const read = new Map<string, ReadSignature>()
  for (const [label, input] of inputs) {
    const bytes = signatures.get(label)?.[0]
    if (!(bytes instanceof ArrayBuffer)) throw malformed(`Signature: expected bytes under ${quote(label)}`)
    read.set(label, {
      components: coveredComponents(label, input, fieldTypes),
      parameters: signatureParameters(label, input[1]),
      parametersText: serializeMember(input),
      signature: new Uint8Array(bytes),
    })
  }
  return read
}

/**
 * The signatures that Accept-Signature asks for.
 *
 * @throws MessageRefusal `malformed`, or `invalid` for a component that is none.
 */
export function readAcceptSignature(text: string, fieldTypes: FieldTypes = {}): readonly RequestedSignature[] {
  return [...parsed('Accept-Signature', text)].map(([label, member]) => {
    const [, parameters] = member
    const timed = new Map([...parameters].filter(([name]) => name !== 'created' && name !== 'expires'))
    return {
      label,
      components: coveredComponents(label, member, fieldTypes),
      created: parameters.get('created') === true,
      expires: parameters.get('expires') === true,
      parameters: signatureParameters(label, timed),
    }
  })
}

function dictionary(fields: readonly FieldLine[], name: string): Dictionary {
  const lines = fields.filter((line) => line[0] === name).map(([, value]) => value)
  return parsed(name === 'signature' ? 'Signature' : 'Signature-Input', lines.join(', '))
}

function parsed(name: string, text: string): Dictionary {
  const members = parseDictionary(text)
  if (members === undefined) throw malformed(`${name}: expected a dictionary (RFC 9651 §3.2) with each key once`)
  if (members.size > MAX_SIGNATURES) throw malformed(`${name}: expected at most ${MAX_SIGNATURES} members`)
  return members
}

function coveredComponents(label: string, member: Member, fieldTypes: FieldTypes): readonly ComponentIdentifier[] {
  if (!isInnerList(member)) throw malformed(`${quote(label)}: expected a list of components in brackets`)
  const [items] = member
  if (items.length > MAX_COMPONENTS) throw malformed(`${quote(label)}: expected at most ${MAX_COMPONENTS} components`)
  return distinct(items.map((item) => parseIdentifier(item, fieldTypes)))
}

function signatureParameters(label: string, parameters: Parameters): SignatureParameters {
  const read: { created?: number; expires?: number } & Record<string, string | number> = {}
  for (const [name, value] of parameters) {
    if (!isRegistered(name)) continue
    const isTime = name === 'created' || name === 'expires'
    if (isTime ? !Number.isInteger(value) : typeof value !== 'string') {
      throw malformed(
        `${quote(label)}: expected ${name} as ${isTime ? 'Unix seconds' : 'a string'}, saw ${kindOf(value)}`,
      )
    }
    read[name] = value as string | number
  }
  return read
}

function isRegistered(name: string): boolean {
  return REGISTERED.has(name)
}

function kindOf(value: BareItem): string {
  return typeof value === 'object' ? value.constructor.name : typeof value
}

function malformed(message: string): MessageRefusal {
  return new MessageRefusal('malformed', message)
}

const REGISTERED: ReadonlySet<string> = new Set(['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'])
const MAX_SIGNATURES = 20 // each costs a public-key operation
const MAX_COMPONENTS = 50 // each is looked for in every field

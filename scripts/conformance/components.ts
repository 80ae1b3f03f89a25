import { SignError } from '../../src/errors/errors.ts'
import { distinct, parseIdentifier } from '../../src/signing/component.ts'
import { componentValue } from '../../src/signing/component-value.ts'
import { MessageRefusal } from '../../src/signing/refusal.ts'
import { signError } from '../../src/signing/sign-error.ts'
import { parseItem } from '../../src/signing/structured-fields.ts'
import { fieldTypesOf, type MessageRow, messageOf } from './signed-message.ts'
import { type Answer, outcome } from './suite.ts'

/** Component identifiers as Signature-Input has them, and the message that they are looked for in. */
export interface ComponentsCase {
  readonly message: MessageRow
  readonly component?: string
  readonly components?: readonly string[]
  readonly fieldTypes?: Readonly<Record<string, string>>
}

/** Answers the values as the signature base has them. */
export function runComponentsCase(input: unknown): Answer & { readonly value?: string } {
  const { message, component, components = [], fieldTypes } = input as ComponentsCase
  const startedAt = performance.now()
  const types = fieldTypesOf(fieldTypes)
  try {
    const identifiers = (component === undefined ? components : [component]).map((text) => {
      const item = parseItem(text)
      if (item === undefined) throw new MessageRefusal('malformed', 'no item')
      return parseIdentifier(item, types)
    })
    const of = messageOf(message)
    const values = distinct(identifiers).map((identifier) => componentValue(identifier, of))
    return { ...outcome(undefined, startedAt), value: values.join('\n') }
  } catch (error) {
    const refused = signError(error, 'components')
    if (refused instanceof SignError) return outcome(refused.code, startedAt)
    throw error
  }
}

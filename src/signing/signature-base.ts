import type { ComponentIdentifier } from './component.ts'
import { componentValue } from './component-value.ts'
import type { Message } from './message.ts'

/**
 * The text that is signed (RFC 9421 §2.5).
 *
 * @param parametersText The covered components and the parameters of the signature, serialised: what stands after the label in
 *   Signature-Input (§2.3).
 * @throws MessageRefusal
 */
export function signatureBase(
  components: readonly ComponentIdentifier[],
  parametersText: string,
  message: Message,
): string {
  let base = ''
  for (const component of components) base += `${component.text}: ${componentValue(component, message)}\n`
  return `${base}"@signature-params": ${parametersText}`
}

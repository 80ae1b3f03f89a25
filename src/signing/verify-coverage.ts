import type { CodeIn } from '../errors/codes.ts'
import { type Component, type ComponentIdentifier, componentIdentifier } from './component.ts'
import type { Refuse } from './verify-message.ts'

/** Components of which a signature has to cover all, in one of the ways; parameters included, for `"@method";req` is not `"@method"`. */
export interface Requirement {
  readonly ways: readonly (readonly ComponentIdentifier[])[]
  readonly code: Extract<CodeIn<'VERIFY'>, 'ERR_VERIFY_COVERAGE' | 'ERR_VERIFY_REQUEST_BINDING'>
}

/** Each of them. @throws MessageRefusal for what is no component. */
export function covering(components: readonly Component[]): readonly Requirement[] {
  return components.map((component) => ({ ways: [[componentIdentifier(component)]], code: 'ERR_VERIFY_COVERAGE' }))
}

/** @throws VerifyError */
export function requireCoverage(
  components: readonly ComponentIdentifier[],
  required: readonly Requirement[],
  refuse: Refuse,
): void {
  const covered = new Set(components.map(({ id }) => id))
  for (const { ways, code } of required) {
    if (ways.some((way) => way.every(({ id }) => covered.has(id)))) continue
    const expected = ways.map((way) => way.map(({ text }) => text).join(' and ')).join(', or ')
    throw refuse(code, `expected a signature that covers ${expected}`)
  }
}

/** All of the field, as it is or as its structure says it, of the message itself. */
export function coversField(components: readonly ComponentIdentifier[], field: string): boolean {
  return components.some(({ name, req, tr, key }) => name === field && !req && !tr && key === undefined)
}

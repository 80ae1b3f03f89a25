import { type Component, type ComponentIdentifier, componentIdentifier, distinct } from './component.ts'
import { componentValue } from './component-value.ts'
import type { Coverage } from './http-signature-options.ts'
import type { RequestMessage } from './message.ts'
import { MessageRefusal } from './refusal.ts'

/** Components that one signature covers, and their list as Signature-Input has it. */
export interface Covered {
  readonly components: readonly ComponentIdentifier[]
  readonly list: string
}

/** What is covered by the options alone: few lists, each made once. */
export interface StandingCoverage {
  readonly of: (message: RequestMessage, coversDigest: boolean) => Covered
  /** What may be covered, by its id. */
  readonly ids: ReadonlySet<string>
}

/**
 * @param coverage Of a profile.
 * @param listed Covered as well; one that the profile covers where it is present is covered always.
 * @param rulesDigest Whether Content-Digest is covered when `of` is told so, wherever it is listed, and not by being there.
 * @throws MessageRefusal `invalid` for what is no component of a request, or is listed twice.
 */
export function standingCoverage(
  coverage: readonly Coverage[],
  listed: readonly Component[],
  rulesDigest: boolean,
): StandingCoverage {
  const own = requestComponents(listed)
  const ofProfile = coverage.map(({ component, ifPresent }) => ({ identifier: requestComponent(component), ifPresent }))
  const needed = new Set(own.map(({ id }) => id))
  const known = new Set(ofProfile.map(({ identifier }) => identifier.id))
  const parts: Part[] = [
    ...ofProfile.map((part) => (needed.has(part.identifier.id) ? { ...part, ifPresent: false } : part)),
    ...own.filter(({ id }) => !known.has(id)).map((identifier) => ({ identifier, ifPresent: false })),
  ]
  const isDigest = ({ identifier }: Part): boolean => rulesDigest && identifier.id === DIGEST.id
  if (rulesDigest && !parts.some(isDigest)) parts.push({ identifier: DIGEST, ifPresent: false })
  const bits = new Map(
    parts.flatMap(({ identifier, ifPresent }, at) => (ifPresent ? [[identifier.name, 1 << at]] : [])),
  )
  const made = new Map<number, Covered>()
  const make = (mask: number): Covered => {
    const chosen = parts.filter((part, at) =>
      isDigest(part) ? (mask & DIGEST_BIT) !== 0 : !part.ifPresent || (mask & (1 << at)) !== 0,
    )
    const covered = coveredBy(chosen.map(({ identifier }) => identifier))
    made.set(mask, covered)
    return covered
  }
  return {
    of: ({ fields }, coversDigest) => {
      let mask = coversDigest ? DIGEST_BIT : 0
      for (const [name] of fields) mask |= bits.get(name) ?? 0
      return made.get(mask) ?? make(mask)
    },
    ids: new Set(parts.map(({ identifier }) => identifier.id)),
  }
}

/** What is covered, and these as well. */
export function extended(covered: Covered, more: readonly ComponentIdentifier[]): Covered {
  const known = new Set(covered.components.map(({ id }) => id))
  const added = more.filter(({ id }) => !known.has(id))
  return coveredBy([...covered.components, ...added])
}

/** @throws MessageRefusal `invalid` for what is no component of a request, or is listed twice. */
export function requestComponents(components: readonly Component[]): readonly ComponentIdentifier[] {
  return distinct(components.map(requestComponent))
}

/** @throws MessageRefusal `invalid`, also for what only a response has (RFC 9421 §2.2.9, §2.4). */
export function requestComponent(component: Component): ComponentIdentifier {
  const identifier = componentIdentifier(component)
  if (!identifier.req && identifier.name !== '@status') return identifier
  throw new MessageRefusal('invalid', `component ${identifier.text}: expected one of a request`)
}

export function isIn(message: RequestMessage, component: ComponentIdentifier): boolean {
  try {
    componentValue(component, message)
    return true
  } catch (error) {
    if (error instanceof MessageRefusal) return false
    throw error
  }
}

interface Part {
  readonly identifier: ComponentIdentifier
  readonly ifPresent: boolean
}

function coveredBy(components: readonly ComponentIdentifier[]): Covered {
  return { components, list: `(${components.map(({ text }) => text).join(' ')})` }
}

const DIGEST = componentIdentifier('content-digest')
const DIGEST_BIT = 1 << 30

import type { HostFact, StapleFact } from '../picture/facts.ts'
import { svgTimeline } from '../picture/svg.ts'
import { timelineOf } from '../picture/timeline.ts'
import { pinOf } from '../trust/pins.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { Placed } from './chain.ts'
import type { Failure } from './outcome.ts'

/**
 * What of a path, and of the pins that it is judged by, ends when: an SVG image. Pure.
 *
 * @param subject.refusal Why the peer is refused already; `undefined` where it is not, or where nobody asked.
 */
export function inspectTimeline(
  subject: {
    readonly name: string
    readonly placed: readonly Placed[]
    readonly staple: StapleFact | undefined
    readonly refusal: Failure | undefined
  },
  { pinGroups, denies, mode }: Pick<HostPolicy, 'pinGroups' | 'denies' | 'mode'>,
  now: number,
): string {
  const { name, placed, staple, refusal } = subject
  const path = placed.filter(({ position }) => position !== 'not on the path').map(({ certificate }) => certificate)
  const [endEntity, ...issuers] = path
  const denied = new Set(denies.map(({ spki }) => spki))
  const isJudged = mode === 'enforce' && pinGroups.length > 0
  const host: HostFact = {
    host: name,
    certificates: endEntity === undefined ? [] : [{ ...lifeOf(endEntity), path: path.map(pinsOf) }],
    issuers: issuers.map(lifeOf),
    ...(staple === undefined ? {} : { staples: [staple] }),
    pins: pinGroups.flat().map(({ spki, notBefore, notAfter, require, label }) => ({
      spki,
      ...(notBefore === undefined ? {} : { from: notBefore }),
      ...(notAfter === undefined ? {} : { until: notAfter }),
      ...(require === undefined ? {} : { require }),
      ...(label === undefined ? {} : { label }),
      ...(denied.has(spki) ? { isDenied: true } : {}),
    })),
    groups: positionsOf(pinGroups),
    ...(isJudged ? {} : { enforcedFrom: Infinity }),
    ...(refusal === undefined ? {} : { refusedFrom: { at: -Infinity, why: refusal.message, code: refusal.code } }),
  }
  return svgTimeline(timelineOf({ documents: [], hosts: [host], own: [], denied: [] }, now))
}

const lifeOf = ({ subject, notBefore, notAfter }: Certificate) => ({
  subject: subject.text,
  from: notBefore,
  until: notAfter,
})

/** Under every hash that a pin may use. */
const pinsOf = (certificate: Certificate): readonly string[] =>
  (['sha256', 'sha384', 'sha512'] as const).map((hash) => pinOf(certificate, hash))

/** Where each group stands in the list of all pins. */
function positionsOf(groups: HostPolicy['pinGroups']): readonly (readonly number[])[] {
  let at = 0
  return groups.map((group) => group.map(() => at++))
}

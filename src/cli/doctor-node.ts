import type { Diagnosis } from './doctor.ts'
import { KNOWN_UNTIL, missingFixes, type NodeFix } from './node-releases.ts'
import { counted } from './text.ts'

/** Pure: whether the release of Node still gets fixes, and which ones of those that concern a client it lacks. */
export function examineNode(node: string, now: number): readonly Diagnosis[] {
  return [release(node, now), fixes(node, now)]
}

/** A release past its end is no error: this package runs on it, and what it lacks is unknown until something is found. */
function release(node: string, now: number): Diagnosis {
  const subject = `Node ${node}`
  const end = END_OF_LIFE[Number(node.split('.')[0])]
  if (end === undefined) {
    const fix = `Use a release with long-term support: ${supported(now)}.`
    const message = 'no release with long-term support that is known here'
    return { id: 'NODE-EOL', severity: 'warning', subject, message, fix }
  }
  const endsAt = Date.parse(end)
  if (endsAt - now >= SOON_MS) return { id: 'NODE-EOL', severity: 'ok', subject, message: `supported until ${end}` }
  const message =
    endsAt <= now ? `its end of life was ${end}; this package still runs on it` : `its end of life is ${end}`
  const fix = 'Move to a newer release: after its end, fixes of TLS and OpenSSL no longer come.'
  return { id: 'NODE-EOL', severity: 'warning', subject, message, fix }
}

function fixes(node: string, now: number): Diagnosis {
  const id = 'NODE-CVE'
  const subject = 'known flaws'
  const { fixes: missing, fixedIn, unexamined } = missingFixes(node)
  const until = `by what was published until ${KNOWN_UNTIL}`
  if (missing.length + unexamined.length === 0) {
    const isOld = now - Date.parse(KNOWN_UNTIL) > STALE_MS
    const message = `none of TLS, HTTP, DNS or permissions, ${until}`
    if (!isOld) return { id, severity: 'ok', subject, message }
    return { id, severity: 'info', subject, message, fix: 'Later ones: https://nodejs.org/en/blog/vulnerability' }
  }
  const lacking = missing.length === 0 ? [] : [`${listed(missing)} fixed in ${fixedIn}`]
  const later =
    unexamined.length === 0 ? [] : [`${listed(unexamined)} found after this line had ended, so it has no fix of them`]
  const message = `${[...lacking, ...later].join('; ')}; ${until}`
  const fix =
    unexamined.length > 0
      ? `Move to a supported release: ${supported(now)}.`
      : `Update Node to ${fixedIn} or later of its line.`
  return { id, severity: 'warning', subject, message, fix }
}

/** TLS first, as the table has it. */
function listed(missing: readonly NodeFix[]): string {
  const named = missing.toSorted((a, b) => AREAS.indexOf(a.area) - AREAS.indexOf(b.area))
  const shown = [...new Set(named.map(({ cve }) => cve))]
  const some = shown.slice(0, MAX_NAMED)
  const areas = [...new Set(named.map(({ area }) => area))].join(', ')
  const more = shown.length > some.length ? ` and ${shown.length - some.length} more` : ''
  return `${counted(shown.length, 'flaw')} (${areas}: ${some.join(', ')}${more})`
}

function supported(now: number): string {
  return Object.entries(END_OF_LIFE)
    .flatMap(([line, until]) => (now < Date.parse(until) ? [line] : []))
    .join(', ')
}

/** https://github.com/nodejs/Release/blob/main/schedule.json, `end` of each release with long-term support. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
}
const AREAS: readonly NodeFix['area'][] = ['tls', 'dns', 'http', 'http2', 'permission']
const MAX_NAMED = 4
const DAY_MS = 86_400_000
const SOON_MS = 120 * DAY_MS
const STALE_MS = 60 * DAY_MS

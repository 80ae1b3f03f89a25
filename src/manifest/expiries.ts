import type { Expiring } from '../events/monitor-events.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { AcceptedManifest } from './accept.ts'
import { hostKey } from './host-table.ts'
import type { Knowledge } from './knowledge.ts'
import type { HostEntry } from './schema.ts'

/** What of the documents in use ends by itself: they, pins and legacy hosts. What had ended a day ago is history. */
export function expiriesIn(
  known: Knowledge | undefined,
  manifest: AcceptedManifest | undefined,
  now: UnixMs,
): readonly Expiring[] {
  if (known === undefined) return []
  const { root, status } = known
  return [
    documentOf('root', root),
    ...(status === undefined ? [] : [documentOf('status', status)]),
    ...(manifest === undefined ? [] : [documentOf('manifest', manifest), ...entriesOf(manifest)]),
  ].filter(({ what, notAfter }) => what !== 'pin' || notAfter > now - DAY_MS)
}

interface Document {
  readonly version: number
  readonly payload: {
    readonly repo: string
    readonly env: string
    readonly issuedAt: UnixMs
    readonly expires: UnixMs
  }
}

function documentOf(what: Expiring['what'], { version, payload }: Document): Expiring {
  const { repo, env, issuedAt, expires } = payload
  return { what, subject: `${repo} ${env} ${version}`, notBefore: issuedAt, notAfter: expires }
}

/** Read once a manifest. */
function entriesOf({ hosts }: AcceptedManifest): readonly Expiring[] {
  const known = memo.get(hosts)
  if (known !== undefined) return known
  const made = hosts.dated.flatMap((key) => {
    const entry = hosts.get(key)
    return entry === undefined ? [] : ofEntry(entry)
  })
  memo.set(hosts, made)
  return made
}

/** Nobody renews these by himself, so they have no beginning. */
function ofEntry({ host, port, pins, sunset }: HostEntry): readonly Expiring[] {
  const name = hostKey(host, port)
  const ending = pins.flatMap(({ spki, notAfter }): readonly Expiring[] =>
    notAfter === undefined ? [] : [{ what: 'pin', subject: `${name} ${spki}`, notAfter }],
  )
  return sunset === undefined ? ending : [...ending, { what: 'legacy host', subject: name, notAfter: sunset }]
}

const memo = new WeakMap<AcceptedManifest['hosts'], readonly Expiring[]>()
const DAY_MS = 86_400_000

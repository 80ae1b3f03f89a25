import type { ResolvedPins } from '../client/options.ts'
import type { CanonicalHost } from '../encoding/host.ts'
import { formatHostPattern, hostIndex, type ParsedHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import { hostKey } from '../manifest/host-table.ts'
import type { HostEntry } from '../manifest/schema.ts'
import type { ManifestView } from '../manifest/view.ts'
import type { CertificateFact, DocumentFact, Facts, HostFact } from '../picture/facts.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { LOG_LIST_MAX_AGE_MS } from '../publisher/log-list.ts'
import { deniedFor, type SeenChain } from '../publisher/seen.ts'
import { viewOfWalk } from './as-client.ts'
import type { Staples } from './look.ts'
import type { Walk } from './walk.ts'

/** What was looked at: a repository, pins in code, and what servers showed. */
export interface Seen {
  readonly walks: readonly Walk[]
  readonly pins: readonly ResolvedPins[]
  readonly chains: readonly SeenChain[]
  readonly staples: Staples
  readonly own: Facts['own']
}

/** The facts of a picture. Pure. */
export function factsOf({ walks, pins, chains, staples, own }: Seen, now: number): Facts {
  const views = walks.map((walk) => viewOfWalk(walk, toUnixMs(now)))
  const pinned = [
    ...walks.flatMap((walk, index) => entriesOf(walk).map((entry) => ofEntry(entry, views[index]))),
    ...pins.map(ofCode),
  ]
  const find = hostIndex(pinned.map((host) => [host.pattern, host] as const))
  const shown = new Map<PinnedHost, SeenChain[]>()
  const strangers: HostFact[] = []
  for (const chain of chains) {
    const host = exactly(pinned, chain) ?? find(chain.host)
    if (host === undefined) strangers.push({ ...ofStranger(chain), ...shownBy([chain], staples) })
    else shown.set(host, [...(shown.get(host) ?? []), chain])
  }
  return {
    documents: walks.flatMap(documentsOf),
    hosts: [...pinned.map((host) => ({ ...host.fact, ...shownBy(shown.get(host) ?? [], staples) })), ...strangers],
    own: [...own, ...walks.flatMap(logListOf)],
    denied: views.flatMap(({ denies }) =>
      denies.flatMap(({ spki, reason, hosts }) => (hosts ? [] : [{ spki, reason }])),
    ),
  }
}

interface PinnedHost {
  readonly pattern: ParsedHostPattern
  readonly port: number | undefined
  readonly fact: HostFact
}

function shownBy(chains: readonly SeenChain[], staples: Staples): Pick<HostFact, 'certificates' | 'staples'> {
  return { certificates: chains.map(ofChain), staples: chains.flatMap((chain) => staples.get(chain) ?? []) }
}

function exactly(pinned: readonly PinnedHost[], { host, port }: SeenChain): PinnedHost | undefined {
  return pinned.find((one) => one.pattern.kind === 'exact' && one.pattern.base === host && one.port === port)
}

const entriesOf = ({ manifest }: Walk): readonly HostEntry[] => [...manifest.hosts].slice(0, MAX_ENTRIES)

function ofEntry(entry: HostEntry, view: ManifestView | undefined): PinnedHost {
  const { host, port, mode, enforceFrom, pins, allOf, sunset, contained } = entry
  const pattern = parseHostPattern(host) ?? { kind: 'exact', base: host as CanonicalHost }
  const denied = deniedFor(pattern.base, { denies: view?.denies ?? [] })
  const enforcedFrom = mode === 'report' ? Infinity : enforceFrom
  const refusedFrom =
    contained === true
      ? ({ at: -Infinity, why: 'its manifest contains it', code: 'ERR_POLICY_CONTAINED' } as const)
      : sunset === undefined
        ? undefined
        : ({ at: sunset, why: 'its exception has ended', code: 'ERR_POLICY_SUNSET' } as const)
  const fact: HostFact = {
    host: hostKey(host, port),
    certificates: [],
    pins: pins.map(({ spki, notBefore, notAfter, require, label }) => ({
      spki,
      ...(notBefore === undefined ? {} : { from: notBefore }),
      ...(notAfter === undefined ? {} : { until: notAfter }),
      ...(require === undefined ? {} : { require }),
      ...(label === undefined ? {} : { label }),
      ...(denied.has(spki) ? { isDenied: true } : {}),
    })),
    ...(allOf === undefined ? {} : { groups: allOf }),
    ...(enforcedFrom === undefined ? {} : { enforcedFrom }),
    ...(refusedFrom === undefined ? {} : { refusedFrom }),
  }
  return { pattern, port, fact }
}

function ofCode({ pattern, pins, mode, notAfter }: ResolvedPins): PinnedHost {
  const fact: HostFact = {
    host: formatHostPattern(pattern),
    certificates: [],
    pins: pins.map((spki) => ({ spki, ...(notAfter === undefined ? {} : { until: notAfter }) })),
    ...(mode === 'report' ? { enforcedFrom: Infinity } : {}),
  }
  return { pattern, port: undefined, fact }
}

function ofChain({ notBefore, notAfter, path }: SeenChain): CertificateFact {
  const subject = `serial ${path[0]?.serial ?? ''}`
  return { subject, from: notBefore, until: notAfter, path: path.map(({ pins }) => pins) }
}

/** Nobody pins it: its certificate alone is judged. */
function ofStranger(chain: SeenChain): HostFact {
  const host = hostKey(chain.host, chain.port === 443 ? undefined : chain.port)
  return { host, pins: [], certificates: [], enforcedFrom: Infinity }
}

function documentsOf({ root, status, manifest }: Walk): readonly DocumentFact[] {
  const { repo } = root.payload
  const { refuseAt } = deadlinesOf(root, status, manifest)
  const of = (name: string, { version, payload }: typeof root | typeof status | typeof manifest) => ({
    label: `${name} ${version} of ${repo}`,
    from: payload.issuedAt,
    until: payload.expires,
  })
  return [
    {
      ...of('root', root),
      effect: 'no newer status and no newer manifest is accepted',
      code: 'ERR_MANIFEST_ROOT_EXPIRED',
    },
    { ...of('manifest', manifest), effect: 'clients refuse requests', code: 'ERR_MANIFEST_EXPIRED' },
    {
      ...of('status', status),
      effect: 'clients that start refuse requests',
      code: 'ERR_MANIFEST_STATUS_EXPIRED',
    },
    {
      ...of('grace of status', status),
      until: refuseAt,
      effect: 'running clients refuse requests as well',
      code: 'ERR_TRUST_PINSET_EXPIRED',
    },
  ]
}

function logListOf({ manifest }: Walk): Facts['own'] {
  const { ct } = manifest.payload
  if (ct === undefined || ct.policy === 'off') return []
  const from = ct.logList.timestamp
  return [{ what: 'log list', label: new Date(from).toISOString(), from, until: from + LOG_LIST_MAX_AGE_MS }]
}

const MAX_ENTRIES = 5_000

import { isDeepStrictEqual } from 'node:util'
import { canonicalHost } from '../encoding/host.ts'
import { parseHostPattern } from '../encoding/host-pattern.ts'
import type { PinText } from '../encoding/pin.ts'
import { isPublicSuffix } from '../encoding/public-suffix.ts'
import { ManifestError } from '../errors/errors.ts'
import { createLookup } from '../manifest/lookup.ts'
import { dropped, rulesIn } from '../manifest/revocations.ts'
import type { HostEntry, StatusPayload } from '../manifest/schema.ts'
import { type DenyInput, type ManifestContent, type ReadContent, readContent } from './content.ts'
import { diffContent, entryName } from './diff.ts'
import type { LintFinding, LintId, Severity } from './lint-rules.ts'
import { LOG_LIST_MAX_AGE_MS, LOG_LIST_OLD_MS } from './log-list.ts'
import {
  deniedFor,
  denyKey,
  groupsOf,
  isActive,
  isOnPath,
  matches,
  type Refusals,
  refusedOnPath,
  type SeenChain,
} from './seen.ts'

export interface LintInput {
  readonly candidate: Published
  /** What is in force; absent before the first manifest. */
  readonly before?: Published
  /** Paths that were verified when somebody looked at the hosts. Rules about servers know no others. */
  readonly seen?: readonly SeenChain[]
  readonly pollSeconds: number
  /** It will be in force by signatures of keys that are kept for emergencies. */
  readonly byBreakGlass?: boolean
  /** Unix milliseconds. */
  readonly now: number
}

/** A manifest’s content with the denies of the status that goes with it. */
export interface Published {
  readonly content: ManifestContent
  readonly deny?: readonly DenyInput[]
}

/**
 * What would go wrong if this were signed and published now. Judges changes, not habits: what is in force already is warned
 * about and never keeps another change, or a heartbeat, from being published. No I/O.
 */
export async function lint(input: LintInput): Promise<readonly LintFinding[]> {
  const suffixes = publicSuffixes(input.candidate.content)
  const after = await read(input.candidate)
  if ('refused' in after) return suffixes.length > 0 ? suffixes : [after.refused]
  const before = input.before === undefined ? undefined : await read(input.before)
  const change: Change = { ...input, seen: input.seen ?? [], before: undefined, after }
  const exceeding = input.byBreakGlass === true ? breakGlass(input) : []
  if (before !== undefined && !('refused' in before)) return [...exceeding, ...judge({ ...change, before })]
  return [...exceeding, ...judge(change)]
}

interface Side extends ReadContent {
  readonly refusals: Refusals
  readonly deny: readonly DenyInput[]
  readonly lookup: ReturnType<typeof createLookup>
}

interface Change extends Pick<LintInput, 'now' | 'pollSeconds'> {
  readonly before: Side | undefined
  readonly after: Side
  readonly seen: readonly SeenChain[]
}

async function read({ content, deny = [] }: Published): Promise<Side | { readonly refused: LintFinding }> {
  try {
    const side = await readContent(content)
    const undenied = new Set(side.payload.undeny)
    const denies = deny.flatMap(({ spki, hosts }): readonly Refusals['denies'][number][] => {
      if (undenied.has(spki)) return []
      const patterns = hosts?.flatMap((text) => parseHostPattern(text) ?? [])
      return [patterns === undefined ? { spki } : { spki, hosts: patterns }]
    })
    const { revocations } = side.payload
    const refusals: Refusals = revocations === undefined ? { denies } : { denies, revocations }
    return { ...side, deny, refusals, lookup: createLookup(side.hosts) }
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    const fix = `Correct the entry in hosts.json; pinfetch explain ${error.code} says more.`
    return { refused: { id: 'refused-by-client', severity: 'error', message: `${error.code}: ${error.message}`, fix } }
  }
}

function judge(change: Change): readonly LintFinding[] {
  return [
    ...change.seen.flatMap((chain) => aboutChain(chain, change)),
    ...[...change.after.hosts].flatMap((entry) => aboutEntry(entry, change)),
    ...removedHosts(change),
    ...aboutDenies(change),
    ...droppedRevocations(change),
    ...aboutLogList(change),
    ...(change.after.hosts.size === 0
      ? [finding('no-hosts', 'warning', undefined, 'the manifest has no host', 'pinfetch manifest add-host <host>')]
      : []),
  ]
}

/** One person at night may let mismatches of a host pass for a while, and never choose what clients trust. */
function breakGlass({ candidate, before, now }: LintInput): readonly LintFinding[] {
  const { added, removed, changed, members } = diffContent(before?.content ?? {}, candidate.content)
  const others = [
    ...[...added, ...removed].map(entryName),
    ...changed.flatMap(({ host, pinsAdded, pinsRemoved, members: differing }) =>
      pinsAdded.length + pinsRemoved.length > 0 || differing.some((name) => name !== 'enforceFrom') ? [host] : [],
    ),
    ...members,
  ]
  const touched = new Set(changed.map(({ host }) => host))
  const long = (candidate.content.hosts ?? []).filter(
    (entry) => touched.has(entryName(entry)) && Date.parse(entry.enforceFrom ?? '') > now + BREAK_GLASS_MS,
  )
  return [
    ...others.map((name) =>
      finding('break-glass-exceeds', 'error', name, `${name}: changed by a key kept for emergencies`, GLASS_FIX),
    ),
    ...long.map((entry) => {
      const message = `${entryName(entry)}: on report until ${entry.enforceFrom}, longer than four hours`
      return finding('break-glass-exceeds', 'error', entryName(entry), message, GLASS_FIX)
    }),
  ]
}

/** What clients of a server would do with the path that it showed. */
function aboutChain(chain: SeenChain, { before, after, now }: Change): readonly LintFinding[] {
  const entry = after.lookup(chain.host, chain.port)
  if (entry === undefined) return [] // a host that is gone is found by its entry
  const name = chain.port === 443 ? chain.host : `${chain.host}:${chain.port}`
  const old = before?.lookup(chain.host, chain.port)
  const denied = deniedFor(chain.host, after.refusals)
  const isOldNews = old !== undefined && isDeepStrictEqual(old, entry)
  const hit = refusedOnPath(chain, after.refusals)
  if (hit !== undefined) {
    const isNew = before === undefined || refusedOnPath(chain, before.refusals) === undefined
    const message = `${name} shows ${hit}, which would be refused: every request to it fails`
    return [finding('blocks-only-live-pin', isNew ? 'error' : 'warning', name, message, BLOCK_FIX)]
  }
  if (!matches(entry, chain, denied, now)) {
    const oldDenied = deniedFor(chain.host, before?.refusals ?? { denies: [] })
    const matchedBefore = old !== undefined && matches(old, chain, oldDenied, now)
    if (matchedBefore && isOldNews && !isDeepStrictEqual(oldDenied, denied)) {
      const message = `${name}: the deny leaves no pin that its server shows`
      return [finding('blocks-only-live-pin', 'error', name, message, BLOCK_FIX)]
    }
    const shown = chain.path[0]?.pins[0] ?? 'no key'
    if (matchedBefore && !isOldNews) {
      const message = `${name} still shows ${shown}; without its pin every client refuses the server`
      const fix = `Keep it until the server has changed: pinfetch manifest add-pin ${entry.host} ${shown}; if it has: lint --probe.`
      return [finding('removes-pin-in-use', 'error', name, message, fix)]
    }
    const message = `${name} showed ${shown} on ${dayOf(chain.seenAt)}, and no active pin is on its path`
    const fix = `Look again with --probe, then: pinfetch manifest add-pin ${entry.host} sha256/… (pinfetch pin ${chain.host} shows the keys).`
    return [finding('pins-nothing-live', isOldNews ? 'warning' : 'error', name, message, fix)]
  }
  return [
    ...aboutReserve(entry, chain, name, isOldNews),
    ...aboutLiveKey(entry, old, chain, name),
    ...shortLived(entry, chain, name, now),
  ]
}

function aboutReserve(entry: HostEntry, chain: SeenChain, name: string, isOldNews: boolean): readonly LintFinding[] {
  if (entry.singlePin === true || entry.pins.some((pin) => !isOnPath(pin, chain))) return []
  if (entry.keyControl === 'partner') {
    const fix = 'Ask the API’s owner which issuer or key comes next; pinfetch pin <host> --partner --sibling issuer.pem'
    return [finding('partner-on-live-chain', 'warning', name, `${name}: all pins are on the path in use`, fix)]
  }
  const message = `${name}: every pin is on the path in use, so none is a key in reserve`
  const fix = `Make one (openssl ecparam -name prime256v1 -genkey -out next.pem), then: pinfetch manifest add-pin ${entry.host} --backup next.pem. Not your host? --partner.`
  return [finding('backup-on-live-chain', isOldNews ? 'warning' : 'error', name, message, fix)]
}

function aboutLiveKey(
  entry: HostEntry,
  old: HostEntry | undefined,
  { path: [endEntity] }: SeenChain,
  name: string,
): readonly LintFinding[] {
  const holds = (one: HostEntry | undefined) => one?.pins.some(({ spki }) => endEntity?.pins.includes(spki)) === true
  if (!holds(old) || holds(entry)) return []
  const message = `${name}: the key in use loses its pin; clients go on because of another pin on its path`
  return [finding('retires-live-key', 'warning', name, message, 'Fine if the server is about to change its key.')]
}

function shortLived(entry: HostEntry, chain: SeenChain, name: string, now: number): readonly LintFinding[] {
  const { notBefore, notAfter, path } = chain
  const issuers = new Set(path.slice(1).flatMap(({ pins }) => pins))
  const days = Math.round((notAfter - notBefore) / DAY_MS)
  const isEndEntityOnly = !entry.pins.some(({ spki }) => issuers.has(spki))
  return [
    ...(days <= SHORT_LIFE_DAYS && isEndEntityOnly
      ? [
          finding(
            'end-entity-only',
            'warning',
            name,
            `${name}: its certificates live ${days} days, and only end-entity keys are pinned`,
            'Have the renewal keep the key (certbot --reuse-key), or pin the issuer as well.',
          ),
        ]
      : []),
    ...(notAfter > now && notAfter - now < SOON_MS && days > SHORT_LIFE_DAYS
      ? [finding('ends-soon', 'warning', name, `${name}: its certificate ends on ${dayOf(notAfter)}`, RENEWAL_FIX)]
      : []),
  ]
}

/** What the entry says by itself. */
function aboutEntry(entry: HostEntry, { before, after, now, pollSeconds }: Change): readonly LintFinding[] {
  const name = entryName(entry)
  const old = before?.hosts.get(name)
  const denied = deniedAnywhere(entry, after)
  const isClosed = (one: HostEntry, dead: ReadonlySet<PinText>): boolean =>
    groupsOf(one).some((group) => !group.some((pin) => isActive(pin, dead, now)))
  const found: LintFinding[] = []
  if (isClosed(entry, denied) && entry.contained !== true) {
    const wasClosed = before !== undefined && old !== undefined && isClosed(old, deniedAnywhere(old, before))
    const isByDeny = !isClosed(entry, new Set())
    const id: LintId = isByDeny ? 'blocks-only-live-pin' : 'no-active-pin'
    const message = `${name}: every pin is ${isByDeny ? 'denied' : 'outside its window'}, so every request to it fails`
    found.push(finding(id, wasClosed ? 'warning' : 'error', name, message, isByDeny ? BLOCK_FIX : WINDOW_FIX))
  }
  if (entry.sunset !== undefined && entry.sunset <= now) {
    const severity = old !== undefined && old.sunset === entry.sunset ? 'warning' : 'error'
    const message = `${name}: its exception ended at ${timeOf(entry.sunset)}, so every request to it fails`
    found.push(finding('exception-over', severity, name, message, SUNSET_FIX))
  }
  const soonest = now + POLLS_TO_KNOW * pollSeconds * 1_000
  const tooSoon = (at: number | undefined, was: number | undefined): boolean =>
    at !== undefined && at > now && at < soonest && at !== was
  const early = entry.pins.find(({ spki, notBefore }) =>
    tooSoon(notBefore, old?.pins.find((pin) => pin.spki === spki)?.notBefore),
  )
  const starts = early?.notBefore ?? (tooSoon(entry.enforceFrom, old?.enforceFrom) ? entry.enforceFrom : undefined)
  if (old !== undefined && starts !== undefined) {
    const message = `${name}: a change of ${timeOf(starts)} comes before every client had ${POLLS_TO_KNOW} polls (${POLLS_TO_KNOW * pollSeconds} s)`
    found.push(finding('activates-too-soon', 'error', name, message, `Say ${timeOf(soonest + 60_000)} or later.`))
  }
  if (entry.singlePin === true) {
    found.push(finding('single-pin', 'warning', name, `${name}: one pin; losing its key closes the host`, RESERVE_FIX))
  }
  const endings: readonly (readonly [string, number | undefined])[] = [
    ...entry.pins.map(({ spki, notAfter }) => [`pin ${spki}`, notAfter] as const),
    ['the legacy exception', entry.sunset],
    ['the time for a review of TLS 1.2', entry.reviewBy],
  ]
  for (const [what, at] of endings) {
    if (at === undefined || at <= now || at - now > SOON_MS) continue
    found.push(finding('ends-soon', 'warning', name, `${name}: ${what} ends at ${timeOf(at)}`, RENEWAL_FIX))
  }
  return found
}

/** Denies that hold on every host that the entry covers; those for single hosts below a pattern close that host alone. */
function deniedAnywhere({ host }: HostEntry, { refusals }: Side): ReadonlySet<PinText> {
  const pattern = parseHostPattern(host)
  const sample = pattern === undefined || pattern.kind === 'exact' ? host : `any.${pattern.base}`
  const canonical = canonicalHost(sample)
  return canonical === undefined ? new Set() : deniedFor(canonical, refusals)
}

function removedHosts({ before, after }: Change): readonly LintFinding[] {
  return [...(before?.hosts ?? [])].flatMap((entry) => {
    const name = entryName(entry)
    if (after.hosts.has(name) || after.hosts.has(entry.host)) return []
    const exact = canonicalHost(entry.host)
    if (exact !== undefined && after.lookup(exact, entry.port ?? 443) !== undefined) return []
    const message = `${name}: clients refuse hosts without an entry`
    const fix = `If nobody calls it any more: --allow removes-host. To stop calls on purpose, keep the entry with "contained": true.`
    return [finding('removes-host', 'error', name, message, fix)]
  })
}

function aboutDenies({ before, after }: Change): readonly LintFinding[] {
  const undenied = new Set(after.payload.undeny)
  const revoked = new Set(after.payload.revocations?.spki?.map(({ sha256 }) => sha256))
  const kept = new Set(after.deny.map(keyOf))
  const cancelled = after.deny.filter(({ spki }) => undenied.has(spki))
  const dropped = (before?.deny ?? []).filter(
    (deny) => !kept.has(keyOf(deny)) && !undenied.has(deny.spki) && !revoked.has(deny.spki),
  )
  return [
    ...cancelled.map(({ spki }) =>
      finding(
        'undeny-cancels-deny',
        'error',
        undefined,
        `${spki} is denied, and the manifest’s undeny takes that back`,
        `pinfetch manifest deny ${spki} takes it out of undeny; then publish with the manifest keys.`,
      ),
    ),
    ...dropped.map(({ spki }) =>
      finding(
        'drops-deny',
        'error',
        undefined,
        `the deny of ${spki} would be gone`,
        `pinfetch manifest undeny ${spki}, signed by the manifest keys, is the way to end it.`,
      ),
    ),
  ]
}

/** What a client would refuse, and what one would that missed this manifest and sees the next. */
function droppedRevocations({ before, after }: Change): readonly LintFinding[] {
  const [from, to] = [before?.payload.revocations, after.payload.revocations]
  return [
    ...dropped(rulesIn(from), to).map((name) => {
      const fix = 'Put it back, or take it back in revocations.unrevoked: the same members, and a reason.'
      return finding('drops-revocation', 'error', undefined, `the revocation of ${name} would be gone`, fix)
    }),
    ...dropped(from?.unrevoked ?? [], to).map((name) => {
      const fix = 'Keep it until every manifest that carried the revocation has expired.'
      const message = `the record that ${name} may serve again would be gone: who still knows the revocation refuses this`
      return finding('drops-revocation', 'warning', undefined, message, fix)
    }),
  ]
}

/** By a list past its time clients judge nothing, and by an older one as if nothing had happened since. */
function aboutLogList({ before, after, now }: Change): readonly LintFinding[] {
  const [from, to] = [before?.payload.ct, after.payload.ct]
  if (to === undefined || to.policy === 'off') return []
  const made = to.logList.timestamp
  const found = (id: LintId, severity: Severity, message: string) => finding(id, severity, undefined, message, LIST_FIX)
  const older =
    from !== undefined && made < from.logList.timestamp
      ? [found('log-list-rollback', 'error', `the log list of ${dayOf(made)} is older than the one in force`)]
      : []
  if (now - made <= LOG_LIST_OLD_MS) return older
  const end = made + LOG_LIST_MAX_AGE_MS
  const isNew = from === undefined || from.policy !== to.policy || from.logList.timestamp !== made
  const message = `the log list is of ${dayOf(made)}; from ${dayOf(end)} on clients judge no certificate by it`
  return [...older, found('log-list-old', now > end && isNew ? 'error' : 'warning', message)]
}

/** Said by itself, since the schema's word for it is that it is no pattern. */
function publicSuffixes({ hosts = [] }: ManifestContent): readonly LintFinding[] {
  return hosts.flatMap(({ host }) => {
    const isWildcard = /^\*{1,2}\./.test(host)
    const base = canonicalHost(host.replace(/^\*{1,2}\./, ''))
    if (base === undefined || !isPublicSuffix(base) || !(isWildcard || base.includes('.'))) return []
    const message = `${host}: names below ${base} belong to strangers`
    return [finding('public-suffix', 'error', host, message, `Name your own domain: *.example.${base}`)]
  })
}

function finding(id: LintId, severity: Severity, host: string | undefined, message: string, fix: string): LintFinding {
  return { id, severity, ...(host === undefined ? {} : { host }), message, fix }
}

const keyOf = ({ spki, hosts }: DenyInput | NonNullable<StatusPayload['deny']>[number]): string =>
  denyKey({
    spki,
    hosts: (hosts ?? []).flatMap((host) => (typeof host === 'string' ? (parseHostPattern(host) ?? []) : host)),
  })

const timeOf = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z')
const dayOf = (unixMs: number): string => timeOf(unixMs).slice(0, 10)

const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
const SHORT_LIFE_DAYS = 47 // what the CA/Browser Forum allows from 2029 on (ballot SC-081)
const POLLS_TO_KNOW = 5 // a client that misses four polls in a row has other troubles
const BLOCK_FIX = 'Move the server to another pinned key first. To cut it off on purpose: --allow blocks-only-live-pin'
const WINDOW_FIX = 'Correct notBefore and notAfter in hosts.json, or add a pin that is active now.'
const RESERVE_FIX = 'pinfetch manifest add-pin <host> --backup next-key.pem, with a key that lies elsewhere.'
const LIST_FIX = 'pinfetch manifest ct import log_list.json --signature log_list.sig, with the list of today.'
const RENEWAL_FIX = 'Renew it before, or take it out.'
const BREAK_GLASS_MS = 4 * 3_600_000 // until somebody of the quorum is awake
const GLASS_FIX = 'pinfetch manifest report <host> --for 4h is what it may do; the rest waits for the quorum.'
const SUNSET_FIX = 'Take profile and sunset out, if the host speaks TLS 1.3 by now; else agree on a later date.'

import { formatHostPattern } from '../encoding/host-pattern.ts'
import type { Expiring } from '../events/monitor-events.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { MAX_LIST_AGE_MS } from '../trust/transparency/check.ts'
import type { LogList } from '../trust/transparency/logs.ts'
import type { OwnCertificate } from './certificate.ts'
import type { ClientEvidence } from './evidence.ts'
import type { Manager } from './managers.ts'
import type { ResolvedOptions } from './options.ts'

/** What of a client ends by itself, the certificates of servers excepted. */
export function expiringOf(
  { pins, legacyHosts, transparency }: Pick<ResolvedOptions, 'pins' | 'legacyHosts' | 'transparency'>,
  {
    managers,
    certificate,
    evidence,
  }: {
    readonly managers: readonly Manager[]
    readonly certificate: OwnCertificate | undefined
    readonly evidence: Pick<ClientEvidence, 'lists'>
  },
): readonly Expiring[] {
  const views = managers.map(({ updater }) => updater.current())
  return [
    ...pins.flatMap(({ pattern, notAfter }): readonly Expiring[] =>
      notAfter === undefined ? [] : [{ what: 'pin', subject: formatHostPattern(pattern), notAfter }],
    ),
    ...legacyHosts.map(
      ({ pattern, sunset }): Expiring => ({ what: 'legacy host', subject: pattern, notAfter: sunset }),
    ),
    ...managers.flatMap(({ updater }) => updater.expiries()),
    ...views.flatMap(({ version, bootstrapUntil }): readonly Expiring[] =>
      bootstrapUntil === undefined
        ? []
        : [{ what: 'manifest', subject: `bootstrap ${version}`, notAfter: bootstrapUntil }],
    ),
    ...newestOf([transparency.logList, ...views.map(({ ct }) => (ct?.policy === 'off' ? undefined : ct?.logList))]),
    ...ofClient(certificate),
    ...evidence.lists().map(
      ({ url, thisUpdate, validUntil }): Expiring => ({
        what: 'revocation list',
        subject: url,
        notBefore: thisUpdate,
        notAfter: validUntil,
      }),
    ),
  ]
}

/** What judges is the newest. */
function newestOf(lists: readonly (LogList | undefined)[]): readonly Expiring[] {
  const [newest] = lists.flatMap((list) => list?.timestamp ?? []).sort((a, b) => b - a)
  if (newest === undefined) return []
  const subject = new Date(newest).toISOString()
  return [{ what: 'log list', subject, notBefore: newest, notAfter: toUnixMs(newest + MAX_LIST_AGE_MS) }]
}

function ofClient(own: OwnCertificate | undefined): readonly Expiring[] {
  if (own?.health() === undefined) return []
  const { subject, notBefore, notAfter } = own.current()
  return [{ what: 'client certificate', subject, notBefore: toUnixMs(notBefore), notAfter: toUnixMs(notAfter) }]
}

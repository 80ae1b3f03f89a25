import type { CodeIn } from '../errors/codes.ts'
import type { AcceptedManifest, AcceptedStatus } from '../manifest/accept.ts'
import type { TrustedRoot } from '../manifest/root.ts'
import type { HostEntry } from '../manifest/schema.ts'
import { deadlinesOf } from './deadlines.ts'
import { entryName } from './diff.ts'
import { LOG_LIST_MAX_AGE_MS, LOG_LIST_OLD_MS } from './log-list.ts'
import { isActive } from './seen.ts'

/** Something that is true until an instant, and what happens then if nobody acts. */
export interface Lapse {
  readonly what: LapseKind
  /** Host concerned, or the document. */
  readonly subject: string
  /** Unix milliseconds. */
  readonly at: number
  /** `warn` from the moment on at which somebody should have acted already, or soon. */
  readonly level: 'ok' | 'warn' | 'lapsed'
  readonly effect: string
  /** What clients refuse with once it has lapsed. */
  readonly code: CodeIn<'MANIFEST' | 'TRUST' | 'POLICY'>
}

export type LapseKind =
  | 'root'
  | 'manifest'
  | 'status'
  | 'grace'
  | 'pin'
  | 'report'
  | 'legacy'
  | 'review'
  | 'log-list'
  | 'certificate'

/** A certificate that a host showed. */
export interface ShownCertificate {
  readonly host: string
  readonly notBefore: number
  readonly notAfter: number
}

/** What lapses when, soonest first. Pure. */
export function lapsesOf(
  published: { readonly root: TrustedRoot; readonly status: AcceptedStatus; readonly manifest: AcceptedManifest },
  certificates: readonly ShownCertificate[],
  now: number,
): readonly Lapse[] {
  const { root, status, manifest } = published
  const { refuseAt } = deadlinesOf(root, status, manifest)
  const level = (at: number, warnFrom: number): Lapse['level'] =>
    now >= at ? 'lapsed' : now >= warnFrom ? 'warn' : 'ok'
  const document = (what: 'root' | 'manifest' | 'status', { payload }: Dated, share: number, effect: string): Lapse => {
    const warnFrom = payload.issuedAt + share * (payload.expires - payload.issuedAt)
    return {
      what,
      subject: what,
      at: payload.expires,
      level: level(payload.expires, warnFrom),
      effect,
      code: ENDED[what],
    }
  }
  return [
    document('root', root, 1 / 2, 'no status and no manifest is accepted any more'),
    document('manifest', manifest, 2 / 3, 'clients refuse requests'),
    document('status', status, 1 / 2, 'clients that start refuse requests; running ones go on until the grace ends'),
    {
      what: 'grace' as const,
      subject: 'status',
      at: refuseAt,
      level: level(refuseAt, status.payload.expires),
      effect: 'running clients refuse requests',
      code: ENDED.grace,
    },
    ...[...manifest.hosts].flatMap((entry) => ofEntry(entry, now, level)),
    ...ofLogList(manifest, level),
    ...certificates.map(({ host, notBefore, notAfter }) => ({
      what: 'certificate' as const,
      subject: host,
      at: notAfter,
      level: level(notAfter, notAfter - Math.min(SOON_MS, (notAfter - notBefore) / 4)), // renewed with a third left, or late
      effect: 'clients refuse the server; nothing here renews it',
      code: ENDED.certificate,
    })),
  ].sort((a, b) => a.at - b.at)
}

/** Nothing is refused for it: nothing is noticed any more, which is why somebody has to be told. */
function ofLogList({ payload: { ct } }: AcceptedManifest, level: Level): readonly Lapse[] {
  if (ct === undefined || ct.policy === 'off') return []
  const made = ct.logList.timestamp
  const at = made + LOG_LIST_MAX_AGE_MS
  const effect = 'clients no longer see whether certificates were logged'
  const found = level(at, made + LOG_LIST_OLD_MS)
  return [{ what: 'log-list', subject: 'log-list', at, level: found, effect, code: ENDED['log-list'] }]
}

type Level = (at: number, warnFrom: number) => Lapse['level']
type Dated = { readonly payload: { readonly issuedAt: number; readonly expires: number } }

function ofEntry(entry: HostEntry, now: number, level: Level): readonly Lapse[] {
  const { pins, enforceFrom, sunset, reviewBy } = entry
  const subject = entryName(entry)
  const isClosed = !pins.some((pin) => isActive(pin, NONE, now))
  const soon = (at: number) => level(at, at - SOON_MS)
  const softened = (found: Lapse['level']) => (found === 'lapsed' ? 'warn' : found)
  return [
    ...pins.flatMap(({ spki, notAfter }): Lapse[] => {
      if (notAfter === undefined) return []
      const effect = isClosed ? 'no pin is left: clients refuse the host' : `${spki} counts no longer`
      const found = isClosed ? soon(notAfter) : softened(soon(notAfter))
      return [{ what: 'pin', subject, at: notAfter, level: found, effect, code: ENDED.pin }]
    }),
    ...(enforceFrom === undefined || enforceFrom <= now
      ? []
      : [
          {
            what: 'report' as const,
            subject,
            at: enforceFrom,
            level: soon(enforceFrom),
            effect: 'mismatches are refused',
            code: ENDED.report,
          },
        ]),
    ...(sunset === undefined
      ? []
      : [
          {
            what: 'legacy' as const,
            subject,
            at: sunset,
            level: soon(sunset),
            effect: 'the exception ends: clients refuse the host',
            code: ENDED.legacy,
          },
        ]),
    ...(reviewBy === undefined
      ? []
      : [
          {
            what: 'review' as const,
            subject,
            at: reviewBy,
            level: softened(soon(reviewBy)),
            effect: 'TLS 1.2 was to be looked at again',
            code: ENDED.review,
          },
        ]),
  ]
}

const NONE: ReadonlySet<never> = new Set()
const SOON_MS = 30 * 86_400_000
const ENDED = {
  root: 'ERR_MANIFEST_ROOT_EXPIRED',
  manifest: 'ERR_MANIFEST_EXPIRED',
  status: 'ERR_MANIFEST_STATUS_EXPIRED',
  grace: 'ERR_TRUST_PINSET_EXPIRED',
  pin: 'ERR_TRUST_PIN_NONE_ACTIVE',
  report: 'ERR_TRUST_PIN_MISMATCH',
  legacy: 'ERR_POLICY_SUNSET',
  review: 'ERR_POLICY_SUNSET',
  'log-list': 'ERR_TRUST_CT_LOG_LIST_STALE',
  certificate: 'ERR_TRUST_CERT_EXPIRED',
} as const satisfies Readonly<Record<LapseKind, Lapse['code']>>

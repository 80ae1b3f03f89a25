import type { ErrorCode } from '../errors/codes.ts'
import type { CertificateFact, DocumentFact, Facts, HostFact, OwnFact, PinFact } from './facts.ts'
import { forecastOf, isWithin, standsOn } from './forecast.ts'

/** Rows of bars over time, and the holes in them. Instants are Unix milliseconds; what has no beginning or end is infinite. */
export interface Timeline {
  readonly now: number
  readonly groups: readonly Group[]
  /** Outages if nobody acts: from `now` on, the soonest first, at most 500. */
  readonly holes: readonly Hole[]
  /** Hosts without a row, because there are too many; their holes are among the others. */
  readonly hiddenHosts: number
}

export interface Group {
  readonly title: string
  readonly rows: readonly Row[]
}

export interface Row {
  /** What it is, in a word or two that say it without colour: `backup pin`. */
  readonly what: string
  readonly label: string
  /** Disjoint, in the order of time. */
  readonly bars: readonly Bar[]
}

export interface Bar {
  readonly kind: BarKind
  readonly from: number
  readonly until: number
}

export type BarKind =
  /** Connections pass: with one key that counts, with several (a change of key is safe), or not at all. */
  | 'passes'
  | 'overlap'
  | 'hole'
  | 'certificate'
  | 'active'
  | 'backup'
  | 'staged'
  | 'denied'
  | 'retired'
  | 'document'
  | 'evidence'

export interface Hole {
  readonly subject: string
  readonly from: number
  readonly until: number
  readonly why: string
  /** What requests fail with. */
  readonly code: ErrorCode
  /** `soon`: less than 30 days, and less than a quarter of the life of what ends: whoever renews by himself has done so by then. */
  readonly level: 'now' | 'soon' | 'later'
}

/** What lives from when to when, and where an outage comes if nobody acts. Pure. */
export function timelineOf(facts: Facts, now: number): Timeline {
  const { documents, hosts, own, denied } = facts
  const drawn = hosts.map((host) => drawHost(host, now))
  const shown = [...drawn].sort((a, b) => a.urgency - b.urgency || compare(a.group.title, b.group.title))
  const listed = new Set(hosts.flatMap(({ pins }) => pins.map(({ spki }) => spki)))
  const refused = denied.filter(({ spki }) => !listed.has(spki))
  const ofDocuments = documents.map((document) => drawDocument(document, now))
  const ofOwn = own.map((one) => drawOwn(one, now))
  return {
    now,
    groups: [
      { title: 'Signed documents', rows: ofDocuments.map(({ row }) => row) },
      ...shown.slice(0, MAX_HOSTS).map(({ group }) => group),
      { title: 'This client', rows: ofOwn.map(({ row }) => row) },
      { title: 'Denied everywhere', rows: refused.slice(0, MAX_DENIED).map(drawDenied) },
    ].filter(({ rows }) => rows.length > 0),
    holes: [...ofDocuments, ...drawn, ...ofOwn]
      .flatMap(({ holes }) => holes)
      .sort((a, b) => a.from - b.from || compare(a.subject, b.subject))
      .slice(0, MAX_HOLES),
    hiddenHosts: Math.max(0, hosts.length - MAX_HOSTS),
  }
}

function drawHost(host: HostFact, now: number) {
  const forecast = forecastOf(host, now)
  const holes = forecast.flatMap((segment): Hole[] => {
    if (segment.kind !== 'hole') return []
    const { from, until, why, code } = segment
    const life = lifeUntil(from, host.certificates)
    return [{ subject: host.host, from, until, why, code, level: levelOf(from, life, now) }]
  })
  const rows: readonly Row[] = [
    {
      what: 'connections',
      label: verdictOf(holes[0], now),
      bars: forecast.map((segment): Bar => {
        const kind = segment.kind === 'hole' ? 'hole' : segment.keys === 'several' ? 'overlap' : 'passes'
        return { kind, from: segment.from, until: segment.until }
      }),
    },
    ...host.certificates.map((certificate) => rowOf('certificate', certificate.subject, 'certificate', certificate)),
    ...(host.issuers ?? []).map((issuer) => rowOf('issuer', issuer.subject, 'certificate', issuer)),
    ...(host.staples ?? []).map((staple) => rowOf('OCSP', staple.label, 'evidence', staple)),
    ...host.pins.map((pin) => {
      const role = roleOf(pin, host.certificates, now)
      return rowOf(`${role} pin`, pin.label === undefined ? pin.spki : `${pin.label}  ${pin.spki}`, role, pin)
    }),
  ]
  return { group: { title: host.host, rows }, holes, urgency: holes[0]?.from ?? Infinity }
}

/** What a pin is at an instant: where no certificate was seen, one that its publisher calls a backup is taken for one. */
function roleOf(pin: PinFact, certificates: readonly CertificateFact[], now: number): BarKind {
  const { from = -Infinity, until = Infinity, label = '' } = pin
  if (pin.isDenied === true) return 'denied'
  if (until <= now) return 'retired'
  if (from > now) return 'staged'
  const valid = certificates.filter((certificate) => isWithin(certificate, now))
  if (valid.length === 0) return BACKUP.test(label) ? 'backup' : 'active'
  return valid.some((certificate) => standsOn(pin, certificate)) ? 'active' : 'backup'
}

function drawDocument(document: DocumentFact, now: number) {
  const { label, effect, code, from = -Infinity, until = Infinity } = document
  return drawEnding({ what: 'document', subject: label, kind: 'document', from, until, effect, code }, now)
}

function drawOwn({ what, label, outage, from = -Infinity, until = Infinity }: OwnFact, now: number) {
  const isCertificate = what === 'client certificate' || what === 'certificate'
  const kind = isCertificate ? 'certificate' : 'evidence'
  const short = SHORT[what] ?? what
  if (outage === undefined) return { row: rowOf(short, label, kind, { from, until }), holes: [] }
  return drawEnding({ what: short, subject: label, kind, from, until, ...outage }, now)
}

/** One that nothing replaces: its end is the beginning of a hole. */
function drawEnding(
  one: {
    readonly what: string
    readonly subject: string
    readonly kind: BarKind
    readonly from: number
    readonly until: number
    readonly effect: string
    readonly code: ErrorCode
  },
  now: number,
) {
  const { what, subject, kind, from, until, effect, code } = one
  const row = rowOf(what, subject, kind, { from, until })
  if (until === Infinity) return { row, holes: [] }
  const begin = Math.max(until, now)
  const hole: Hole = {
    subject,
    from: begin,
    until: Infinity,
    why: effect,
    code,
    level: levelOf(begin, until - from, now),
  }
  const bars: readonly Bar[] = [...row.bars, { kind: 'hole', from: begin, until: Infinity }]
  return { row: { ...row, bars }, holes: [hole] }
}

const drawDenied = ({ spki, reason }: Facts['denied'][number]): Row =>
  rowOf('denied key', `${reason}  ${spki}`, 'denied', {})

function rowOf(
  what: string,
  label: string,
  kind: BarKind,
  { from = -Infinity, until = Infinity }: { readonly from?: number; readonly until?: number },
): Row {
  return { what, label, bars: from < until ? [{ kind, from, until }] : [] }
}

function levelOf(from: number, life: number, now: number): Hole['level'] {
  if (from <= now) return 'now'
  return from - now <= Math.min(SOON_MS, life / 4) ? 'soon' : 'later'
}

/** How long what ends at an instant has lived, where it is a certificate. */
function lifeUntil(at: number, certificates: readonly CertificateFact[]): number {
  const ended = certificates.find(({ until }) => until === at)
  return ended?.from === undefined ? Infinity : at - ended.from
}

function verdictOf(first: Hole | undefined, now: number): string {
  if (first === undefined) return 'pass, with no end in sight'
  return first.from <= now ? `refused: ${first.why}` : `pass until ${first.why}`
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Words that fit a column. */
const SHORT: Partial<Readonly<Record<OwnFact['what'], string>>> = {
  'client certificate': 'client cert',
  'revocation list': 'CRL',
}
const BACKUP = /backup|spare|next|reserve/i
const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
const MAX_HOSTS = 60 // more than anybody looks at; a manifest may have 200,000
const MAX_DENIED = 40
const MAX_HOLES = 500

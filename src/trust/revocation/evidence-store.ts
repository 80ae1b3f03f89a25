import { BoundedMap } from '../../encoding/bounded-map.ts'
import { StoreError } from '../../errors/errors.ts'
import type { Emit } from '../../events/events.ts'
import { type Cancel, toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { GeneralName } from '../../x509/general-names.ts'
import type { EvidenceSource } from '../evaluate.ts'
import type { CertificationPath } from '../path/path.ts'
import { checkedLinks, type EvidenceFailure } from './check.ts'
import type { VerifiedCrl } from './crl.ts'
import { distributionPointsOf } from './crl-scope.ts'
import { type Evidence, EvidenceError } from './evidence.ts'
import { fetchStatement, keyOf, loadStatement, type ObtainOptions, type Statement, type Subject } from './obtain.ts'
import type { RevocationPolicy } from './policy.ts'
import type { SerialRecord } from './serial-index.ts'

export interface EvidenceStore {
  /** What is at hand, for the verdict. */
  readonly source: EvidenceSource
  /** Says that a path is in use: what its certificates’ status takes is loaded, fetched and kept fresh from now on. */
  readonly want: (path: CertificationPath, policy: RevocationPolicy) => void
  /** Resolves when what the path wants has arrived or failed, or after the budget. */
  readonly gather: (path: CertificationPath, policy: RevocationPolicy, budgetMs: number) => Promise<void>
  /** The revocation lists at hand, by their URLs. */
  readonly lists: () => readonly HeldList[]
  /** Ends every timer; what is under way is left to its own deadline. */
  readonly close: () => void
}

export interface HeldList {
  readonly url: string
  readonly thisUpdate: UnixMs
  readonly validUntil: UnixMs
}

export interface EvidenceStoreOptions extends ObtainOptions {
  readonly emit: Emit
  /** Called in the tick in which a statement changed: live connections are judged by it. */
  readonly onChange: () => void
  /** The application's own: another array than before means other filters. */
  readonly crliteFilters?: () => readonly Uint8Array[]
}

interface Item {
  readonly subject: Subject
  statement?: Statement
  failure?: EvidenceFailure
  failures: number
  failedAt: number
  /** While it is loaded or fetched. */
  work?: Promise<void> | undefined
  cancel: Cancel
  wantedAt: number
}

/**
 * Fetches CRLs, and OCSP responses where the policy asks for them, beside the connections: nothing waits for it but `gather`.
 * One fetch a URL at a time and two in all; refreshed between half and three quarters of a statement's life; after failures
 * again within a minute, then later and later, up to an hour; the old one serves until it ends. A list older than the one
 * at hand is refused, and a serial number that was ever listed stays revoked, unless it was only on hold.
 */
export function createEvidenceStore(options: EvidenceStoreOptions): EvidenceStore {
  const { runtime, emit, onChange } = options
  const { clock, schedule } = runtime
  const items = new Map<string, Item>()
  const everRevoked = new BoundedMap<string, SerialRecord>(MAX_REVOKED)
  const waiting: (() => void)[] = []
  let version = 1
  let filtersBefore: readonly Uint8Array[] = []
  let cancelTelling: Cancel | undefined
  let running = 0
  let isClosed = false

  const itemFor = (subject: Subject): Item => {
    const key = keyOf(subject)
    const wantedAt = clock.monotonic()
    const known = items.get(key)
    if (known !== undefined) {
      known.wantedAt = wantedAt
      return known
    }
    const item: Item = { subject, failures: 0, failedAt: Number.NEGATIVE_INFINITY, cancel: () => {}, wantedAt }
    if (items.size >= MAX_ITEMS) dropLongestUnwanted()
    items.set(key, item)
    return item
  }

  const dropLongestUnwanted = (): void => {
    const [oldest] = [...items].sort(([, a], [, b]) => a.wantedAt - b.wantedAt)
    if (oldest === undefined) return
    oldest[1].cancel()
    items.delete(oldest[0])
  }

  /** Not after the end, and not when it had to make room while it was fetched. */
  const isKept = (item: Item): boolean => !isClosed && items.get(keyOf(item.subject)) === item

  const begin = (item: Item): Promise<void> => {
    item.work ??= inTurn(() => obtain(item)).finally(() => {
      item.work = undefined
    })
    return item.work
  }

  /** Two at a time: a thousand hosts of one CA need one list, a hundred CAs should not be a burst. */
  const inTurn = async (work: () => Promise<void>): Promise<void> => {
    if (running < MAX_AT_ONCE) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve)) // until one that ends leaves it its place
    try {
      await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  const obtain = async (item: Item): Promise<void> => {
    const { subject } = item
    const startedAt = clock.monotonic()
    try {
      const kept = item.statement === undefined ? await fromDisk(subject) : undefined
      if (!isKept(item)) return
      if (kept !== undefined) install(item, kept)
      if (refreshIn(kept) <= 0) {
        const statement = await fetchStatement(subject, options)
        if (!isKept(item)) return
        refuseOlder(item.statement, statement)
        install(item, statement)
        const { bytes, crl, validUntil } = statement
        const ms = clock.monotonic() - startedAt
        emit({ type: 'revocation.refreshed', url: subject.url, bytes, entries: crl?.entries ?? 1, ms, validUntil })
      }
      item.failures = 0
      delete item.failure
      arm(item, Math.max(refreshIn(item.statement), MIN_RETRY_MS))
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      const { code, message } = error
      item.failures += 1
      item.failedAt = clock.monotonic()
      item.failure = { status: 'undetermined', code, message }
      emit({ type: 'revocation.failed', url: subject.url, code, message })
      arm(item, Math.min(MIN_RETRY_MS * 2 ** (item.failures - 1), MAX_RETRY_MS) * (0.5 + random() / 2))
    }
  }

  const fromDisk = async (subject: Subject): Promise<Statement | undefined> => {
    try {
      return await loadStatement(subject, options)
    } catch (error) {
      if (error instanceof StoreError) return undefined // fetched instead
      throw error
    }
  }

  const install = (item: Item, statement: Statement): void => {
    item.statement = statement
    const { certificate, issuer } = item.subject
    if (statement.revoked !== undefined) remember('ocsp', certificate.serialNumber, issuer, statement.revoked)
    version += 1
    onChange()
  }

  const arm = (item: Item, afterMs: number): void => {
    if (!isKept(item)) return
    item.cancel()
    item.cancel = schedule(afterMs, () => {
      if (clock.monotonic() - item.wantedAt < FORGET_AFTER_MS) void begin(item)
      else items.delete(keyOf(item.subject))
    })
  }

  /** Between half and three quarters of its life. */
  const refreshIn = (statement: Statement | undefined): number => {
    if (statement === undefined) return 0
    const { thisUpdate, validUntil } = statement
    return thisUpdate + (validUntil - thisUpdate) * (0.5 + random() / 4) - clock.now()
  }

  const random = (): number => Buffer.from(runtime.random(4)).readUInt32BE(0) / 2 ** 32

  const subjectsOf = (path: CertificationPath, policy: RevocationPolicy): readonly Subject[] => {
    if (policy.mode === 'off' || policy.fetch === 'never') return []
    return checkedLinks(path, policy).flatMap(({ certificate, issuer }) => [
      ...(policy.sources.includes('crl') ? listsOf(certificate, issuer) : []),
      ...(policy.sources.includes('ocsp') ? responsesOf(certificate, issuer) : []),
    ])
  }

  const wanted = (path: CertificationPath, policy: RevocationPolicy): readonly Item[] =>
    isClosed ? [] : subjectsOf(path, policy).map(itemFor)

  /** A fresh one first where several points of one certificate are known; a failure where none is. */
  const atHand = <T>(
    subjects: readonly Subject[],
    pick: (statement: Statement) => T | undefined,
  ): readonly (T | EvidenceFailure)[] => {
    const known = subjects.flatMap((subject) => items.get(keyOf(subject)) ?? [])
    const statements = known.flatMap(({ statement }) => (statement === undefined ? [] : (pick(statement) ?? [])))
    return statements.length > 0 ? statements : known.flatMap(({ failure }) => failure ?? [])
  }

  const revokedKey = (kind: Subject['kind'], serialNumber: Uint8Array, { spkiSha256 }: Certificate): string =>
    `${kind} ${spkiSha256} ${Buffer.from(serialNumber).toString('hex')}`

  const remember = (kind: Subject['kind'], serial: Uint8Array, issuer: Certificate, record: SerialRecord): void => {
    if (record.reason === CERTIFICATE_HOLD || record.reason === REMOVE_FROM_CRL) return
    everRevoked.set(revokedKey(kind, serial, issuer), record)
  }

  /** A list that remembers what was found on it. */
  const remembering = (crl: VerifiedCrl, issuer: Certificate): VerifiedCrl => ({
    ...crl,
    find: (serialNumber, name) => {
      const record = crl.find(serialNumber, name)
      if (record !== undefined) remember('crl', serialNumber, issuer, record)
      return record
    },
  })

  /** RFC 5280 knows no way back but from hold: neither a newer statement that is silent nor the end of this one is one. */
  const everRevokedOf = (kind: Subject['kind'], certificate: Certificate, issuer: Certificate): readonly Evidence[] => {
    const record = everRevoked.get(revokedKey(kind, certificate.serialNumber, issuer))
    return record === undefined ? [] : [{ ...record, status: 'revoked', thisUpdate: 0, validUntil: FOREVER }]
  }

  /** Live connections are judged by new filters too: not in the verdict that finds them, and once a second at most. */
  const tellSoon = (): void => {
    if (isClosed) return
    cancelTelling ??= schedule(FILTERS_TOLD_AFTER_MS, () => {
      cancelTelling = undefined
      onChange()
    })
  }

  return {
    source: {
      get version() {
        const filters = options.crliteFilters?.() ?? []
        const isSame = filters.length === filtersBefore.length && filters.every((one, at) => one === filtersBefore[at])
        if (!isSame) {
          filtersBefore = [...filters] // the application may change its own array
          version += 1
          tellSoon()
        }
        return version
      },
      ...(options.crliteFilters === undefined ? {} : { crliteFilters: options.crliteFilters }),
      crls: (certificate, issuer) => [
        ...everRevokedOf('crl', certificate, issuer),
        ...atHand(listsOf(certificate, issuer), ({ crl }) => crl && remembering(crl, issuer)),
      ],
      ocspResponses: (certificate, issuer) => [
        ...everRevokedOf('ocsp', certificate, issuer),
        ...atHand(responsesOf(certificate, issuer), ({ ocspResponse }) => ocspResponse),
      ],
    },
    want: (path, policy) => {
      for (const item of wanted(path, policy)) {
        if (item.statement === undefined && item.failures === 0) void begin(item)
      }
    },
    gather: async (path, policy, budgetMs) => {
      const isOver = ({ statement }: Item): boolean => statement === undefined || statement.validUntil <= clock.now()
      // A CA that does not answer is not asked again by every connection that would wait for it.
      const hasJustFailed = ({ failedAt }: Item): boolean => clock.monotonic() - failedAt < WAIT_AGAIN_MS
      const missing = wanted(path, policy).filter((item) => isOver(item) && !hasJustFailed(item))
      let cancel: Cancel = () => {}
      const over = new Promise<void>((resolve) => {
        cancel = schedule(budgetMs, resolve)
      })
      await Promise.race([Promise.all(missing.map(begin)), over]).finally(() => cancel())
    },
    lists: () =>
      [...items.values()].flatMap(({ subject: { kind, url }, statement }) => {
        if (kind !== 'crl' || statement === undefined) return []
        return [{ url, thisUpdate: toUnixMs(statement.thisUpdate), validUntil: toUnixMs(statement.validUntil) }]
      }),
    close: () => {
      isClosed = true
      cancelTelling?.()
      for (const { cancel } of items.values()) cancel()
      items.clear()
    },
  }
}

/** A list that was published before the one at hand would take revocations back. @throws EvidenceError */
function refuseOlder(held: Statement | undefined, offered: Statement): void {
  const [before, after] = [held?.crl?.crlNumber, offered.crl?.crlNumber]
  const isLower = before !== undefined && after !== undefined && after < before
  if (held === undefined || (!isLower && offered.thisUpdate >= held.thisUpdate)) return
  const message = `made ${new Date(offered.thisUpdate).toISOString()}, a newer one is at hand`
  throw new EvidenceError('ERR_TRUST_CRL_ROLLBACK', message)
}

function listsOf(certificate: Certificate, issuer: Certificate): readonly Subject[] {
  const points = distributionPointsOf(certificate).filter(
    ({ crlIssuer, reasons }) => crlIssuer === undefined && reasons === undefined,
  )
  const urls = urlsOf(points.flatMap(({ fullName = [] }) => fullName))
  return urls.map((url) => ({ kind: 'crl', url, certificate, issuer }))
}

function responsesOf(certificate: Certificate, issuer: Certificate): readonly Subject[] {
  const { authorityInfoAccess = [] } = certificate.decoded
  const responders = authorityInfoAccess.filter(({ method }) => method === AD_OCSP)
  const urls = urlsOf(responders.map(({ location }) => location))
  return urls.map((url) => ({ kind: 'ocsp', url, certificate, issuer }))
}

/** The first few that can be fetched. */
function urlsOf(names: readonly GeneralName[]): readonly string[] {
  const uris = names.flatMap((name) => (name.kind === 'uri' ? [name.text] : []))
  return uris.filter((uri) => /^https?:/i.test(uri)).slice(0, MAX_URLS)
}

const FILTERS_TOLD_AFTER_MS = 1_000
const AD_OCSP = '1.3.6.1.5.5.7.48.1'
const CERTIFICATE_HOLD = 6
const REMOVE_FROM_CRL = 8
const FOREVER = Number.POSITIVE_INFINITY
const MAX_URLS = 2
const MAX_REVOKED = 10_000
const MAX_ITEMS = 64
const MAX_AT_ONCE = 2
const MIN_RETRY_MS = 60_000
const WAIT_AGAIN_MS = 5_000
const MAX_RETRY_MS = 3_600_000
const FORGET_AFTER_MS = 7 * 86_400_000

import { DerError, DerReader, openElement, TAG } from './der.ts'
import { parseExtensions } from './extensions.ts'
import { parseGeneralNames } from './general-names.ts'
import { crlReasonOf } from './ocsp-response.ts'

/** An entry of revokedCertificates (RFC 5280 §5.3). One object serves a whole list: a million would be the list's cost. */
export interface CrlEntry {
  /** Place of the serial number's content octets in the bytes that were read. */
  serialStart: number
  serialEnd: number
  /** Unix seconds, within 1970 and 2106. Informational. */
  revokedAt: number
  about: CrlEntryExtensions
}

export interface CrlEntryExtensions {
  /** CRLReason. */
  readonly reason?: number
  /** `DistinguishedName.key` of who issued this certificate and those of the entries after it (§5.3.3). */
  readonly certificateIssuer?: string
  readonly unknownCritical?: string
}

/** Reads entries into `entry`; extensions that were met before are recognised by their bytes. */
export function createCrlEntryReader(): (
  entry: CrlEntry,
  bytes: Uint8Array,
  contentStart: number,
  end: number,
) => void {
  const known: { readonly bytes: Uint8Array; readonly about: CrlEntryExtensions }[] = []
  const aboutOf = (bytes: Uint8Array, start: number, end: number): CrlEntryExtensions => {
    for (const seen of known) if (isAt(bytes, start, end, seen.bytes)) return seen.about
    const about = parseEntryExtensions(bytes, start, end)
    if (known.length < MAX_MEMOS && end - start <= MAX_MEMO_BYTES) known.push({ bytes: bytes.slice(start, end), about })
    return about
  }
  return (entry, bytes, contentStart, end) => {
    const serialStart = contentStart + 2
    const serialEnd = serialStart + (bytes[contentStart + 1] ?? 0)
    const timeStart = serialEnd + 2
    const timeEnd = timeStart + (bytes[serialEnd + 1] ?? 0)
    const isShort = (bytes[contentStart + 1] ?? 0x80) < 0x80 && serialEnd > serialStart && timeEnd <= end
    if (!isShort || bytes[contentStart] !== TAG.integer) throw new DerError('an entry’s serial number cannot be read')
    const second = bytes[serialStart + 1] ?? 0
    const isPadded =
      serialEnd - serialStart > 1 &&
      ((bytes[serialStart] === 0 && second < 0x80) || (bytes[serialStart] === 0xff && second >= 0x80))
    if (isPadded) throw new DerError('integer is not in its shortest form')
    entry.serialStart = serialStart
    entry.serialEnd = serialEnd
    entry.revokedAt = secondsOf(bytes, bytes[serialEnd] ?? 0, timeStart, timeEnd)
    entry.about = timeEnd === end ? NONE : aboutOf(bytes, timeEnd, end)
  }
}

function parseEntryExtensions(bytes: Uint8Array, start: number, end: number): CrlEntryExtensions {
  const reader = new DerReader(bytes, start, end)
  const list = reader.read(TAG.sequence)
  reader.expectEnd()
  if (list.end === list.contentStart) return NONE // some CAs write an empty list where none belongs
  const extensions = parseExtensions(openElement(list))
  let about: { -readonly [Name in keyof CrlEntryExtensions]: CrlEntryExtensions[Name] } = {}
  for (const { oid, critical, value } of extensions.values()) {
    if (oid === REASON_CODE) about.reason = crlReasonOf(new DerReader(value).read())
    else if (oid === CERTIFICATE_ISSUER) about = { ...about, ...issuerOf(value) }
    else if (critical && oid !== INVALIDITY_DATE) about.unknownCritical = oid
  }
  return about
}

function issuerOf(value: Uint8Array): Pick<CrlEntryExtensions, 'certificateIssuer'> {
  const names = parseGeneralNames(new DerReader(value).read(TAG.sequence))
  const directory = names.find((name) => name.kind === 'directory')
  if (directory?.kind !== 'directory') throw new DerError('an entry’s issuer has no directory name')
  return { certificateIssuer: directory.name.key }
}

/** `timeOf` for a million entries: the same forms, by arithmetic alone. */
function secondsOf(bytes: Uint8Array, tag: number, start: number, end: number): number {
  const isUtc = tag === TAG.utcTime
  if (!isUtc && tag !== TAG.generalizedTime) throw new DerError('time is of another type')
  const length = end - start
  if (length !== (isUtc ? 13 : 15) || bytes[end - 1] !== 0x5a) {
    throw new DerError('time is not in the form ending in seconds and Z')
  }
  const shortYear = twoDigits(bytes, start)
  const at = isUtc ? start + 2 : start + 4
  const year = isUtc ? shortYear + (shortYear < 50 ? 2000 : 1900) : shortYear * 100 + twoDigits(bytes, start + 2)
  const month = twoDigits(bytes, at)
  const day = twoDigits(bytes, at + 2)
  const hour = twoDigits(bytes, at + 4)
  const minute = twoDigits(bytes, at + 6)
  const second = twoDigits(bytes, at + 8)
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0)
  if (day < 1 || day > days || hour > 23 || minute > 59 || second > 59) {
    throw new DerError('time is not a date of the calendar')
  }
  const past = year - 1
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - LEAP_DAYS_TO_1970
  const dayOfYear = (DAYS_BEFORE[month - 1] ?? 0) + day - 1 + (month > 2 && isLeap ? 1 : 0)
  const seconds = (((year - 1970) * 365 + leapDays + dayOfYear) * 24 + hour) * 3_600 + minute * 60 + second
  return Math.min(Math.max(seconds, 0), 0xffffffff)
}

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] ?? 0) - 48
  const ones = (bytes[at + 1] ?? 0) - 48
  if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw new DerError('time holds something else than digits')
  return tens * 10 + ones
}

function isAt(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false
  for (let i = 0; i < other.length; i += 1) if (bytes[start + i] !== other[i]) return false
  return true
}

const NONE: CrlEntryExtensions = {}
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const LEAP_DAYS_TO_1970 = 477
const REASON_CODE = '2.5.29.21'
const INVALIDITY_DATE = '2.5.29.24'
const CERTIFICATE_ISSUER = '2.5.29.29'
const MAX_MEMO_BYTES = 64
const MAX_MEMOS = 16 // one a reason

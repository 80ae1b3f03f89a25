import { createHash } from 'node:crypto'
import { systemRuntime } from '../ports/system.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { octetString } from '../x509/der-writer.ts'
import type { CertificateExtension } from '../x509/extension-writer.ts'
import { generateKey, type KeyPair, signBytes } from '../x509/generate.ts'

/** A log of Certificate Transparency: a key that signs SCTs. Nothing is published anywhere. */
export interface TestLog {
  readonly operator: string
  readonly key: KeyPair
  readonly isTiled: boolean
  /** What a list says of it. */
  readonly listed: TestListedLog
}

/** With the names of the public log lists. */
export interface TestListedLog {
  readonly description: string
  readonly log_id: string
  readonly key: string
  readonly state: { readonly [State in TestLogState]?: { readonly timestamp: string } }
  readonly temporal_interval?: { readonly start_inclusive: string; readonly end_exclusive: string }
}

/** States of the log lists of browsers. */
export type TestLogState = 'pending' | 'qualified' | 'usable' | 'readonly' | 'retired' | 'rejected'

/** Whose log it is, and in which state. */
export interface TestLogOptions {
  /** Default `A`. Two logs of one operator do not suffice. */
  readonly operator?: string
  /** Default P-256. */
  readonly key?: KeyPair
  /** Default usable. */
  readonly state?: TestLogState
  /** Unix milliseconds from which on it is in that state. Default 1970. */
  readonly since?: number
  /** When the certificates end that it takes, in Unix milliseconds. Default: any time. */
  readonly interval?: readonly [start: number, end: number]
  /** One of the static API. Default false. */
  readonly isTiled?: boolean
}

/**
 * @example
 * const logs = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
 * const server = ca.issue({ names: ['api.example.com'], loggedIn: logs })
 * // ct: { mode: 'require', logList: testLogList(logs) } accepts it
 */
export function testLog(options: TestLogOptions = {}): TestLog {
  const { operator = 'A', key = generateKey(), state = 'usable', since = 0, interval, isTiled = false } = options
  const listed: TestListedLog = {
    description: `log of ${operator}`,
    log_id: sha256(key.spki).toString('base64'),
    key: Buffer.from(key.spki).toString('base64'),
    state: { [state]: { timestamp: instant(since) } },
    ...(interval === undefined
      ? {}
      : { temporal_interval: { start_inclusive: instant(interval[0]), end_exclusive: instant(interval[1]) } }),
  }
  return { operator, key, isTiled, listed }
}

/** A list of logs, as browsers publish theirs (log_list.json, version 3). */
export interface TestLogList {
  readonly timestamp: string
  readonly operators: readonly {
    readonly name: string
    readonly logs?: readonly TestListedLog[]
    readonly tiled_logs?: readonly TestListedLog[]
  }[]
}

/**
 * What the option `ct` and the member `ct` of a manifest take as `logList`.
 *
 * @param timestamp Unix milliseconds. Default now.
 */
export function testLogList(logs: readonly TestLog[], timestamp: number = systemRuntime.clock.now()): TestLogList {
  return {
    timestamp: instant(timestamp),
    operators: logs.map(({ operator, isTiled, listed }) => ({
      name: operator,
      [isTiled ? 'tiled_logs' : 'logs']: [listed],
    })),
  }
}

export interface TestSctOptions {
  readonly timestamp: number
  /** Content of CtExtensions. Default none. */
  readonly extensions?: Uint8Array
  readonly version?: number
  readonly hashAlgorithm?: number
  readonly signatureAlgorithm?: number
  /** Signs something else. */
  readonly garbage?: boolean
}

/** What an SCT is about: see `precertificate` and `wholeCertificate`. */
export type TestEntry = Uint8Array

/** The same certificate before it had SCTs: a certificate of the same options has the same signed part. */
export function precertificate(issuer: { readonly spki: Uint8Array }, before: { readonly der: Uint8Array }): TestEntry {
  const tbs = parseCertificate(before.der).tbs
  return Buffer.concat([Uint8Array.of(0, 1), sha256(issuer.spki), number(tbs.length, 3), tbs])
}

export const wholeCertificate = ({ der }: { readonly der: Uint8Array }): TestEntry =>
  Buffer.concat([Uint8Array.of(0, 0), number(der.length, 3), der])

/** Written from RFC 6962 §3.2, and from nothing of the reader. */
export function sct({ key }: Pick<TestLog, 'key'>, entry: TestEntry, options: TestSctOptions): Uint8Array {
  const { timestamp, extensions = new Uint8Array(), version = 0, hashAlgorithm = 4, garbage = false } = options
  const signatureAlgorithm = options.signatureAlgorithm ?? (key.type.startsWith('RSA') ? 1 : 3)
  const [time, extra] = [number(timestamp, 8), vector(extensions)]
  const signed = Buffer.concat([Uint8Array.of(0, 0), time, entry, extra])
  const signature = signBytes(garbage ? sha256(signed) : signed, { privateKey: key.privateKey, hash: 'sha256' })
  const algorithms = Uint8Array.of(hashAlgorithm, signatureAlgorithm)
  return Buffer.concat([Uint8Array.of(version), sha256(key.spki), time, extra, algorithms, vector(signature)])
}

/** The value of the extension: an OCTET STRING around the list. */
export function sctList(scts: readonly Uint8Array[]): Uint8Array {
  return octetString(vector(Buffer.concat(scts.map(vector))))
}

/** SCTs of these logs as an extension: of a certificate, or of an OCSP response. */
export function sctExtension(
  oid: typeof EMBEDDED | typeof STAPLED,
  logs: readonly TestLog[],
  entry: TestEntry,
  timestamp: number,
): CertificateExtension {
  return { oid, critical: false, value: sctList(logs.map((log) => sct(log, entry, { timestamp }))) }
}

/** RFC 6962 §3.3 */
export const EMBEDDED = '1.3.6.1.4.1.11129.2.4.2'
export const STAPLED = '1.3.6.1.4.1.11129.2.4.5'

const vector = (content: Uint8Array): Uint8Array => Buffer.concat([number(content.length, 2), content])

function number(value: number, octets: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - octets)
}

const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

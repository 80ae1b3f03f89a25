import { createHash } from 'node:crypto'
import type { IssueOptions, KeyPair, TestCa, TestCertificate } from 'pinfetch/testing'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { ListedLog, LogList, LogState } from '../../src/trust/transparency/logs.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { octetString } from '../../src/x509/der-writer.ts'
import { generateKey, signBytes } from '../../src/x509/generate.ts'

/** A log with a key, and what a list says of it. */
export interface TestLog {
  readonly operator: string
  readonly key: KeyPair
  readonly listed: ListedLog
  readonly isTiled: boolean
}

export interface TestLogOptions {
  readonly operator?: string
  readonly key?: KeyPair
  /** Default usable. */
  readonly state?: LogState
  /** Default long ago. */
  readonly since?: number
  readonly interval?: readonly [start: number, end: number]
  readonly isTiled?: boolean
}

export function testLog(options: TestLogOptions = {}): TestLog {
  const { operator = 'A', key = generateKey(), state = 'usable', since = 0, interval, isTiled = false } = options
  const listed: ListedLog = {
    description: `log of ${operator}`,
    log_id: sha256(key.spki).toString('base64'),
    key: Buffer.from(key.spki).toString('base64'),
    state: { [state]: { timestamp: toUnixMs(since) } },
    ...(interval === undefined
      ? {}
      : { temporal_interval: { start_inclusive: toUnixMs(interval[0]), end_exclusive: toUnixMs(interval[1]) } }),
  }
  return { operator, key, listed, isTiled }
}

export function testLogList(logs: readonly TestLog[], timestamp: number): LogList {
  return {
    timestamp: toUnixMs(timestamp),
    operators: logs.map(({ operator, listed, isTiled }) => ({
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
export function precertificate(issuer: TestCertificate, before: TestCertificate): TestEntry {
  const tbs = parseCertificate(before.der).tbs
  return Buffer.concat([Uint8Array.of(0, 1), sha256(issuer.spki), number(tbs.length, 3), tbs])
}

export const wholeCertificate = ({ der }: TestCertificate): TestEntry =>
  Buffer.concat([Uint8Array.of(0, 0), number(der.length, 3), der])

/** Written from RFC 6962 §3.2, and from nothing of the reader. */
export function sct({ key }: TestLog, entry: TestEntry, options: TestSctOptions): Uint8Array {
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

export const EMBEDDED = '1.3.6.1.4.1.11129.2.4.2'
export const STAPLED = '1.3.6.1.4.1.11129.2.4.5'

export type MakeScts = (entry: TestEntry) => readonly Uint8Array[]

/** A certificate with embedded SCTs, which are made about what it would be without them. */
export function logged(ca: TestCa, options: IssueOptions, scts: MakeScts): TestCertificate {
  const before = ca.issue(options)
  const value = sctList(scts(precertificate(ca.issuer, before)))
  return withExtension(ca, before, value)
}

/** The certificate once more, with the extension after its others. */
export function withExtension(
  ca: TestCa,
  { options, serial, key }: TestCertificate,
  value: Uint8Array,
): TestCertificate {
  const extensions = [...(options.extensions ?? []), { oid: EMBEDDED, critical: false, value }]
  return ca.issue({ ...options, serial, key, extensions })
}

const vector = (content: Uint8Array): Uint8Array => Buffer.concat([number(content.length, 2), content])

function number(value: number, octets: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.subarray(8 - octets)
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

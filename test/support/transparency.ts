import { createHash } from 'node:crypto'
import type { IssueOptions, KeyPair, TestCa, TestCertificate } from 'pinfetch/testing'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { EMBEDDED, precertificate, sctList, type TestEntry } from '../../src/testing/transparency.ts'
import type { ListedLog, LogList, LogState } from '../../src/trust/transparency/logs.ts'
import { generateKey } from '../../src/x509/generate.ts'

export {
  EMBEDDED,
  precertificate,
  STAPLED,
  sct,
  sctList,
  type TestEntry,
  type TestSctOptions,
  wholeCertificate,
} from '../../src/testing/transparency.ts'

/** A log with a key, and what a list says of it once it was read. */
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

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

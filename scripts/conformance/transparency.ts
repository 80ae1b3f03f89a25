import { toUnixMs, type UnixMs } from '../../src/ports/runtime.ts'
import { checkTransparency, DEFAULT_TRANSPARENCY, transparencyRefusal } from '../../src/trust/transparency/check.ts'
import type { ListedLog, LogList, LogState } from '../../src/trust/transparency/logs.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { type Answer, outcome } from './suite.ts'

/** One certificate with the logs that its SCTs may be of; binary members are base64 of DER. */
export interface TransparencyCase {
  readonly cert: string
  readonly issuer: string
  /** Stapled OCSP response, where there is one. */
  readonly response?: string
  /** A public log list of version 3. */
  readonly logList: PublicLogList
  /** ISO 8601. */
  readonly now: string
}

interface PublicLogList {
  readonly log_list_timestamp: string
  readonly operators: readonly {
    readonly name: string
    readonly logs?: readonly PublicLog[]
    readonly tiled_logs?: readonly PublicLog[]
  }[]
}

interface PublicLog extends Pick<ListedLog, 'description' | 'log_id' | 'key'> {
  readonly state: { readonly [State in LogState]?: { readonly timestamp: string } }
  readonly temporal_interval?: { readonly start_inclusive: string; readonly end_exclusive: string }
}

export interface TransparencyAnswer extends Answer {
  /** One an SCT, in order: `valid`, or why it does not count. */
  readonly scts: readonly string[]
}

export function runTransparencyCase(input: unknown): TransparencyAnswer {
  const row = input as TransparencyCase
  const startedAt = performance.now()
  const policy = { ...DEFAULT_TRANSPARENCY, mode: 'enforce' } as const
  const verdict = checkTransparency({
    certificate: parseCertificate(bytesOf(row.cert)),
    issuer: parseCertificate(bytesOf(row.issuer)),
    ...(row.response === undefined ? {} : { staple: bytesOf(row.response) }),
    logList: logListOf(row.logList),
    now: instantOf(row.now),
    policy,
  })
  const unchecked = verdict.status === 'unchecked' ? verdict.findings[0] : undefined
  const finding = transparencyRefusal(verdict, policy) ?? unchecked
  const scts = verdict.status === 'unchecked' ? [] : verdict.scts
  return { ...outcome(finding?.code, startedAt), scts: scts.map((sct) => sct.finding?.code ?? 'valid') }
}

/** @param expected `ok`, or a code without its prefix. @param perSct The same of each SCT, where a list can be read. */
export function isAsLogged(
  { expected, perSct }: { readonly expected: string; readonly perSct?: readonly string[] },
  { code, scts }: TransparencyAnswer,
): boolean {
  const wanted = perSct?.map((one) => (one === 'valid' ? one : `ERR_TRUST_${one}`))
  if (wanted !== undefined && wanted.join() !== scts.join()) return false
  return code === (expected === 'ok' ? undefined : `ERR_TRUST_${expected}`)
}

function logListOf({ log_list_timestamp, operators }: PublicLogList): LogList {
  return {
    timestamp: instantOf(log_list_timestamp),
    operators: operators.map(({ name, logs = [], tiled_logs = [] }) => ({
      name,
      logs: logs.map(listedLogOf),
      tiled_logs: tiled_logs.map(listedLogOf),
    })),
  }
}

function listedLogOf({ state, temporal_interval: interval, ...log }: PublicLog): ListedLog {
  const states = Object.entries(state).map(([name, { timestamp }]) => [name, { timestamp: instantOf(timestamp) }])
  return {
    ...log,
    state: Object.fromEntries(states),
    ...(interval === undefined
      ? {}
      : {
          temporal_interval: {
            start_inclusive: instantOf(interval.start_inclusive),
            end_exclusive: instantOf(interval.end_exclusive),
          },
        }),
  }
}

const instantOf = (text: string): UnixMs => toUnixMs(Date.parse(text))
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))

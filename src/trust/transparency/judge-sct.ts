import { hash } from 'node:crypto'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import type { Finding } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { verifySignature } from '../path/signature.ts'
import { finding, isoOf } from './finding.ts'
import { findLog, type Log, type LogKey, type LogList } from './logs.ts'
import type { ParsedSct, Sct } from './sct.ts'
import { type SctSource, signedDataOf } from './signed-entry.ts'

/** An SCT that proves that a log of the list took the certificate. */
export interface CountingSct {
  readonly source: SctSource
  readonly logId: string
  readonly log: Log
  /** When the log says it saw the certificate. */
  readonly timestamp: UnixMs
  readonly finding?: undefined
}

/** What is known of one SCT. Without a `finding` it counts. */
export type JudgedSct =
  | CountingSct
  | (Partial<Omit<CountingSct, 'source' | 'finding'>> & { readonly source: SctSource; readonly finding: Finding })

export interface SctContext {
  readonly certificate: Certificate
  /** From the verified path: its key is part of what the log signed. */
  readonly issuer: Certificate
  readonly logList: LogList
  readonly now: UnixMs
}

/** Whether the SCT proves that a log of the list took the certificate. The signature comes last, for it costs most. */
export function judgeSct(parsed: ParsedSct, source: SctSource, context: SctContext): JudgedSct {
  if ('finding' in parsed) return { source, finding: parsed.finding }
  const { sct } = parsed
  const { logId, timestamp } = sct
  const log = findLog(context.logList, logId)
  const about = { source, logId, timestamp }
  if (log === undefined) {
    return { ...about, finding: finding('ERR_TRUST_SCT_UNKNOWN_LOG', `no log of the list has the id ${logId}`) }
  }
  const flaw = untimely(sct, log, source, context) ?? badlySigned(sct, log, source, context)
  return { ...about, log, finding: flaw }
}

function untimely(
  { timestamp }: Sct,
  log: Log,
  source: SctSource,
  { certificate, now }: SctContext,
): Finding | undefined {
  if (timestamp > now + CLOCK_SKEW_MS) {
    return finding('ERR_TRUST_SCT_FUTURE_TIMESTAMP', `${log.name} saw the certificate at ${isoOf(timestamp)}`)
  }
  const { notAfter } = certificate
  const { interval } = log
  if (interval !== undefined && (notAfter < interval.start_inclusive || notAfter >= interval.end_exclusive)) {
    const shard = `${isoOf(interval.start_inclusive)} to ${isoOf(interval.end_exclusive)}`
    const message = `${log.name} takes certificates that end from ${shard}, and this ends ${isoOf(notAfter)}`
    return finding('ERR_TRUST_SCT_OUTSIDE_INTERVAL', message)
  }
  if (isCurrent(log, now)) return undefined
  if (log.state !== 'retired') {
    return finding('ERR_TRUST_SCT_LOG_REJECTED', `${log.name} is ${log.state} since ${isoOf(log.since)}`)
  }
  // What stands in a certificate was there when the log was watched, and cannot be replaced. A staple can, and whoever has the key
  // of a log that nobody watches any more writes what time he likes.
  return source === 'certificate' && timestamp < log.since
    ? undefined
    : finding('ERR_TRUST_SCT_LOG_RETIRED', `${log.name} is retired since ${isoOf(log.since)}`)
}

/** Whether the log is watched and trusted now. An end that is announced has not come; a beginning that is, has not either. */
export function isCurrent({ state, since }: Log, now: UnixMs): boolean {
  switch (state) {
    case 'usable':
    case 'qualified':
      return since <= now
    case 'readonly':
      return true
    case 'retired':
      return since > now
    case 'pending':
    case 'rejected':
      return false
  }
}

/** The instant from which an SCT that was judged `now` may count otherwise: its log changes its state, or its time has come. */
export function othersFrom({ log, timestamp }: JudgedSct, now: UnixMs): number {
  const changes = [log?.since ?? 0, (timestamp ?? 0) - CLOCK_SKEW_MS]
  return Math.min(...changes.filter((at) => at > now))
}

function badlySigned(sct: Sct, log: Log, source: SctSource, context: SctContext): Finding | undefined {
  const { key } = log
  if (key === undefined || sct.hashAlgorithm !== SHA256 || sct.signatureAlgorithm !== ALGORITHMS[key.kind]) {
    const seen = `hash ${sct.hashAlgorithm} and signature ${sct.signatureAlgorithm}`
    const message = `expected SHA-256 with the P-256 or RSA key of ${log.name}, saw ${seen}`
    return finding('ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM', message)
  }
  const data = signedDataOf(sct, source, context.certificate, context.issuer)
  if (isSigned(sct, data, key)) return undefined
  return finding('ERR_TRUST_SCT_BAD_SIGNATURE', `the signature is not by ${log.name} about this certificate and issuer`)
}

/** Once for the same data, signature and key, whose digest the log's id is. */
function isSigned({ logId, signature }: Sct, tbs: Uint8Array, { kind, publicKey }: LogKey): boolean {
  const name = `${logId} ${hash('sha256', tbs)} ${hash('sha256', signature)}`
  const signatureAlgorithm = { kind, hash: 'sha256', name: kind } as const
  const verdict = verified.get(name) ?? verifySignature({ tbs, signature, signatureAlgorithm }, { publicKey })
  verified.set(name, verdict)
  return verdict
}

const verified = new BoundedMap<string, boolean>(1024) // about 200 kB; three SCTs for some hundred servers

const CLOCK_SKEW_MS = 5 * 60_000 // a certificate is in use minutes after it was logged, and clocks differ

const SHA256 = 4 // RFC 5246 §7.4.1.4.1
const ALGORITHMS = { 'rsa-pkcs1': 1, ecdsa: 3 } as const

import { hash } from 'node:crypto'
import * as z from 'zod'
import { decodeBase64 } from '../../encoding/base64.ts'
import { ConfigurationError, MonitorError } from '../../errors/errors.ts'
import { latin1 } from '../../x509/der.ts'
import type { LogEntry } from './entry.ts'
import { type Issuance, issuanceOf } from './issuance.ts'
import { HASH_OCTETS, type TreeHead } from './merkle.ts'
import { readCertificate, readTbsCertificate } from './read-certificate.ts'
import { type Pass, readPosition } from './source.ts'
import type { LogIdentity } from './tree-head.ts'

/** A log that is read entry by entry, however it answers. */
export interface WatchedLog {
  readonly base: URL
  readonly log: LogIdentity
  readonly from: number | 'end'
}

export interface Progress {
  /** The first entry that was not read yet. */
  readonly next: number
  readonly positionAt: (next: number) => Position
}

/**
 * Where a pass goes on. An honest log only grows.
 *
 * @param continues Whether the tree of `head` continues the one that was seen before, which is smaller.
 * @throws MonitorError `ERR_MONITOR_LOG_SHRUNK`, `ERR_MONITOR_LOG_FORKED`, `ERR_MONITOR_CURSOR_INVALID`
 */
export async function resume(
  { log: { origin }, from }: WatchedLog,
  head: TreeHead,
  pass: Pass,
  continues: (before: TreeHead) => Promise<boolean>,
): Promise<Progress> {
  const before = readPosition(Position, pass.position, origin)
  if (before !== undefined) {
    if (head.size < before.size) {
      const message = `${origin}: has ${head.size} entries, and had ${before.size}`
      throw new MonitorError('ERR_MONITOR_LOG_SHRUNK', message)
    }
    const root = Buffer.from(before.root, 'base64')
    const isContinued = head.size === before.size ? root.equals(head.root) : await continues({ ...before, root })
    if (!isContinued) {
      const message = `${origin}: the tree of ${head.size} entries does not continue the one of ${before.size}`
      throw new MonitorError('ERR_MONITOR_LOG_FORKED', message)
    }
  }
  const root = Buffer.from(head.root).toString('base64')
  return {
    next: before?.next ?? (from === 'end' ? head.size : Math.min(from, head.size)),
    positionAt: (next) => ({ size: head.size, root, next }),
  }
}

/** Only those that concern what is watched: a log holds everybody's. */
export function issuancesIn(entries: readonly LogEntry[], source: string, pass: Pass): readonly Issuance[] {
  return entries.flatMap(({ kind, signedEntry, precertificate }) => {
    const read = kind === 'certificate' ? readCertificate(signedEntry) : readTbsCertificate(signedEntry)
    const isOurs = read.names.some(pass.matches) || (!read.isComplete && mentions(signedEntry, pass.domains))
    return isOurs ? [issuanceOf(source, read, { sha256: hash('sha256', precertificate ?? signedEntry) })] : []
  })
}

/** Where a certificate breaks off, a name may stand in what could not be read. */
function mentions(der: Uint8Array, domains: readonly string[]): boolean {
  const text = latin1(der).toLowerCase()
  return domains.some((domain) => text.includes(domain))
}

/** @throws ConfigurationError `ERR_CONFIG_INVALID` */
export function parseFrom(from: number | 'end' | undefined, option: string): number | 'end' {
  if (from === undefined || from === 'end' || (Number.isSafeInteger(from) && from >= 0)) return from ?? 'end'
  throw new ConfigurationError('ERR_CONFIG_INVALID', `${option}: expected an index or end`)
}

/** A URL as logs name themselves: without its scheme and final slash. */
export const originOf = ({ host, pathname }: URL): string => `${host}${pathname}`.replace(/\/+$/, '')

type Position = z.infer<typeof Position>
const Position = z.object({
  size: z.int().min(0),
  root: z.string().refine((text) => decodeBase64(text)?.length === HASH_OCTETS),
  /** The first entry that was not read yet. */
  next: z.int().min(0),
})

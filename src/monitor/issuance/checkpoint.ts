import { hash } from 'node:crypto'
import { decodeBase64 } from '../../encoding/base64.ts'
import { MonitorError } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import type { TreeHead } from './merkle.ts'
import { isSignedHead, type LogIdentity, type LogKey, requireCurrent, type SignedTreeHead } from './tree-head.ts'

/**
 * The tree head that a log signed (RFC 6962 §3.5), as logs of the static API serve it: a signed note.
 *
 * The signature covers neither the origin nor the key's name, so an operator with one key for two logs could show either as the
 * other: the tree that was seen before tells.
 *
 * @throws MonitorError `ERR_MONITOR_LOG_CHECKPOINT`, `ERR_MONITOR_LOG_ORIGIN`, `ERR_MONITOR_LOG_SIGNATURE`, `ERR_MONITOR_LOG_STALE`
 * @see https://c2sp.org/static-ct-api, https://c2sp.org/signed-note
 */
export function verifyCheckpoint(octets: Uint8Array, log: LogIdentity, now: UnixMs): SignedTreeHead {
  const { origin } = log
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8')
  const [body = '', signatures, ...more] = text.split('\n\n')
  const [name = '', sizeText = '', rootText = '', ...extensions] = body.split('\n')
  const root = decodeBase64(rootText)
  const isTreeHead = /^(0|[1-9]\d{0,12})$/.test(sizeText) && root?.length === 32 && extensions.length === 0
  if (signatures === undefined || more.length > 0 || !isTreeHead) {
    throw new MonitorError('ERR_MONITOR_LOG_CHECKPOINT', `${origin}: expected a signed note of origin, size and root`)
  }
  if (name !== origin) {
    const message = `${origin}: the checkpoint is of ${JSON.stringify(name.slice(0, 200))}`
    throw new MonitorError('ERR_MONITOR_LOG_ORIGIN', message)
  }
  const size = Number(sizeText)
  const timestamp = signatures
    .split('\n', MAX_SIGNATURES)
    .map((line) => timestampSigned(line, log, { size, root }))
    .find((time) => time !== undefined)
  if (timestamp === undefined) {
    throw new MonitorError('ERR_MONITOR_LOG_SIGNATURE', `${origin}: the checkpoint is not signed by the key of the log`)
  }
  requireCurrent(log, timestamp, now)
  return { size, root, timestamp }
}

/** When the log signed this head; `undefined` for a signature of somebody else, and for one that does not hold. */
function timestampSigned(line: string, { origin, key }: LogIdentity, head: TreeHead): UnixMs | undefined {
  const prefix = `\u2014 ${origin} `
  const signed = line.startsWith(prefix) ? decodeBase64(line.slice(prefix.length)) : undefined
  if (signed === undefined || signed.length < DIGITALLY_SIGNED) return undefined
  const bytes = Buffer.from(signed)
  if (bytes.compare(keyIdOf(origin, key), 0, 4, 0, TIMESTAMP) !== 0) return undefined
  const timestamp = bytes.subarray(TIMESTAMP, DIGITALLY_SIGNED)
  if (!isSignedHead({ ...head, timestamp }, bytes.subarray(DIGITALLY_SIGNED), key)) return undefined
  return toUnixMs(Number(timestamp.readBigUInt64BE()))
}

const keyIdOf = (origin: string, { logId }: LogKey): Uint8Array =>
  hash('sha256', Buffer.concat([Buffer.from(`${origin}\n`), NOTE_SIGNATURE_TYPE, logId]), 'buffer').subarray(0, 4)

const NOTE_SIGNATURE_TYPE = Uint8Array.of(5)
const TIMESTAMP = 4 // after the key id
const DIGITALLY_SIGNED = 12

const MAX_SIGNATURES = 32 // a log and its witnesses

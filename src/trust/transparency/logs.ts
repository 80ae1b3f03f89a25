import { hash, type KeyObject } from 'node:crypto'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import { DerError, DerReader, TAG } from '../../x509/der.ts'
import { importPublicKey, type PublicKeyInfo, parsePublicKeyInfo } from '../../x509/public-key.ts'

/** What a verdict needs of a log list; the members are spelled as in the public lists (version 3), and as a manifest has them. */
export interface LogList {
  readonly timestamp: UnixMs
  readonly operators: readonly LogOperator[]
}

export interface LogOperator {
  readonly name: string
  readonly logs?: readonly ListedLog[]
  /** Logs of the static API. Their SCTs are the same. */
  readonly tiled_logs?: readonly ListedLog[]
}

export interface ListedLog {
  readonly description?: string
  /** base64 of the SHA-256 of the key. */
  readonly log_id: string
  /** base64 of a DER SubjectPublicKeyInfo. */
  readonly key: string
  readonly state: { readonly [State in LogState]?: { readonly timestamp: UnixMs } }
  /** Of the notAfter of the certificates that the log takes. */
  readonly temporal_interval?: { readonly start_inclusive: UnixMs; readonly end_exclusive: UnixMs }
}

export type LogState = (typeof STRICTEST_FIRST)[number]

/** A log that may have signed an SCT. */
export interface Log {
  readonly name: string
  readonly operator: string
  readonly kind: 'rfc6962' | 'static'
  readonly state: LogState
  /** When `state` began, or will. */
  readonly since: UnixMs
  readonly interval: ListedLog['temporal_interval']
  /** `undefined` for a key that no log may have (RFC 6962 §2.1.4): P-256, or RSA of at least 2048 bits. */
  readonly key: LogKey | undefined
}

export interface LogKey {
  readonly kind: 'ecdsa' | 'rsa-pkcs1'
  readonly publicKey: KeyObject
}

/** The log of the list that has the id. The list is read once, and each key when it is first asked for. */
export function findLog(list: LogList, logId: string): Log | undefined {
  const index = indexes.get(list) ?? indexOf(list)
  indexes.set(list, index)
  return index.get(logId)
}

function indexOf({ operators }: LogList): ReadonlyMap<string, Log> {
  const logs = new Map<string, Log>()
  const add = (listed: ListedLog, operator: string, kind: Log['kind']): void => {
    const spki = new Uint8Array(Buffer.from(listed.key, 'base64'))
    // RFC 6962 §3.2: the id is the digest of the key, so an entry where it is not speaks for a log that has another.
    if (hash('sha256', spki, 'base64') !== listed.log_id) return
    logs.set(listed.log_id, new IndexedLog(listed, operator, kind, spki))
  }
  for (const { name, logs: classic = [], tiled_logs: tiled = [] } of operators) {
    for (const listed of classic) add(listed, name, 'rfc6962')
    for (const listed of tiled) add(listed, name, 'static')
  }
  return logs
}

class IndexedLog implements Log {
  readonly name: string
  readonly operator: string
  readonly kind: Log['kind']
  readonly state: LogState
  readonly since: UnixMs
  readonly interval: ListedLog['temporal_interval']
  readonly #spki: Uint8Array
  #key: LogKey | null | undefined

  constructor(listed: ListedLog, operator: string, kind: Log['kind'], spki: Uint8Array) {
    this.#spki = spki
    this.name = listed.description ?? listed.log_id
    this.operator = operator
    this.kind = kind
    this.state = STRICTEST_FIRST.find((state) => listed.state[state] !== undefined) ?? 'rejected'
    this.since = listed.state[this.state]?.timestamp ?? toUnixMs(0)
    this.interval = listed.temporal_interval
  }

  get key(): LogKey | undefined {
    if (this.#key === undefined) this.#key = keyOf(this.#spki) ?? null
    return this.#key ?? undefined
  }
}

function keyOf(spki: Uint8Array): LogKey | undefined {
  const info = infoOf(spki)
  const kind = info && kindOf(info)
  const publicKey = info && importPublicKey(info, spki)
  return kind && publicKey && { kind, publicKey }
}

function kindOf(info: PublicKeyInfo): LogKey['kind'] | undefined {
  if (info.kind === 'ec' && info.curve === 'P-256') return 'ecdsa'
  return info.kind === 'rsa' && info.bits >= MIN_RSA_BITS ? 'rsa-pkcs1' : undefined
}

function infoOf(spki: Uint8Array): PublicKeyInfo | undefined {
  try {
    const reader = new DerReader(spki)
    const element = reader.read(TAG.sequence)
    reader.expectEnd()
    return parsePublicKeyInfo(element)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

/** A log has one; of several the one that allows least counts, and without any it is rejected. */
const STRICTEST_FIRST = ['rejected', 'pending', 'retired', 'readonly', 'qualified', 'usable'] as const

const indexes = new WeakMap<LogList, ReadonlyMap<string, Log>>()

const MIN_RSA_BITS = 2048

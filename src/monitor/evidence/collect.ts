import * as z from 'zod'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import { parseOptions } from '../../encoding/options.ts'
import { type Emitter, followerOf } from '../../events/emitter.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import type { Signer } from '../../keys/signer.ts'
import { systemRuntime } from '../../ports/system.ts'
import { MAX_PRESENTED_CERTIFICATES } from '../../trust/path/budget.ts'
import { readCertificate } from '../../trust/path/certificate-cache.ts'
import { pinOf } from '../../trust/pins.ts'
import { DerError } from '../../x509/der.ts'
import { createOutage, messageOf } from '../outage.ts'
import { type JsonObject, sha256 } from '../validation-record.ts'
import { createWorkQueue } from '../work-queue.ts'
import { makeBundle, type Surroundings, type Trigger } from './bundle.ts'
import { fileName, keepFile } from './files.ts'
import { type SealedEvidence, seal, sealedText } from './seal.ts'

/** Where bundles go, who signs them, and how many there may be. */
export interface EvidenceOptions {
  /** A directory for the files, made with mode 0700 where it is missing; each file has mode 0600. */
  readonly dir?: string
  /** In place of a directory: gets each file's name and text. */
  readonly write?: (name: string, text: string) => unknown
  /** Signs each bundle as a JWS without its payload. Default: none is signed, and the digest shows accidents alone. */
  readonly signer?: Signer
  readonly limit?: {
    /** Bundles within an hour, whatever goes on. Default 60. */
    readonly perHour?: number
    /** Files in the directory; beyond it the oldest goes. Default 1,000. */
    readonly files?: number
    /** Octets of all of them. Default 256 MiB. */
    readonly bytes?: number
  }
}

/** A collection under way. */
export interface EvidenceCollection {
  /** Bundles that were written. */
  readonly written: number
  /** Violations without one: the same host, code and chain within an hour, or more than `perHour`. */
  readonly suppressed: number
  /** Bundles that could not be made or written. */
  readonly failed: number
  /** Of the last that failed; absent once one was written. */
  readonly failure: string | undefined
  /** Hears nothing more, and writes what waits: for five seconds at most. */
  readonly close: () => Promise<void>
}

/**
 * Keeps evidence of every handshake that was refused, reported or seen to be intercepted: one file each, from which
 * `pinfetch evidence verify` gives the same verdict again, offline. A disk that is full or slow costs evidence, never a request;
 * `outlet.failed` tells of it. Called in the tick of `createClient`, it also records what the client found around it.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`
 *
 * @example
 * const evidence = collectEvidence(client, { dir: '/var/lib/orders/evidence', signer: localSigner(key, { keyId: 'orders-1' }) })
 */
export function collectEvidence(client: { readonly on: Emitter['on'] }, options: EvidenceOptions): EvidenceCollection {
  const { dir, write, signer, limit } = parseOptions('collectEvidence', Options, options)
  const queue = createWorkQueue(MAX_WAITING)
  const outage = createOutage(client.on, `evidence ${dir ?? 'written by the application'}`)
  const environment = new Map<string, Surroundings['environment'][number]>()
  const known = new BoundedMap<string, number>(MAX_KNOWN) // when the last bundle of its kind was made
  const recent: number[] = []
  const intercepted = new BoundedMap<string, string>(MAX_KNOWN) // host, and the key that it showed
  const closing = new AbortController()
  const count = { written: 0, suppressed: 0, failed: 0 }
  let failure: string | undefined

  const keep = async (kind: string, { at, host }: HandshakeEvent, bundle: JsonObject): Promise<void> => {
    try {
      const sealed = await seal(bundle, signer, closing.signal)
      const text = sealedText(sealed)
      const name = fileName(at, host, sealed.sha256)
      if (dir !== undefined) await keepFile(dir, name, text, limit)
      else await write?.(name, text)
      count.written += 1
      failure = undefined
      outage.ended(count.failed)
    } catch (error) {
      lose(kind, error)
    }
  }
  /** The next of its kind is due again. */
  const lose = (kind: string, error: unknown): void => {
    known.delete(kind)
    count.failed += 1
    failure = messageOf(error)
    outage.began(error, count.failed)
  }
  /** Of the hour before an event, by its own time. */
  const isDue = (event: HandshakeEvent, kind: string): boolean => {
    const last = known.get(kind)
    if (last !== undefined && Math.abs(event.at - last) < HOUR_MS) return false
    while (recent[0] !== undefined && Math.abs(event.at - recent[0]) >= HOUR_MS) recent.shift()
    if (recent.length >= limit.perHour) return false
    known.set(kind, event.at)
    recent.push(event.at)
    return true
  }
  const onHandshake = (event: HandshakeEvent): void => {
    const trigger = triggerOf(event, intercepted)
    if (trigger === undefined) return
    const kind = kindOf(event, trigger)
    if (!isDue(event, kind)) {
      count.suppressed += 1
      return
    }
    try {
      const bundle = makeBundle(event, trigger, { environment: [...environment.values()] })
      if (!queue.add(() => keep(kind, event, bundle))) lose(kind, new Error('too much waits to be written'))
    } catch (error) {
      lose(kind, error)
    }
  }
  const follow = followerOf(client.on)
  const ends = [
    follow('posture', ({ subject, effect }) => {
      if (environment.size < MAX_POSTURES) environment.set(subject, { subject, effect })
    }),
    follow('tls.interception', ({ host, spki, outcome }) => {
      if (outcome === 'accepted') intercepted.set(host, spki) // of one that was refused, its handshake tells
    }),
    follow('tls.handshake', onHandshake),
  ]
  return {
    get written() {
      return count.written
    },
    get suppressed() {
      return count.suppressed
    },
    get failed() {
      return count.failed
    },
    get failure() {
      return failure
    },
    close: async () => {
      for (const end of ends) end()
      let cancel = (): void => {}
      const over = new Promise<void>((resolve) => {
        cancel = systemRuntime.schedule(CLOSING_MS, resolve)
      })
      await Promise.race([queue.idle(), over])
      cancel()
      closing.abort() // a signer far away may still be waiting
    },
  }
}

/**
 * Evidence of one handshake that a client just told of, whatever its outcome was. Call it in the listener: of a copy of the event,
 * and later, less is known.
 */
export function captureEvidence(
  event: HandshakeEvent,
  options: { readonly signer?: Signer; readonly signal?: AbortSignal } = {},
): Promise<SealedEvidence & { readonly text: string }> {
  const { signer, signal = new AbortController().signal } = options
  const bundle = makeBundle(event, 'demand', { environment: [] })
  return seal(bundle, signer, signal).then((sealed) => ({ ...sealed, text: sealedText(sealed) }))
}

function triggerOf(event: HandshakeEvent, intercepted: BoundedMap<string, string>): Trigger | undefined {
  const { outcome, host, presented } = event
  if (outcome === 'refused' || outcome === 'reported') return outcome
  const key = outcome === 'accepted' ? intercepted.get(host) : undefined
  if (key === undefined) return undefined
  const keys = presented.slice(0, MAX_PRESENTED_CERTIFICATES).flatMap((der) => {
    const certificate = readCertificate(der)
    return certificate instanceof DerError ? [] : [pinOf(certificate)]
  })
  if (![...keys, ...event.chain.map(({ spki }) => spki)].includes(key)) return undefined
  intercepted.delete(host)
  return 'interception'
}

const kindOf = ({ host, code, presented }: HandshakeEvent, trigger: Trigger): string =>
  `${trigger} ${host} ${code} ${sha256(Buffer.concat([...presented]))}`

const CLOSING_MS = 5_000
const HOUR_MS = 3_600_000
const MAX_WAITING = 100
const MAX_KNOWN = 1_000
const MAX_POSTURES = 64

const isFunction = (value: unknown): boolean => typeof value === 'function'
const Options = z
  .strictObject({
    dir: z.string().min(1).optional(),
    write: z.custom<NonNullable<EvidenceOptions['write']>>(isFunction, 'expected a function').optional(),
    signer: z
      .custom<Signer>((value) => isFunction((value as Signer | undefined)?.sign), 'expected a signer')
      .optional(),
    limit: z
      .strictObject({
        perHour: z.int().min(1).max(100_000).default(60),
        files: z.int().min(1).max(100_000).default(1_000),
        bytes: z
          .int()
          .min(1)
          .default(256 * 1024 ** 2),
      })
      .prefault({}),
  })
  .refine(({ dir, write }) => (dir === undefined) !== (write === undefined), 'expected either dir or write')

import type { TLSSocket } from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { type ChainEntry, type Finding, type PinfetchError, TrustError } from '../errors/errors.ts'
import type { EventOf } from '../events/events.ts'
import type { HandshakeEvent, HandshakeTimings } from '../events/handshake.ts'
import type { Runtime, UnixMs } from '../ports/runtime.ts'
import { describePath, type TrustInput } from '../trust/evaluate.ts'
import { rememberJudgement } from '../trust/judgement.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import { describePins } from '../trust/pins.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { tellTransparency } from '../trust/transparency/tell.ts'
import type { TrustVerdict, VerifiedPeer } from '../trust/verdict.ts'
import { groupOf } from './groups.ts'

/**
 * What is known of one attempt at a connection, gathered while it is made and put together once, when it is over. Made only where
 * somebody listens. What it tells is what others hold already: no certificate is parsed, hashed or copied for it.
 */
export class HandshakeRecord {
  readonly #origin: CanonicalOrigin
  readonly #clock: Runtime['clock']
  readonly #startedAt: number
  #resolvedAt: number | undefined
  #connectedAt: number | undefined
  #securedAt: number | undefined
  #verdictMs: number | undefined
  #policy: HostPolicy | undefined
  #input: TrustInput | undefined
  #verdict: TrustVerdict | undefined
  #addresses: readonly string[] = NOTHING
  #address: string | undefined
  #proxy: string | undefined
  #connection: HandshakeEvent['connection']
  #isCut = false
  #endedAt: { readonly wall: UnixMs; readonly monotonic: number } | undefined

  constructor(origin: CanonicalOrigin, clock: Runtime['clock']) {
    this.#origin = origin
    this.#clock = clock
    this.#startedAt = clock.monotonic()
  }

  begun(policy: HostPolicy, proxy?: string): void {
    this.#policy = policy
    this.#proxy = proxy
  }

  resolved(addresses: readonly string[]): void {
    this.#addresses = addresses
    this.#resolvedAt = this.#clock.monotonic()
  }

  tried(address: string): void {
    this.#address = address
  }

  connected(address: string | undefined): void {
    this.#address = address
    this.#connectedAt = this.#clock.monotonic()
  }

  /** Times a verdict, and keeps it with what it is about. */
  judged(input: TrustInput, judge: (input: TrustInput) => TrustVerdict): TrustVerdict {
    this.#input = input
    this.#policy = input.policy
    const before = this.#clock.monotonic()
    const verdict = judge(input)
    this.#verdictMs = (this.#verdictMs ?? 0) + this.#clock.monotonic() - before
    this.#verdict = verdict
    return verdict
  }

  /** The handshake is finished. */
  secured(socket: TLSSocket): void {
    this.#securedAt = this.#clock.monotonic()
    this.#connection = describeConnection(socket)
  }

  /** It is no attempt, but the end of a connection that was in use. */
  cut(socket: TLSSocket, verdict: TrustVerdict, input: TrustInput): void {
    this.#isCut = true
    this.#verdict = verdict
    this.#input = input
    this.#address = socket.remoteAddress
    this.#connection = describeConnection(socket)
  }

  /** It is told of later. */
  ended(): void {
    this.#endedAt = { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }

  /** `undefined` where no policy covered the origin: then nothing was tried. */
  told(error?: PinfetchError): EventOf<'tls.handshake'> | undefined {
    const [policy, verdict, address] = [this.#policy, this.#verdict, this.#address]
    if (policy === undefined) return undefined
    const { presented, staple } = this.#input ?? NOTHING_SENT
    const peer = verdict?.kind === 'trusted' ? verdict.peer : undefined
    const path = verdict?.kind === 'rejected' ? verdict.refusedPath : peer?.path
    const now = this.#endedAt?.wall ?? this.#clock.now()
    const event: EventOf<'tls.handshake'> = {
      type: 'tls.handshake',
      host: this.#origin.text,
      at: now,
      ...outcomeOf(peer, error, this.#isCut),
      chain: path === undefined ? NOTHING : chainOf(path),
      presented,
      ...(staple === undefined ? {} : { staple }),
      pins: describePins(path, policy, now),
      policy: {
        generation: policy.generation,
        source: policy.source,
        mode: policy.mode,
        manifestVersion: policy.manifestVersion,
        ...(policy.rootVersion === undefined ? {} : { rootVersion: policy.rootVersion }),
      },
      ...(peer === undefined ? {} : { revocation: describeRevocation(peer) }),
      ...(peer?.transparency === undefined ? {} : { transparency: tellTransparency(peer.transparency) }),
      ...(address === undefined ? {} : { address }),
      addresses: this.#addresses,
      ...(this.#proxy === undefined ? {} : { proxy: this.#proxy }),
      ...(this.#connection === undefined ? {} : { connection: this.#connection }),
      ...(this.#isCut ? { cut: true } : {}),
      timings: this.#timings(),
    }
    if (this.#input !== undefined) rememberJudgement(event, { input: this.#input })
    return event
  }

  #timings(): HandshakeTimings {
    const [started, resolved, connected, secured] = [
      this.#startedAt,
      this.#resolvedAt,
      this.#connectedAt,
      this.#securedAt,
    ]
    return {
      ...(resolved === undefined ? {} : { lookupMs: resolved - started }),
      ...(connected === undefined ? {} : { connectMs: connected - (resolved ?? started) }),
      ...(secured === undefined || connected === undefined ? {} : { tlsMs: secured - connected }),
      ...(this.#verdictMs === undefined ? {} : { verdictMs: this.#verdictMs }),
      totalMs: (this.#endedAt?.monotonic ?? this.#clock.monotonic()) - started,
    }
  }
}

/** What the secrecy of a connection rests on. */
export function describeConnection(socket: TLSSocket): NonNullable<HandshakeEvent['connection']> {
  const group = groupOf(socket)
  return {
    protocol: socket.getProtocol() === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2', // no other is ever offered
    cipher: socket.getCipher().standardName,
    ...(group === undefined ? {} : { group }),
    resumed: socket.isSessionReused(),
  }
}

export function describeRevocation({ revocation }: VerifiedPeer): NonNullable<HandshakeEvent['revocation']> {
  const { status } = revocation
  if (status === 'good') return { status, source: revocation.source, causes: revocation.causes }
  return { status, causes: status === 'undetermined' ? revocation.causes : NOTHING }
}

function outcomeOf(
  peer: VerifiedPeer | undefined,
  error: PinfetchError | undefined,
  isCut: boolean,
): Pick<HandshakeEvent, 'outcome' | 'code' | 'findings'> {
  if (error !== undefined) {
    const findings = error instanceof TrustError ? error.findings : NOTHING
    return { outcome: isCut || error instanceof TrustError ? 'refused' : 'failed', code: error.code, findings }
  }
  const findings: readonly Finding[] = peer?.reported ?? NOTHING
  const [first] = findings
  return first === undefined ? { outcome: 'accepted', findings } : { outcome: 'reported', code: first.code, findings }
}

/** Described once: a path that is remembered with its verdict stands behind many connections. */
function chainOf(path: CertificationPath): readonly ChainEntry[] {
  const known = chains.get(path)
  if (known !== undefined) return known
  const chain = describePath(path)
  chains.set(path, chain)
  return chain
}

const chains = new WeakMap<CertificationPath, readonly ChainEntry[]>()
const NOTHING: readonly never[] = Object.freeze([])
const NOTHING_SENT: Pick<TrustInput, 'presented' | 'staple'> = { presented: NOTHING }

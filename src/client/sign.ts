import { createHash } from 'node:crypto'
import { copyOf } from '../errors/copy.ts'
import { ConfigurationError, PinfetchError, type RequestSent, SignError, TransportError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Emit } from '../events/events.ts'
import { type ClockOffsets, createClockOffsets, TOLERANCE_MS } from '../keys/clock-offset.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { keepProcessAlive } from '../ports/system.ts'
import { digestsMatch, readDigest } from '../signing/content-digest.ts'
import type { BoundSigner, RequestSigner, SignableRequest } from '../signing/signing.ts'
import { parseDictionary } from '../signing/structured-fields.ts'
import type { Limits, Timeouts } from '../transport/limits.ts'
import { discard } from './redirect.ts'
import type { GivenRequest } from './replay.ts'
import type { DefaultHeaders } from './request.ts'
import type { Call, Send } from './send.ts'
import { type BodyNeeds, bodyNeeds, type FixedBody, fixBody } from './sign-body.ts'
import { coveredFields, dispatchCheck } from './sign-check.ts'
import {
  type Draft,
  draftOf,
  type Given,
  givenOf,
  headersOf,
  JOINED,
  patchedDraft,
  requireOwnLabel,
  SHARED,
} from './sign-request.ts'

export interface SigningOptions {
  readonly signers: readonly RequestSigner[]
  readonly runtime: Runtime
  readonly emit: Emit
  readonly timeouts: Pick<Timeouts, 'totalMs'>
  readonly limits: Pick<Limits, 'minBytesPerSecond'>
  /** What the runtime's fetch adds to a request. */
  readonly defaults: (url: URL) => Promise<DefaultHeaders> | DefaultHeaders
}

export interface Signing {
  /** A sender that signs each request. */
  readonly signed: (send: Send) => Send
  readonly close: () => void
}

/**
 * Binds the signers to a client. They stand between credentials and the road: each attempt and each hop is signed anew, over the
 * token and the proof that it has. Once a redirect has left the origin that the caller named nothing is signed any more, for
 * another server chose then what would be.
 *
 * @throws SignError `ERR_SIGN_LABEL_CONFLICT`, ConfigurationError where two signers want one header field.
 */
export function createSigning(options: SigningOptions): Signing {
  const { signers, runtime, emit } = options
  requireDistinct(signers)
  const clocks = createClockOffsets({ runtime, emit })
  const host = { runtime, emit, clockOffset: clocks.of }
  const bodies: Bodies = new WeakMap()
  const bound: Bound[] = []
  const close = (): void => {
    for (const { binding } of bound) binding.close?.()
  }
  try {
    for (const signer of signers) bound.push({ signer, binding: signer.bind(host) })
  } catch (error) {
    close()
    throw error
  }
  const signed =
    (send: Send): Send =>
    (input, init, url, call) =>
      call?.hasLeftOrigin === true
        ? send(input, init, url, call)
        : new Errand({ input, init }, { ...options, bound, clocks, bodies, send, url, call }).run()
  return { signed, close }
}

interface Bound {
  readonly signer: RequestSigner
  readonly binding: BoundSigner
}

/** By the body, or by the call where that is no object. */
type Bodies = WeakMap<object, { readonly source: unknown; readonly body: FixedBody; readonly readsIt: boolean }>

interface Surroundings extends SigningOptions {
  readonly bound: readonly Bound[]
  readonly clocks: ClockOffsets
  readonly bodies: Bodies
  readonly send: Send
  readonly url: URL
  readonly call: Call | undefined
}

/** One request, which is sent twice at most: once more where the clock of the server, or a signer, asks for it. */
class Errand {
  readonly #init: RequestInit
  /** What else a Request says. */
  readonly #request: Request | undefined
  readonly #given: Given
  readonly #at: Surroundings
  readonly #host: string
  readonly #signal: AbortSignal | null
  readonly #call: Call
  #requestSent: RequestSent = 'no'

  constructor({ input, init }: GivenRequest, at: Surroundings) {
    this.#init = init
    this.#request = input instanceof Request ? input : undefined
    this.#given = givenOf({ input, init }, at.url)
    this.#at = at
    this.#host = at.url.host
    this.#signal = init.signal ?? this.#request?.signal ?? null
    this.#call = at.call ?? { startedAt: undefined, moved: 0, hops: 0, hasLeftOrigin: false }
  }

  async run(): Promise<Response> {
    const { bound, url, clocks, emit, runtime } = this.#at
    const headers = headersOf(this.#given.pairs)
    const active = bound.filter(({ signer }) => this.#isWanted(signer, headers))
    const signers = active.map(({ signer }) => signer)
    // Before anything is waited for: what the caller still holds could change meanwhile.
    const body = await this.#fixed(bodyNeeds(signers, headers.has('content-digest')))
    const unsigned = draftOf(this.#given, body, await this.#at.defaults(url))
    requireTrueDigest(unsigned.request, this.#host)
    for (let isAgain = false; ; isAgain = true) {
      const offset = clocks.of(url.origin)
      const draft = await this.#sign(active, unsigned)
      const askedAt = runtime.clock.monotonic()
      const response = await this.#send(draft, signers, body)
      clocks.learn(url.origin, response.headers, runtime.clock.monotonic() - askedAt)
      this.#requestSent = 'yes'
      const reason = await this.#whyAgain(response, { active, request: draft.request, offset })
      if (reason === undefined || isAgain) return response
      if (body.oneShot !== undefined) {
        const message = `${reason}; ${body.oneShot} can be read only once, so the request was not sent again`
        emit({ type: 'sign.notRetried', host: this.#host, message })
        return response
      }
      await discard(response)
      emit({ type: 'sign.retried', host: this.#host, message: reason })
    }
  }

  /** Once for all the attempts of a call: their body is the same, and so is its digest. */
  async #fixed(needs: BodyNeeds): Promise<FixedBody> {
    const { call, bodies, runtime } = this.#at
    const source = this.#init.body ?? this.#request?.body ?? undefined
    // What comes with a call was copied before, unless it never changes.
    const key = call === undefined ? undefined : typeof source === 'object' ? source : call
    const known = key && bodies.get(key)
    if (known !== undefined && known.source === source && (known.readsIt || !needs.readsIt)) return known.body
    const given = { input: this.#request ?? this.#at.url, init: this.#init }
    const { random } = runtime
    const body = await this.#inTime('the body', (signal) => fixBody(given, { needs, host: this.#host, random, signal }))
    if (key !== undefined) bodies.set(key, { source, body, readsIt: needs.readsIt })
    return body
  }

  /** @throws SignError `ERR_SIGN_LABEL_CONFLICT` */
  #isWanted(signer: RequestSigner, headers: Headers): boolean {
    const given = headers.get('signature-input')
    if (given !== null && signer.label !== undefined) {
      const labels = parseDictionary(given)
      requireOwnLabel(signer.label, labels && new Set(labels.keys()), this.#host)
    }
    const own = signer.headers.filter((name) => !SHARED.has(name) && headers.has(name))
    if (own.length > 0) this.#at.emit({ type: 'sign.overridden', host: this.#host, signer: signer.name, headers: own })
    return own.length === 0
  }

  async #sign(active: readonly Bound[], unsigned: Draft): Promise<Draft> {
    let draft = unsigned
    for (const { signer, binding } of active) {
      const { request } = draft
      const patch = await this.#inTime(signer.name, (signal) => binding.sign(request, { signal }))
      draft = patchedDraft(draft, signer, patch)
    }
    this.#signal?.throwIfAborted() // a signal that fired while something signed
    return draft
  }

  async #send({ request, pairs }: Draft, signers: readonly RequestSigner[], body: FixedBody): Promise<Response> {
    const call = this.#call
    const url = new URL(request.url)
    const hasMoved = `${url.href}${this.#at.url.hash}` !== this.#at.url.href
    const input = hasMoved && this.#request !== undefined ? new Request(url, this.#request) : this.#request
    const headers = pairs.map(([name, value]) => [name, value] as [string, string])
    const sent = body.sent === undefined ? {} : { body: body.sent }
    if (signers.length > 0) call.atDispatch = dispatchCheck(request, coverage(request, signers, pairs), this.#host)
    try {
      return await this.#at.send(input ?? url.href, { ...this.#init, headers, ...sent }, url, call)
    } finally {
      call.atDispatch = undefined // a redirect may lead to an origin where nothing is signed
    }
  }

  /** A server that refuses for time says what time it is (RFC 9110 §6.6.1): what was signed in another time is signed again. */
  async #whyAgain(
    response: Response,
    { active, request, offset }: { active: readonly Bound[]; request: SignableRequest; offset: number },
  ): Promise<string | undefined> {
    const { url, clocks, emit } = this.#at
    const { status, headers } = response
    let reason: string | undefined
    for (const { signer, binding } of active) {
      try {
        if (binding.onResponse?.({ status, headers }, request) !== 'retry') continue
        reason = `${signer.name} asks for another signature`
      } catch (error) {
        await discard(response)
        throw this.#failure(signer.name, error)
      }
    }
    if (active.length === 0 || !REFUSALS.has(status)) return reason
    const refused = clocks.refused(url.origin)
    if (refused !== undefined) {
      const message = `${this.#host}: its clock is ${refused} ms ahead of this machine's, which is too much to be followed`
      emit({ type: 'sign.notRetried', host: this.#host, message })
    }
    const moved = clocks.of(url.origin) - offset
    return Math.abs(moved) < TOLERANCE_MS ? reason : `its clock is ${moved} ms ahead of the time that was signed`
  }

  /** @throws what was thrown, where it is ours; the reason of the caller's signal; SignError for the rest. */
  async #inTime<T>(who: string, run: (signal: AbortSignal) => Promise<T> | T): Promise<T> {
    const control = new AbortController()
    try {
      const running = run(control.signal)
      return running instanceof Promise ? await this.#waited(who, running, control) : running
    } catch (error) {
      throw this.#failure(who, error)
    }
  }

  async #waited<T>(who: string, running: Promise<T>, control: AbortController): Promise<T> {
    const { runtime, timeouts, limits } = this.#at
    this.#call.startedAt ??= runtime.clock.monotonic()
    const spentMs = runtime.clock.monotonic() - this.#call.startedAt
    const creditMs = (this.#call.moved / limits.minBytesPerSecond) * 1_000
    const leftMs = Math.max(0, timeouts.totalMs + creditMs - spentMs)
    const letGo = keepProcessAlive()
    const cancel = runtime.schedule(leftMs, () => control.abort(this.#tooSlow(who)))
    const stop = (): void => control.abort(this.#signal?.reason)
    if (this.#signal?.aborted === true) stop()
    this.#signal?.addEventListener('abort', stop, { once: true })
    try {
      return await raceSignal(running, control.signal)
    } finally {
      this.#signal?.removeEventListener('abort', stop)
      cancel()
      letGo()
    }
  }

  #tooSlow(who: string): TransportError {
    const message = `${this.#host}: not over after ${this.#at.timeouts.totalMs} ms, while ${who} was to be signed or signing (timeouts.totalMs)`
    return new TransportError('ERR_TRANSPORT_TIMEOUT', message, { host: this.#host })
  }

  #failure(who: string, error: unknown): unknown {
    if (this.#signal?.aborted === true && error === this.#signal.reason) return error
    const requestSent = this.#requestSent
    if (error instanceof PinfetchError)
      return error.requestSent === requestSent ? error : copyOf(error, { requestSent })
    const message = `${this.#host}: the signer ${who} failed`
    return new SignError('ERR_SIGN_SIGNER_UNAVAILABLE', message, { host: this.#host, requestSent, cause: scrub(error) })
  }
}

/** By RFC 9421 a signature names what it covers; of others nobody knows, so all that the caller and they gave counts. */
function coverage(
  request: SignableRequest,
  signers: readonly RequestSigner[],
  pairs: Draft['pairs'],
): (name: string) => boolean {
  const named = signers.every(({ label }) => label !== undefined) ? coveredFields(request) : undefined
  const covered = named ?? new Set(pairs.map(([name]) => name.toLowerCase()))
  return (name) => covered.has(name) || JOINED.has(name)
}

/** @throws SignError `ERR_SIGN_DIGEST_CONFLICT` for a Content-Digest of the caller that is not that of the bytes. */
function requireTrueDigest({ fields, body }: SignableRequest, host: string): void {
  const given = fields.find(([name]) => name === 'content-digest')
  if (given === undefined || body.kind === 'stream') return
  const read = readDigest(given[1])
  const digest = body.kind === 'bytes' ? body.digest : (name: string) => createHash(name).digest()
  if (read.kind === 'digests' && digestsMatch(read.digests, digest)) return
  const problem = read.kind === 'digests' ? 'is not that of the body' : 'has no sha-256 or sha-512 that can be read'
  const message = `${host}: the Content-Digest that the caller gave ${problem}; nothing was sent`
  throw new SignError('ERR_SIGN_DIGEST_CONFLICT', message, { host })
}

function requireDistinct(signers: readonly RequestSigner[]): void {
  const claimed = new Map<string, RequestSigner>()
  for (const signer of signers) {
    const signs = signer.headers.some((name) => JOINED.has(name))
    const labelled = signs ? [`label ${signer.label ?? ''}`] : []
    for (const claim of [...labelled, ...signer.headers.filter((name) => !SHARED.has(name))]) {
      const rival = claimed.get(claim)
      claimed.set(claim, signer)
      if (rival === undefined) continue
      const message = `sign: ${rival.name} and ${signer.name} both want the ${claim}; expected one signer for each`
      if (claim.startsWith('label')) throw new SignError('ERR_SIGN_LABEL_CONFLICT', message)
      throw new ConfigurationError('ERR_CONFIG_INVALID', message)
    }
  }
}

/** With these a server refuses a request for its time: AWS answers 403, others 401 or 400. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403])

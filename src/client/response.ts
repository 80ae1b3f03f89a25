import { inNextTurn } from '../ports/turn.ts'
import type { Bytes } from './body.ts'
import { lateStream, type StreamSource, streamProper } from './late-stream.ts'

/** A name in lower case and a value; a field that comes several times is several lines. */
export type FieldLine = readonly [name: string, value: string]

export interface ResponseHead {
  /** As requested, with or without fragment. */
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: readonly FieldLine[]
}

/** A body that costs no stream where all of it is read at once. */
export interface ReceivedBody extends StreamSource {
  /** All of it, in place of the stream; `undefined` once that is too late. */
  readonly whole: () => Promise<Bytes> | undefined
}

/**
 * A Response as fetch makes them and the constructor cannot: with a URL, of type `basic`, any status, headers that nobody may
 * change. The runtime's own class does the rest: reading, cloning, `bodyUsed`, `formData()`.
 *
 * @param headers Those of `head` as an object, where there is one already.
 */
export function receivedResponse(
  body: ReceivedBody | ReadableStream<Uint8Array> | null,
  head: ResponseHead,
  headers?: Headers,
): Response {
  return new ReceivedResponse(body, head, headers) as unknown as Response
}

/** What a response says of itself that came after a redirect. */
export function markRedirected(response: Response): void {
  if (response instanceof ReceivedResponse) ReceivedResponse.markRedirected(response)
  else Object.defineProperty(response, 'redirected', { value: true, configurable: true }) // of another fetch, a test's stand-in
}

export interface Abandonable {
  /** Somebody began to read. */
  readonly isBegun: () => boolean
  /** Ends the stream with the error, unless all of it is there: who kept the body alone must not take it for an empty one. */
  readonly abandon: (reason: Error) => void
}

/** A response that nobody holds any longer, and whose body nobody began to read, gives its connection back. */
export function endWhenAbandoned(response: Response, body: Abandonable): void {
  if (fresh.push([response, body]) === 1) inNextTurn(watchFresh)
}

/** Most bodies are begun at once: to watch those as well would keep each of them until its memory is old, and cost a fifth. */
function watchFresh(): void {
  for (const [response, body] of fresh.splice(0)) if (!body.isBegun()) abandoned.register(response, body)
}

const fresh: [Response, Abandonable][] = []
const abandoned = new FinalizationRegistry<Abandonable>((body) => {
  if (body.isBegun()) return
  const cause = new Error('nobody held the response any longer, nor began to read its body')
  body.abandon(new TypeError('terminated', { cause }))
})

/** The runtime's classes as they are: accessors and methods of a prototype, which their typings describe as properties. */
const RuntimeResponse = Response as unknown as new (
  body: ReadableStream<Uint8Array> | null,
  init: { readonly status: number } | undefined,
) => { clone(): Response }
const RuntimeHeaders = Headers as unknown as new (lines: readonly FieldLine[]) => object

class ReceivedResponse extends RuntimeResponse {
  readonly #head: ResponseHead
  readonly #received: ReceivedBody | undefined
  #headers: Headers | undefined
  #isRedirected = false

  constructor(
    body: ReceivedBody | ReadableStream<Uint8Array> | null,
    head: ResponseHead,
    headers: Headers | undefined,
  ) {
    const received = body !== null && 'whole' in body ? body : undefined
    const stream = received === undefined ? (body as ReadableStream<Uint8Array> | null) : lateStream(received)
    super(stream, head.status === 200 ? undefined : { status: Math.min(head.status, HIGHEST_STATUS) })
    // Of the headers, `blob()` and `formData()` of the runtime's class look at this one; the others wait until they are asked for.
    for (const [name, value] of head.headers) if (name === 'content-type') headersMadeFor(this).append(name, value)
    this.#received = received
    this.#head = head
    this.#headers = headers
  }

  static markRedirected(response: ReceivedResponse): void {
    response.#isRedirected = true
  }

  /** All of the body; `undefined` where it has to be, or was, read in another way. */
  static whole(response: unknown): Promise<Bytes> | undefined {
    const isOurs = typeof response === 'object' && response !== null && #received in response
    return isOurs ? response.#received?.whole() : undefined
  }

  get type(): string {
    return 'basic'
  }
  get redirected(): boolean {
    return this.#isRedirected
  }
  get url(): string {
    return this.#head.url.split('#', 1)[0] ?? ''
  }
  get status(): number {
    return #head in this ? this.#head.status : Reflect.get(Response.prototype, 'status', this) // its constructor asks
  }
  get statusText(): string {
    return this.#head.statusText
  }
  get headers(): Headers {
    this.#headers ??= new ReceivedHeaders(this.#head.headers) as unknown as Headers
    return this.#headers
  }
  get body(): ReadableStream<Uint8Array> | null {
    const stream: ReadableStream<Uint8Array> | null = Reflect.get(Response.prototype, 'body', this)
    return stream && streamProper(stream)
  }
  override clone(): Response {
    const copied = super.clone()
    const copy = new ReceivedResponse(copied.body, this.#head, undefined)
    copies.set(copy, copied)
    copy.#isRedirected = this.#isRedirected
    return copy as unknown as Response
  }
}

/** Those of the runtime's class, behind ours. */
const headersMadeFor = (response: object): Headers => Reflect.get(Response.prototype, 'headers', response)

/** What the runtime copied lives as long as ours: it cancels the body of a response that is collected. */
const copies = new WeakMap<object, object>()

/** What a whole body is read as, the way the runtime does it. */
const READERS: Readonly<Record<string, (bytes: Bytes) => unknown>> = {
  arrayBuffer: ({ buffer }) => buffer,
  bytes: (bytes) => bytes,
  text: (bytes) => UTF8.decode(bytes),
  json: (bytes) => JSON.parse(UTF8.decode(bytes)),
}

/** Reads without a stream where the method that stands in for is the runtime's own; one that somebody put there is called. */
function readWhole(): void {
  for (const [name, read] of Object.entries(READERS)) {
    const own = Object.getOwnPropertyDescriptor(Response.prototype, name)
    if (!String(own?.value).includes('consumeBody(')) continue // none in this runtime, or patched before
    const method = {
      [name](this: unknown, ...given: unknown[]): unknown {
        const current = Reflect.get(Response.prototype, name)
        const whole = current === own?.value ? ReceivedResponse.whole(this) : undefined
        return whole?.then(read) ?? Reflect.apply(current, this, given)
      },
    }
    Object.defineProperty(ReceivedResponse.prototype, name, { ...own, value: method[name] })
  }
}

/** As if their guard were "immutable" (WHATWG Fetch §5.1): wrong arguments are refused as such, then any. */
class ReceivedHeaders extends RuntimeHeaders {
  append(...given: [string, string]): void {
    new Headers().append(...given)
    throw new TypeError('immutable')
  }
  set(...given: [string, string]): void {
    new Headers().set(...given)
    throw new TypeError('immutable')
  }
  delete(...given: [string]): void {
    new Headers().delete(...given)
    throw new TypeError('immutable')
  }
}

/** What a caller sees of a class is what the runtime's own shows: its name, and members that `for … in` finds. */
function disguise(own: { readonly prototype: object }, as: object): void {
  for (const name of Object.getOwnPropertyNames(own.prototype)) {
    if (name !== 'constructor') Object.defineProperty(own.prototype, name, { enumerable: true })
  }
  Object.defineProperty(own.prototype, 'constructor', { value: as })
}

const UTF8 = new TextDecoder()
const HIGHEST_STATUS = 599 // that the constructor takes; a server may send more, none of it `ok`

readWhole()
disguise(ReceivedResponse, Response)
disguise(ReceivedHeaders, Headers)

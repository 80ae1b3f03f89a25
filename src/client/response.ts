import * as threads from 'node:worker_threads'
import { inNextTurn } from '../ports/turn.ts'
import { type Bytes, isBegun } from './body.ts'

/** A name in lower case and a value; a field that comes several times is several lines. */
export type FieldLine = readonly [name: string, value: string]

export interface ResponseHead {
  /** As requested, with or without fragment. */
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: readonly FieldLine[]
}

export interface ReceivedBody {
  /** Made when it is asked for. */
  readonly stream: ReadableStream<Uint8Array>
  readonly isBegun?: boolean
  /** All of it, where nobody asked for the stream. */
  readonly whole?: () => Promise<Bytes>
}

/**
 * A Response as fetch makes them and the constructor cannot: with a URL, of type `basic`, any status, headers that nobody may
 * change. One of the runtime's own class does the rest, from when it is needed: streaming, cloning, `blob()`, `formData()`.
 *
 * @param headers Those of `head` as an object, where there is one already.
 */
export function receivedResponse(body: ReceivedBody | null, head: ResponseHead, headers?: Headers): Response {
  return new ReceivedResponse(body, head, headers) as unknown as Response
}

/** What a response says of itself that came after a redirect. */
export function markRedirected(response: Response): void {
  if (response instanceof ReceivedResponse) ReceivedResponse.markRedirected(response)
  else Object.defineProperty(response, 'redirected', { value: true, configurable: true }) // of another fetch, a test's stand-in
}

export interface Abandonable extends ReceivedBody {
  /** Ends the stream with the error, unless all of it is there: who kept the body alone must not take it for an empty one. */
  readonly abandon: (reason: Error) => void
}

/** A response that nobody holds any longer, and whose body nobody began to read, gives its connection back. */
export function endWhenAbandoned(response: Response, body: Abandonable): void {
  if (fresh.push([response, body]) === 1) inNextTurn(watchFresh)
}

/** Most bodies are begun at once: to watch those as well would keep each of them until its memory is old, and cost a fifth. */
function watchFresh(): void {
  for (const [response, body] of fresh.splice(0)) if (!hasBegun(body)) abandoned.register(response, body)
}

const hasBegun = (body: ReceivedBody): boolean => body.isBegun ?? isBegun(body.stream)

const fresh: [Response, Abandonable][] = []
const abandoned = new FinalizationRegistry<Abandonable>((body) => {
  if (hasBegun(body)) return
  const cause = new Error('nobody held the response any longer, nor began to read its body')
  body.abandon(new TypeError('terminated', { cause }))
})

/** The runtime's classes as they are: accessors and methods of a prototype, which their typings describe as properties. */
const RuntimeResponse = Response as unknown as new (
  body: ReadableStream<Uint8Array> | string | null,
  init: { readonly status: number; readonly headers: readonly FieldLine[] },
) => Response
const RuntimeHeaders = Headers as unknown as new (lines: readonly FieldLine[]) => object

/** An instance of the runtime's class, which its constructor never saw: a member that is not replaced below would refuse it. */
function Unmade(): void {}
Unmade.prototype = Response.prototype
const UnmadeResponse = Unmade as unknown as new () => object

class ReceivedResponse extends UnmadeResponse {
  readonly #head: ResponseHead
  readonly #body: ReceivedBody | null
  #headers: Headers | undefined
  #isRedirected = false
  #isRead = false
  #real: Response | undefined

  constructor(body: ReceivedBody | null, head: ResponseHead, headers: Headers | undefined) {
    super()
    this.#body = body
    this.#head = head
    this.#headers = headers
    markAsUncloneable(this)
  }

  static is(value: unknown): value is ReceivedResponse {
    return typeof value === 'object' && value !== null && #head in value
  }

  static markRedirected(response: ReceivedResponse): void {
    response.#isRedirected = true
  }

  /** One that the runtime made, with the same body. */
  static real(response: ReceivedResponse): Response {
    response.#real ??= response.#make()
    return response.#real
  }

  /** Reads all of the body; `undefined` where it has to be, or was, read in another way. */
  static whole(response: ReceivedResponse): Promise<Bytes> | undefined {
    if (response.#real !== undefined || response.#isRead) return undefined
    const whole = response.#body?.whole?.()
    response.#isRead = whole !== undefined
    return whole
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
    return #head in this ? this.#head.status : Reflect.get(Response.prototype, 'status', this)
  }
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299
  }
  get statusText(): string {
    return this.#head.statusText
  }
  get headers(): Headers {
    this.#headers ??= new ReceivedHeaders(this.#head.headers) as unknown as Headers
    return this.#headers
  }
  get bodyUsed(): boolean {
    return this.#isRead || this.#real?.bodyUsed === true
  }
  clone(): Response {
    const { body } = ReceivedResponse.real(this).clone()
    const copy = receivedResponse(body && { stream: body }, this.#head)
    if (this.#isRedirected) markRedirected(copy)
    return copy
  }

  #make(): Response {
    const { status, headers } = this.#head
    const body = this.#isRead ? '' : (this.#body?.stream ?? null)
    // `blob()` and `formData()` look at this one field; the others wait until they are asked for.
    const real = new RuntimeResponse(body, {
      status: Math.min(status, HIGHEST_STATUS),
      headers: headers.filter(isContentType),
    })
    if (this.#isRead) void real.arrayBuffer()
    return real
  }
}

/** What a whole body is read as, the way the runtime does it. */
const READERS: ReadonlyMap<string, (bytes: Bytes) => unknown> = new Map<string, (bytes: Bytes) => unknown>([
  ['arrayBuffer', ({ buffer }) => buffer],
  ['bytes', (bytes) => bytes],
  ['text', (bytes) => UTF8.decode(bytes)],
  ['json', (bytes) => JSON.parse(UTF8.decode(bytes))],
])

/** All other members that the runtime's class has, of this version and of those to come. */
function inherit(): void {
  for (const [name, { get, value, ...shape }] of Object.entries(Object.getOwnPropertyDescriptors(Response.prototype))) {
    if (Object.hasOwn(ReceivedResponse.prototype, name)) continue
    const read = READERS.get(name)
    const own = get
      ? {
          get(this: object): unknown {
            return get.call(ReceivedResponse.is(this) ? ReceivedResponse.real(this) : this)
          },
        }
      : {
          value(this: object, ...given: unknown[]): unknown {
            if (!ReceivedResponse.is(this)) return value.apply(this, given)
            const whole = read && ReceivedResponse.whole(this)
            return whole?.then(read) ?? value.apply(ReceivedResponse.real(this), given)
          },
        }
    Object.defineProperty(ReceivedResponse.prototype, name, { ...shape, ...own })
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

function isContentType([name]: FieldLine): boolean {
  return name === 'content-type'
}

/** What a caller sees of a class is what the runtime's own shows: its name, and members that `for … in` finds. */
function disguise(own: { readonly prototype: object }, as: object): void {
  for (const name of Object.getOwnPropertyNames(own.prototype)) {
    if (name !== 'constructor') Object.defineProperty(own.prototype, name, { enumerable: true })
  }
  Object.defineProperty(own.prototype, 'constructor', { value: as })
}

/** As the runtime's constructor does, where there is such a thing: Node 22.10 and later. */
const { markAsUncloneable = (): void => undefined } = threads as {
  readonly markAsUncloneable?: (value: object) => void
}
const UTF8 = new TextDecoder()
const HIGHEST_STATUS = 599 // that the constructor takes; a server may send more, none of it `ok`

inherit()
disguise(ReceivedResponse, Response)
disguise(ReceivedHeaders, Headers)

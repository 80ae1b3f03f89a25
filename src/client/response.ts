import { Readable } from 'node:stream'

/** A name in lower case and a value; a field that comes several times is several lines. */
export type FieldLine = readonly [name: string, value: string]

export interface ResponseHead {
  /** As requested, with or without fragment. */
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: readonly FieldLine[]
}

/**
 * A Response as fetch makes them and the constructor cannot: with a URL, of type `basic`, any status, headers that nobody may
 * change. The runtime's own class does the rest: reading, cloning, `bodyUsed`, `formData()`.
 *
 * @param headers Those of `head` as an object, where there is one already.
 */
export function receivedResponse(
  body: ReadableStream<Uint8Array> | null,
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
  readonly stream: ReadableStream<Uint8Array>
  /** Ends the stream with the error, unless all of it is there: who kept the body alone must not take it for an empty one. */
  readonly abandon: (reason: Error) => void
}

/** A response that nobody holds any longer, and whose body nobody began to read, gives its connection back. */
export function endWhenAbandoned(response: Response, body: Abandonable): void {
  abandoned.register(response, body)
}

const abandoned = new FinalizationRegistry<Abandonable>((body) => {
  if (body.stream.locked || Readable.isDisturbed(body.stream as unknown as Readable)) return
  const cause = new Error('nobody held the response any longer, nor began to read its body')
  body.abandon(new TypeError('terminated', { cause }))
})

/** The runtime's classes as they are: accessors and methods of a prototype, which their typings describe as properties. */
const RuntimeResponse = Response as unknown as new (
  body: ReadableStream<Uint8Array> | null,
  init: { readonly status: number; readonly headers: readonly FieldLine[] },
) => { clone(): Response }
const RuntimeHeaders = Headers as unknown as new (lines: readonly FieldLine[]) => object

class ReceivedResponse extends RuntimeResponse {
  readonly #head: ResponseHead
  #headers: Headers | undefined
  #isRedirected = false

  constructor(body: ReadableStream<Uint8Array> | null, head: ResponseHead, headers: Headers | undefined) {
    // Of the headers, `blob()` and `formData()` of the runtime's class look at this one; the others wait until they are asked for.
    super(body, { status: Math.min(head.status, HIGHEST_STATUS), headers: head.headers.filter(isContentType) })
    this.#head = head
    this.#headers = headers
  }

  static markRedirected(response: ReceivedResponse): void {
    response.#isRedirected = true
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
    return #head in this ? this.#head.status : Reflect.get(RuntimeResponse.prototype, 'status', this) // its constructor asks
  }
  get statusText(): string {
    return this.#head.statusText
  }
  get headers(): Headers {
    this.#headers ??= new ReceivedHeaders(this.#head.headers) as unknown as Headers
    return this.#headers
  }
  override clone(): Response {
    const copy = receivedResponse(super.clone().body, this.#head)
    if (this.#isRedirected) markRedirected(copy)
    return copy
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

const HIGHEST_STATUS = 599 // that the constructor takes; a server may send more, none of it `ok`

disguise(ReceivedResponse, Response)
disguise(ReceivedHeaders, Headers)

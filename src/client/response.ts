export interface ResponseHead {
  /** As requested, with or without fragment. */
  readonly url: string
  readonly status: number
  readonly statusText: string
  /** Names in lower case; a field that came several times is a list. Or the Headers of another response. */
  readonly headers: FieldLines | Headers
}

type FieldLines = Readonly<Record<string, string | readonly string[]>>

/**
 * A Response as fetch makes them and the constructor cannot: with a URL, of type `basic`, any status, headers that nobody may
 * change. The runtime's own class does the rest: reading, cloning, `bodyUsed`, `formData()`.
 */
export function receivedResponse(body: ReadableStream<Uint8Array> | null, head: ResponseHead): Response {
  return new ReceivedResponse(body, head) as unknown as Response
}

/** A response that nobody holds any longer, and whose body nobody began to read, gives its connection back. */
export function cancelWhenAbandoned(response: Response, body: ReadableStream): void {
  abandoned.register(response, new WeakRef(body))
}

const abandoned = new FinalizationRegistry<WeakRef<ReadableStream>>((held) => {
  const body = held.deref()
  if (body?.locked === false) body.cancel('the response was not read').catch(() => undefined)
})

/** The runtime's classes as they are: accessors and methods of a prototype, which their typings describe as properties. */
const RuntimeResponse = Response as unknown as new (
  body: ReadableStream<Uint8Array> | null,
  init: { readonly headers?: Readonly<Record<string, string>> },
) => { clone(): Response }
const RuntimeHeaders = Headers as unknown as new (pairs: readonly (readonly [string, string])[]) => object

class ReceivedResponse extends RuntimeResponse {
  readonly #head: ResponseHead
  #headers: Headers | undefined

  constructor(body: ReadableStream<Uint8Array> | null, head: ResponseHead) {
    const type = head.headers instanceof Headers ? head.headers.get('content-type') : head.headers['content-type']
    // Of the headers, `blob()` and `formData()` of the runtime's class look at this one; the others wait until they are asked for.
    super(body, type === undefined || type === null ? NO_HEADERS : { headers: { 'content-type': String(type) } })
    this.#head = head
  }

  get type(): string {
    return 'basic'
  }
  get url(): string {
    return this.#head.url.split('#', 1)[0] ?? ''
  }
  get status(): number {
    return #head in this ? this.#head.status : 200 // the runtime's constructor asks already
  }
  get statusText(): string {
    return this.#head.statusText
  }
  get ok(): boolean {
    return this.#head.status >= 200 && this.#head.status <= 299
  }
  get headers(): Headers {
    const { headers } = this.#head
    this.#headers ??= headers instanceof Headers ? headers : receivedHeaders(headers)
    return this.#headers
  }
  override clone(): Response {
    return receivedResponse(super.clone().body, this.#head)
  }
}

function receivedHeaders(lines: FieldLines): Headers {
  const pairs: [string, string][] = []
  for (const name in lines) {
    const value = lines[name]
    if (typeof value === 'string') pairs.push([name, value])
    else for (const one of value ?? []) pairs.push([name, one])
  }
  return new ReceivedHeaders(pairs) as unknown as Headers
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

const NO_HEADERS = {}
disguise(ReceivedResponse, Response)
disguise(ReceivedHeaders, Headers)

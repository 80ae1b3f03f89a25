import * as z from 'zod'
import { parseStrictJson } from '../../encoding/json.ts'
import { parseOptions } from '../../encoding/options.ts'
import { readWhole } from '../../ports/read-whole.ts'
import { type Outlet, Undeliverable, Undelivered } from './delivery.ts'
import { asJson, Format, type RecordFormat, writerOf, written } from './format.ts'
import { type OtlpResource, otlpLogRecord, otlpLogs } from './otlp.ts'
import {
  CollectorUrl,
  carry,
  checkRoad,
  Fetch,
  hostOf,
  type OutletOptions,
  OutletShape,
  type Watched,
  whole,
} from './outlet.ts'
import type { ToldEvent } from './record.ts'

/** A collector that takes records by POST. */
export interface HttpOutletOptions extends OutletOptions {
  /** Where batches are POSTed to; https. */
  readonly url: string
  /** Of a client with a policy of its own, and with the credential that the collector wants. */
  readonly fetch: typeof globalThis.fetch
  /** Default `ocsf`. `otlp`: a request of OTLP/HTTP in JSON, for a `url` that ends with `/v1/logs`. */
  readonly format?: RecordFormat
  /** Default `lines`, `application/x-ndjson`. `array`: one JSON array, for formats that are JSON. Not for `otlp`. */
  readonly body?: 'lines' | 'array'
  /** For `otlp` alone: attributes of the resource. Default: the host, the process, and a `service.name` that says it is unknown. */
  readonly resource?: OtlpResource
}

/**
 * Up to 100 records a request, one request at a time. 408, 429 and 5xx are tried again, under `otlp` 429, 502, 503 and 504 alone;
 * what is refused otherwise is lost, and counted.
 *
 * @throws ConfigurationError
 */
export function toHttp(client: Watched, options: HttpOutletOptions): Outlet {
  const { url, fetch, format = 'ocsf', body, resource, ...rest } = parseOptions('toHttp', Options, options)
  checkRoad('toHttp', client, fetch)
  const write = format === 'otlp' ? asJson(otlpLogRecord) : writerOf(format)
  const bodyKind = format === 'otlp' ? 'otlp' : (body ?? 'lines')
  return carry<ToldEvent, string>(client, rest, {
    name: `http ${new URL(url).origin}`,
    host: hostOf(url),
    select: whole,
    gathers: true,
    batchSize: 100,
    prepare: async (told) => {
      const lines = await written(write, told)
      if (lines === undefined) return undefined
      if (bodyKind === 'otlp') return otlpLogs(lines, resource)
      return bodyKind === 'array' ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`
    },
    deliver: (text, signal, taken) => {
      const type = bodyKind === 'lines' ? 'application/x-ndjson' : 'application/json'
      const posted = { body: text, headers: { 'content-type': type }, signal }
      return bodyKind === 'otlp' ? postOtlp(fetch, url, { posted, taken }) : post(fetch, url, posted)
    },
  })
}

interface Posted {
  readonly body: string
  readonly headers: Record<string, string>
  readonly signal: AbortSignal
}

/** @throws Undeliverable for a status that another attempt would not mend. */
export async function post(fetch: typeof globalThis.fetch, url: string, posted: Posted): Promise<void> {
  const isTransient = (status: number): boolean => status === 408 || status === 429 || status >= 500
  ignore(await accepted(fetch, url, { posted, isTransient }))
}

/**
 * A collector that takes the request may say of how many records it will not take, ever.
 *
 * @see OTLP, "OTLP/HTTP Response": partial success, and what may be tried again
 * @throws Undeliverable
 */
async function postOtlp(
  fetch: typeof globalThis.fetch,
  url: string,
  { posted, taken }: { readonly posted: Posted; readonly taken: () => void },
): Promise<void> {
  const isTransient = (status: number): boolean => [429, 502, 503, 504].includes(status)
  const { body } = await accepted(fetch, url, { posted, isTransient })
  taken()
  const bytes = await readWhole(body, MAX_ANSWER_BYTES, posted.signal)
  const json = bytes && parseStrictJson(bytes)
  const answer = PartialSuccess.safeParse(json?.ok ? json.value : undefined)
  const rejected = answer.success ? answer.data.partialSuccess.rejectedLogRecords : 0
  if (rejected > 0) throw new Undeliverable(`${new URL(url).host} refused ${rejected} of the records`, rejected)
}

async function accepted(
  fetch: typeof globalThis.fetch,
  url: string,
  { posted, isTransient }: { readonly posted: Posted; readonly isTransient: (status: number) => boolean },
): Promise<Response> {
  const response = await fetch(url, { ...posted, method: 'POST', redirect: 'error' })
  if (response.ok) return response
  ignore(response)
  const message = `${new URL(url).host} answered ${response.status}`
  throw isTransient(response.status) ? new Undelivered(message) : new Undeliverable(message)
}

/** Whatever it says, nobody reads it, nor waits for its end. */
const ignore = ({ body }: Response): void => void body?.cancel().catch(() => undefined)

const MAX_ANSWER_BYTES = 65_536

/** 64-bit integers are text in the JSON of protocol buffers. */
const PartialSuccess = z.object({
  partialSuccess: z.object({
    rejectedLogRecords: z.union([
      z.int(),
      z
        .string()
        .regex(/^\d{1,15}$/)
        .transform(Number),
    ]),
  }),
})

const Options = z
  .strictObject({
    ...OutletShape,
    url: CollectorUrl,
    fetch: Fetch,
    format: Format.optional(),
    body: z.enum(['lines', 'array']).optional(),
    resource: z.record(z.string().min(1).max(200), z.string().max(500)).optional(),
  })
  .refine(({ format, body }) => format !== 'otlp' || body === undefined, {
    path: ['body'],
    message: 'expected none: `otlp` has a form of its own',
  })
  .refine(({ format, resource }) => format === 'otlp' || resource === undefined, {
    path: ['resource'],
    message: 'expected none: it is for `otlp` alone',
  })

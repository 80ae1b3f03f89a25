import Anthropic, { toFile } from '@anthropic-ai/sdk'
import { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { HttpRequest } from '@smithy/protocol-http'
import { createClient as createSupabase } from '@supabase/supabase-js'
import { GraphQLClient } from 'graphql-request'
import ky from 'ky'
import { Octokit } from 'octokit'
import { createFetch } from 'ofetch'
import OpenAI from 'openai'
import createOpenapi from 'openapi-fetch'
import Stripe from 'stripe'
import { answer, type ClientCase, piecesOf, streamed } from './case.ts'

/** SDKs that take a fetch. */
export const FETCH_CLIENTS: readonly ClientCase[] = [
  {
    name: 'openai',
    through: 'client.fetch',
    answer: (request, response) => {
      if (!Buffer.from(request.body).includes('"stream":true')) {
        answer(request, response)
        return
      }
      const event = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
      streamed(response, [event('one '), event('two '), event('three'), 'data: [DONE]\n\n'], 'text/event-stream')
    },
    open: ({ fetch }, origin) => {
      const openai = new OpenAI({ apiKey: 'key', baseURL: `${origin}/v1`, fetch, maxRetries: 0 })
      return {
        request: () => openai.models.retrieve('x'),
        stream: async () => {
          const messages = [{ role: 'user', content: 'x' }] as const
          const parts = await openai.chat.completions.create({ model: 'x', messages: [...messages], stream: true })
          const pieces: string[] = []
          for await (const { choices } of parts) pieces.push(choices[0]?.delta.content ?? '')
          return pieces
        },
        upload: (bytes) => openai.files.create({ file: new File([bytes], 'a.jsonl'), purpose: 'batch' }),
        abort: (signal) => openai.models.retrieve('hang', { signal }),
      }
    },
  },
  {
    name: '@anthropic-ai/sdk',
    through: 'client.fetch',
    answer: (request, response) => {
      if (!Buffer.from(request.body).includes('"stream":true')) {
        answer(request, response)
        return
      }
      const event = (text: string): string =>
        `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })}\n\n`
      streamed(response, [event('one '), event('two '), event('three')], 'text/event-stream')
    },
    open: ({ fetch }, origin) => {
      const anthropic = new Anthropic({ apiKey: 'key', baseURL: origin, fetch, maxRetries: 0 })
      return {
        request: () => anthropic.models.retrieve('x'),
        stream: async () => {
          const messages = [{ role: 'user', content: 'x' }] as const
          const parts = await anthropic.messages.create({
            model: 'x',
            max_tokens: 9,
            messages: [...messages],
            stream: true,
          })
          const pieces: string[] = []
          for await (const part of parts)
            if (part.type === 'content_block_delta' && part.delta.type === 'text_delta') pieces.push(part.delta.text)
          return pieces
        },
        upload: async (bytes) => anthropic.beta.files.upload({ file: await toFile(bytes, 'a.bin') }),
        abort: (signal) => anthropic.models.retrieve('hang', undefined, { signal }),
      }
    },
  },
  {
    name: 'octokit',
    through: 'client.fetch',
    open: ({ fetch }, baseUrl) => {
      const octokit = new Octokit({
        baseUrl,
        request: { fetch },
        retry: { enabled: false },
        throttle: { enabled: false },
        log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      })
      return {
        request: async () => (await octokit.request('GET /x')).data,
        stream: async () => {
          const { data } = await octokit.request('GET /stream', { request: { parseSuccessResponseBody: false } })
          return piecesOf(data)
        },
        upload: async (data) => {
          const headers = { 'content-type': 'application/octet-stream' }
          return (await octokit.request('POST /x', { data, headers })).data
        },
        abort: (signal) => octokit.request('GET /hang', { request: { signal } }),
      }
    },
  },
  {
    name: 'ky',
    through: 'client.fetch',
    open: ({ fetch }, prefixUrl) => {
      const api = ky.create({ prefixUrl, fetch, retry: 0 })
      return {
        request: () => api.get('x').json(),
        stream: async () => piecesOf((await api.get('stream')).body as ReadableStream<Uint8Array>),
        upload: (body) => api.post('x', { body }).json(),
        abort: (signal) => api.get('hang', { signal }).json(),
      }
    },
  },
  {
    name: 'ofetch',
    through: 'client.fetch',
    open: ({ fetch }, baseURL) => {
      const api = createFetch({ fetch, Headers, AbortController, defaults: { baseURL, retry: false } })
      return {
        request: () => api('/x'),
        stream: async () =>
          piecesOf(await api<ReadableStream<Uint8Array>, 'stream'>('/stream', { responseType: 'stream' })),
        upload: (body) => api('/x', { method: 'POST', body }),
        abort: (signal) => api('/hang', { signal }),
      }
    },
  },
  {
    name: '@supabase/supabase-js',
    through: 'client.fetch',
    lacks: { stream: 'its own answers are read whole' },
    open: ({ fetch }, origin) => {
      const supabase = createSupabase(origin, 'key', {
        global: { fetch },
        auth: { persistSession: false, autoRefreshToken: false },
      })
      return {
        request: async () => thrown(await supabase.from('x').select()),
        upload: async (bytes) => {
          const { data, error } = await supabase.storage.from('x').upload('x', bytes)
          if (error !== null) throw error
          return data
        },
        abort: async (signal) => thrown(await supabase.from('hang').select().abortSignal(signal)),
      }
    },
    hides: 'an answer without data has the message of the error, and not the error',
  },
  {
    name: 'graphql-request',
    through: 'client.fetch',
    lacks: { stream: 'an answer is one JSON text' },
    answer: ({ path }, response) => {
      if (path.includes('hang')) return
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data: { ok: 'ok' } }))
    },
    open: ({ fetch }, origin) => {
      const api = new GraphQLClient(`${origin}/graphql`, { fetch })
      return {
        request: () => api.request('{ ok }'),
        upload: (bytes) =>
          api.request('query($text: String) { bytes(text: $text) }', { text: Buffer.from(bytes).toString('base64') }),
        abort: (signal) => new GraphQLClient(`${origin}/hang`, { fetch }).request({ document: '{ ok }', signal }),
      }
    },
  },
  {
    name: 'openapi-fetch',
    through: 'client.fetch',
    open: ({ fetch }, baseUrl) => {
      type Any = Record<string, Record<string, Record<string, never>>>
      const api = createOpenapi<Any>({ baseUrl, fetch }) as unknown as {
        readonly GET: (path: string, init?: object) => Promise<{ readonly data: unknown }>
        readonly POST: (path: string, init?: object) => Promise<{ readonly data: unknown }>
      }
      return {
        request: async () => (await api.GET('/x')).data,
        stream: async () => {
          const { data } = await api.GET('/stream', { parseAs: 'stream' })
          return piecesOf(data as ReadableStream<Uint8Array>)
        },
        upload: async (body) => (await api.POST('/x', { body, bodySerializer: (bytes: unknown) => bytes })).data,
        abort: (signal) => api.GET('/hang', { signal }),
      }
    },
  },
  {
    name: 'stripe',
    through: 'client.fetch',
    lacks: {
      abort: 'it takes no signal',
      stream: 'its answers are read whole',
      upload: 'files go to a host of Stripe’s own that no option changes',
    },
    open: ({ fetch }, origin) => {
      const { hostname, port } = new URL(origin)
      const httpClient = Stripe.createFetchHttpClient(fetch)
      const stripe = new Stripe('sk_test_x', { httpClient, host: hostname, port, maxNetworkRetries: 0 })
      return { request: () => stripe.customers.retrieve('x') }
    },
  },
  {
    name: '@smithy/fetch-http-handler',
    through: 'client.dispatcher',
    open: ({ dispatcher }, origin) => {
      const { hostname, port, protocol } = new URL(origin)
      const handler = new FetchHttpHandler({ requestInit: () => ({ dispatcher }) as unknown as RequestInit })
      const send = async (path: string, more: object = {}, options = {}) => {
        const request = new HttpRequest({ protocol, hostname, port: Number(port), path, method: 'GET', ...more })
        const { response } = await handler.handle(request, options)
        return response.body as ReadableStream<Uint8Array>
      }
      const json = async (body: ReadableStream<Uint8Array>): Promise<unknown> => new Response(body).json()
      return {
        request: async () => json(await send('/x')),
        stream: async () => piecesOf(await send('/stream')),
        upload: async (body) => json(await send('/x', { method: 'POST', body })),
        abort: (abortSignal) => send('/hang', {}, { abortSignal }),
      }
    },
  },
]

function thrown({ data, error }: { readonly data: unknown; readonly error: Error | null }): unknown {
  if (error !== null) throw error
  return data
}

const ignore = (): void => undefined

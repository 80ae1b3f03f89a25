import { request as httpsRequest } from 'node:https'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { HttpRequest } from '@smithy/protocol-http'
import axios from 'axios'
import got from 'got'
import fetchOfNodeFetch from 'node-fetch'
import { type ClientCase, piecesOf } from './case.ts'

/** Clients that are built on node:https. */
export const AGENT_CLIENTS: readonly ClientCase[] = [
  {
    name: 'node:https',
    through: 'client.agent',
    open: ({ agent }, origin) => {
      const send = (path: string, options: object = {}, body?: Uint8Array): Promise<AsyncIterable<Uint8Array>> =>
        new Promise((resolve, reject) => {
          httpsRequest(`${origin}${path}`, { agent, ...options }, resolve)
            .once('error', reject)
            .end(body)
        })
      const json = async (body: AsyncIterable<Uint8Array>): Promise<unknown> =>
        JSON.parse((await piecesOf(body)).join(''))
      return {
        request: async () => json(await send('/x')),
        stream: async () => piecesOf(await send('/stream')),
        upload: async (bytes) => json(await send('/x', { method: 'POST' }, bytes)),
        abort: (signal) => send('/hang', { signal }),
      }
    },
  },
  {
    name: 'axios',
    through: 'client.agent',
    open: ({ agent: httpsAgent }, baseURL) => {
      const api = axios.create({ baseURL, httpsAgent, proxy: false })
      return {
        request: async () => (await api.get('/x')).data,
        stream: async () => piecesOf((await api.get('/stream', { responseType: 'stream' })).data),
        upload: async (bytes) => (await api.post('/x', Buffer.from(bytes))).data,
        abort: (signal) => api.get('/hang', { signal }),
      }
    },
  },
  {
    name: 'got',
    through: 'client.agent',
    open: ({ agent }, prefixUrl) => {
      const api = got.extend({ prefixUrl, agent: { https: agent }, retry: { limit: 0 } })
      return {
        request: () => api.get('x').json(),
        stream: () => piecesOf(api.stream('stream')),
        upload: (bytes) => api.post('x', { body: Buffer.from(bytes) }).json(),
        abort: (signal) => api.get('hang', { signal }),
      }
    },
  },
  {
    name: 'node-fetch',
    through: 'client.agent',
    open: ({ agent }, origin) => {
      const send = (path: string, init: object = {}) => fetchOfNodeFetch(`${origin}${path}`, { agent, ...init })
      return {
        request: async () => (await send('/x')).json(),
        stream: async () => piecesOf((await send('/stream')).body as AsyncIterable<Buffer>),
        upload: async (bytes) => (await send('/x', { method: 'POST', body: Buffer.from(bytes) })).json(),
        abort: (signal) => send('/hang', { signal }),
      }
    },
  },
  {
    name: '@smithy/node-http-handler',
    through: 'client.agent',
    open: ({ agent: httpsAgent }, origin) => {
      const { hostname, port, protocol } = new URL(origin)
      const handler = new NodeHttpHandler({ httpsAgent })
      const send = async (path: string, more: object = {}, options = {}) => {
        const request = new HttpRequest({ protocol, hostname, port: Number(port), path, method: 'GET', ...more })
        const { response } = await handler.handle(request, options)
        return response.body as AsyncIterable<Uint8Array>
      }
      const json = async (body: AsyncIterable<Uint8Array>): Promise<unknown> =>
        JSON.parse((await piecesOf(body)).join(''))
      return {
        request: async () => json(await send('/x')),
        stream: async () => piecesOf(await send('/stream')),
        upload: async (bytes) => {
          const headers = { 'content-length': String(bytes.length) }
          return json(await send('/x', { method: 'POST', body: Buffer.from(bytes), headers }))
        },
        abort: (abortSignal) => send('/hang', {}, { abortSignal }),
      }
    },
  },
]

import type { ServerResponse } from 'node:http'
import type { TestRequest } from 'pinfetch/testing'
import { type Case, type Routes, seen, type World } from './roads.ts'

/** Redirects to the same origin, which both follow. */
export function redirectCases(routes: Routes): readonly Case[] {
  return [
    ...CODES.flatMap((status) => REQUESTS.map(([what, init]) => follows(`${status} after ${what}`, { status, init }))),
    ...CODES.map((status) => follows(`${status} after a Request`, { status, request: () => ({ method: 'GET' }) })),
    ...CODES.map((status) =>
      follows(`${status} after a DELETE Request with a signal`, {
        status,
        request: () => ({ method: 'DELETE', headers: HEADERS, signal: new AbortController().signal }),
      }),
    ),
    ...[301, 302, 303].map((status) =>
      follows(`${status} after bytes`, { status, init: () => ({ method: 'POST', body: Buffer.from('bytes') }) }),
    ),
    ...[301, 302, 303].map((status) =>
      follows(`${status} after a Request with a body`, { status, request: () => ({ method: 'POST', body: 'x' }) }),
    ),
    ...LOCATIONS.map(([what, location]) => follows(`Location ${what}`, { location })),
    ...[301, 308].map((status) => follows(`${status} without Location`, { status, location: undefined })),
    follows('Location without scheme', { location: (port) => `//localhost:${port}/target` }),
    follows('Location in full', { location: (port) => `HTTPS://LOCALHOST:${port}/target` }),
    follows('304 with Location', { status: 304 }),
    follows('300 with Location', { status: 300 }),
    follows('a long chain', { location: '/chain?4' }),
    follows('a fragment in the URL', { path: '#part' }),
    follows('a fragment in both', { path: '#part', location: '/target#other' }),
    follows('manual', { init: () => ({ redirect: 'manual' }) }),
    follows('a redirect with a long body', { body: Buffer.alloc(100_000, 'x') }),
    {
      name: 'a clone of what came after a redirect',
      run: async (world) => seen((await begin(world, routes, 'clone', {})).clone()),
    },
    {
      name: 'the body of what came after a redirect',
      run: async (world) => seen(await begin(world, routes, 'json', {}), (response) => response.arrayBuffer()),
    },
  ]

  function follows(name: string, how: How): Case {
    return { name, run: async (world) => seen(await begin(world, routes, name, how)) }
  }
}

/** Where ours is meant to differ while it follows. */
export function differingRedirects(routes: Routes): readonly Case[] {
  const differs = (name: string, reason: string, ours: string | number, how: How): Case => ({
    name,
    run: async (world) => {
      const response = await begin(world, routes, name, how).catch((error: Error & { cause?: Error }) => error)
      return response instanceof Response ? response.status : (Reflect.get(response, 'code') ?? 'network error')
    },
    wanted: { reason, ours: { value: ours } },
  })
  const [limit, plaintext] = ['ERR_POLICY_REDIRECT_LIMIT', 'ERR_POLICY_PLAINTEXT']
  const [refused, once] = ['ERR_POLICY_REDIRECT', 'ERR_POLICY_REDIRECT_BODY']
  return [
    differs('more than five hops', 'five are enough for an API', limit, { location: '/chain?6' }),
    differs('a loop', 'the same bound ends it', limit, { location: '/loop' }),
    differs('to another port', 'it is another origin', refused, { location: 'https://localhost:1/' }),
    differs('Location that cannot be read', 'the code is ours', refused, { location: 'https://[' }),
    differs('Location with a user name', 'a server chooses no credential', refused, {
      location: (port) => `https://u:p@localhost:${port}/target`,
    }),
    differs('to http', 'nothing is sent in the clear', plaintext, { location: 'http://localhost:1/' }),
    differs('to data:', 'it would be the server that answers for another', plaintext, { location: 'data:,x' }),
    differs('Location twice', 'two parsers go two ways', refused, { location: ['/target', '/target'] }),
    differs('a Request with a body', 'it is read once, and not kept in memory', once, {
      status: 307,
      request: () => ({ method: 'POST', body: 'x' }),
    }),
    differs('a stream after 302', 'a GET needs no body', 200, {
      status: 302,
      init: () => ({ method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' }) as RequestInit,
    }),
  ]
}

interface How {
  readonly status?: number
  readonly location?: string | string[] | ((port: string) => string) | undefined
  readonly init?: () => RequestInit
  readonly request?: () => RequestInit
  /** Behind the route. */
  readonly path?: string
  readonly body?: Buffer
}

function begin(world: World, routes: Routes, name: string, how: How): Promise<Response> {
  const { status = 302, init, request, path = '', body } = how
  const given = 'location' in how ? how.location : '/target?a=1'
  const location = typeof given === 'function' ? given(new URL(world.at('')).port) : given
  const route = `/redirect/${encodeURIComponent(name)}`
  routes.http.set(route, (received, response) => {
    if (received.path.includes('?')) return answer(received, response)
    if (location !== undefined) response.setHeader('location', location)
    response.writeHead(status).end(status === 304 ? undefined : (body ?? 'moved'))
  })
  routes.http.set('/target', answer)
  routes.http.set('/redirect/target', answer)
  routes.http.set('/chain', (received, response) => {
    const left = Number(received.path.split('?')[1])
    response.writeHead(307, { location: left === 1 ? '/target' : `/chain?${left - 1}` }).end()
  })
  routes.http.set('/loop', (_, response) => response.writeHead(307, { location: '/loop' }).end())
  const url = world.at(route) + path
  return request === undefined ? world.fetch(url, init?.()) : world.fetch(new Request(url, request()))
}

const answer = (_: TestRequest, response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1}')
}

const CODES = [301, 302, 303, 307, 308]
const HEADERS = { authorization: 'Bearer x', 'x-api-key': 'k', accept: 'a/b', 'content-language': 'en', 'x-own': '1' }
const form = (): FormData => {
  const form = new FormData()
  form.append('a "b"\n', '1\r2\n')
  form.append('file', new File(['bytes'], 'n"a\nme.txt', { type: 'text/plain' }))
  form.append('blob', new Blob(['more']))
  return form
}
const REQUESTS: readonly (readonly [string, () => RequestInit])[] = [
  ['GET', () => ({ headers: HEADERS })],
  ['HEAD', () => ({ method: 'HEAD' })],
  ['DELETE without body', () => ({ method: 'DELETE', headers: HEADERS })],
  ['POST without body', () => ({ method: 'POST' })],
  ['POST of text', () => ({ method: 'POST', body: 'text', headers: HEADERS })],
  ['post of text', () => ({ method: 'post', body: 'text' })],

  ['POST of parameters', () => ({ method: 'POST', body: new URLSearchParams({ a: '1 2' }) })],
  ['POST of a Blob', () => ({ method: 'POST', body: new Blob(['x'], { type: 'a/b' }) })],
  ['PUT of an empty text', () => ({ method: 'PUT', body: '' })],
  ['PUT of a form', () => ({ method: 'PUT', body: form() })],
]
const LOCATIONS: readonly (readonly [string, string])[] = [
  ['relative', 'target'],
  ['above', '../target?x'],
  ['a query alone', '?only=query'],
  ['in Latin letters', '/target?q=%C3%A9'],
  ['with a fragment', '/target#part'],
  ['with a space', '/target?a b'],
  ['with UTF-8', Buffer.from('/target?é').toString('latin1')],
]

import { type AuthHost, type OAuthScheme, oauth } from '../../src/auth/index.ts'
import { createAuthorization } from '../../src/client/authorize.ts'
import type { Send } from '../../src/client/send.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { median, rounded, seededRandom, shuffled } from './statistics.ts'

/**
 * What a token that is there adds to a request, in microseconds: the same sender with and without credentials, no network under
 * either, in rounds that take turns. And what 10,000 tenants with a token each keep in memory.
 *
 * @returns The median of the rounds' medians, with the interval that holds 95 % of them resampled.
 */
export async function measureAuth(rounds: number): Promise<unknown> {
  const response = new Response(null, { status: 200 })
  const send: Send = async () => response
  const { scheme, host } = setting()
  const { authorized, close } = createAuthorization({ schemes: [scheme], withoutAuth: [], host })
  const senders = { without: send, with: authorized(send) } as const
  const times = { without: [] as number[], with: [] as number[] }
  const random = seededRandom(rounds)
  for (let round = -WARM_UP; round < rounds; round += 1) {
    for (const name of shuffled(['without', 'with'] as const, random)) {
      const us = await perRequest(senders[name])
      if (round >= 0) times[name].push(us)
    }
  }
  await close(new AbortController().signal)
  const added = times.with.map((us, round) => us - (times.without[round] ?? Number.NaN))
  const tenants = await perTenant()
  return {
    'added by a cached token': { us: rounded(median(added), 2), interval: intervalOf(added), rounds },
    '10,000 tenants': { ...tenants, maxMb: MAX_MB, held: tenants.heapMb <= MAX_MB },
  }
}

/** The p50 of requests one after the other, timed by the hundred, since one is too short for the clock. */
async function perRequest(send: Send): Promise<number> {
  const url = new URL(`${API}/orders?limit=10`)
  const init: RequestInit = { headers: { accept: 'application/json' } }
  const times: number[] = []
  for (let i = 0; i < 50; i += 1) {
    const start = performance.now()
    for (let request = 0; request < 100; request += 1) await send(url.href, init, url)
    times.push((performance.now() - start) * 10)
  }
  return median(times)
}

async function perTenant(): Promise<{ readonly heapMb: number; readonly kibEach: number }> {
  const { scheme, host } = setting({ tenant: ({ headers }) => headers.get('x-tenant') ?? undefined })
  const { authorized, close } = createAuthorization({ schemes: [scheme], withoutAuth: [], host })
  const response = new Response(null, { status: 200 })
  const send = authorized(async () => response)
  const url = new URL(`${API}/`)
  const ask = (tenant: string): Promise<Response> => send(url.href, { headers: { 'x-tenant': tenant } }, url)
  await ask('warm')
  const before = await settledHeap()
  for (let tenant = 0; tenant < TENANTS; tenant += 1) await ask(`tenant-${tenant}`)
  const heapMb = ((await settledHeap()) - before) / 2 ** 20
  if (scheme.tokens.status().length < TENANTS) throw new Error('some tenants have no token')
  await close(AbortSignal.abort())
  return { heapMb: rounded(heapMb, 1), kibEach: rounded((heapMb * 1_024) / TENANTS, 2) }
}

/** A scheme whose server answers at once, with tokens as long as real ones. */
function setting(options: { readonly tenant?: Parameters<typeof oauth>[0]['tenant'] } = {}): {
  readonly scheme: OAuthScheme
  readonly host: AuthHost
} {
  const headers = { 'content-type': 'application/json' }
  let issued = 0
  const fetch = async (): Promise<Response> => {
    issued += 1
    const access_token = `${issued}`.padStart(800, 'a')
    return new Response(JSON.stringify({ access_token, token_type: 'Bearer', expires_in: 86_400 }), { headers })
  }
  const scheme = oauth({
    issuer: ISSUER,
    metadata: { token_endpoint: `${ISSUER}/token` },
    client: { id: 'bench', authentication: { method: 'none' } },
    grant: { type: 'client_credentials' },
    maxTenants: 2 * TENANTS,
    allowedOrigins: [API],
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
  })
  return { scheme, host: { fetch, runtime: systemRuntime, emit: () => undefined } }
}

/** What was collected is cleaned up after in turns of their own. */
async function settledHeap(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 5; i += 1) {
    gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

/** By bootstrap, seeded: one run prints one answer. */
function intervalOf(values: readonly number[]): readonly [number, number] {
  const random = seededRandom(values.length)
  const medians = Array.from({ length: 2_000 }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b)
  const at = (share: number): number => rounded(medians[Math.floor(share * (medians.length - 1))] ?? Number.NaN, 2)
  return [at(0.025), at(0.975)]
}

const [API, ISSUER] = ['https://api.example.com', 'https://login.example.com']
const TENANTS = 10_000
const MAX_MB = 50
const WARM_UP = 5

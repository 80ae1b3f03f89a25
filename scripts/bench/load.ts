import { performance } from 'node:perf_hooks'
import { Agent, request } from 'undici'
import { type Contender, createAgentContenders, createContenders, createHttp2Contenders } from './contenders.ts'
import type { Served, Tally } from './server.ts'
import { bounded, median, pairedRatio, rounded, roundedRatio, seededRandom, shuffled } from './statistics.ts'

/**
 * Requests as a service makes them: over connections that are there, and over new ones. Every round runs all contenders in an
 * order of its own: what the machine does hits all of them, and nobody always inherits the garbage of the same predecessor.
 *
 * In the reports `ms` is the round's median (or mean, where requests overlap), the middle of all rounds. Ratios pair the rounds.
 */
export function loadScenarios(served: Served, rounds: number, quick: boolean): Record<string, () => Promise<unknown>> {
  const reused = (run: Load, bound: Bound) => () => compare(createContenders(served, served.port), run, rounds, [bound])
  const fresh = (kind: 'full' | 'resumed', run: Load, bound: Bound) => async () => {
    const before = await tallyOf(served)
    const contenders = createContenders(served, kind === 'full' ? served.fullPort : served.port)
    const report = await compare(contenders, run, rounds, [bound])
    return { ...report, [`share of ${kind} handshakes`]: shares(kind, before, await tallyOf(served)) }
  }
  const overHttp2 = (run: Load) => async () =>
    compare(createHttp2Contenders(served), run, rounds, [
      { against: 'undici.request', time: { max: 1.05 } },
      { against: 'undici.fetch', time: { max: 1.05 } }, // like with like: both hand out a Response
      { of: 'pinfetch, request()', against: 'undici.request', time: { max: 1.05 } }, // and here a stream
    ])
  const overAgent = (run: Load) => async () =>
    compare(createAgentContenders(served, served.port), run, rounds, [
      { of: 'pinfetch, node:https', against: 'node:https', time: { max: 1.05 } },
      { of: 'pinfetch, axios', against: 'axios', time: { max: 1.05 } },
    ])
  const one = sequential('/close', quick ? 10 : 30)
  const many = concurrent('/close', 16, quick ? 64 : 160)
  return {
    'keep-alive': reused(sequential('/', quick ? 100 : 300), { against: 'global fetch', time: { max: 0.9 } }),
    concurrent: reused(concurrent('/', 64, quick ? 512 : 2_048), { against: 'global fetch', throughput: { min: 1.6 } }),
    h2: overHttp2(sequential('/', quick ? 100 : 300)),
    'h2, 64': overHttp2(concurrent('/', 64, quick ? 512 : 2_048)),
    agent: overAgent(sequential('/', quick ? 100 : 300)),
    'agent, 64': overAgent(concurrent('/', 64, quick ? 512 : 2_048)),
    connection: fresh('full', one, { against: 'undici.request', time: { max: 0.95 } }),
    'connection, 16': fresh('full', many, { against: 'undici.request', time: { max: 0.95 } }),
    resumed: fresh('resumed', one, { against: 'undici.request', time: { max: 0.9 } }),
    'resumed, 16': fresh('resumed', many, { against: 'undici.request', time: { max: 0.9 } }),
  }
}

/** Milliseconds per request. */
type Load = (contender: Contender) => Promise<number>

type Bound = {
  /** Default: the client's fetch. */
  readonly of?: string
  readonly against: string
} & ({ readonly time: { readonly max: number } } | { readonly throughput: { readonly min: number } })

async function compare(contenders: readonly Contender[], run: Load, rounds: number, bounds: readonly Bound[]) {
  const figures = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (const contender of contenders) await run(contender) // warm
  const random = seededRandom(contenders.length)
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of shuffled(contenders, random)) figures.get(contender.name)?.push(await run(contender))
  }
  for (const { close } of contenders) await close()
  const of = (name: string): readonly number[] => figures.get(name) ?? []
  const ours = of('pinfetch')
  const report = [...figures].map(([name, values]) => {
    const ms = rounded(median(values), 4)
    const requestsPerSecond = Math.round(1_000 / ms)
    return [name, { ms, requestsPerSecond, pinfetchRatio: roundedRatio(pairedRatio(ours, values)) }] as const
  })
  const judged = bounds.map((bound) => {
    const [own, theirs] = [of(bound.of ?? 'pinfetch'), of(bound.against)]
    const whose = bound.of === undefined ? '' : ` of ${bound.of}`
    return 'time' in bound
      ? [`time${whose} / ${bound.against}`, bounded(pairedRatio(own, theirs), bound.time)]
      : [`throughput${whose} / ${bound.against}`, bounded(pairedRatio(theirs, own), bound.throughput)]
  })
  return { ...Object.fromEntries(report), bounds: Object.fromEntries(judged) }
}

/** p50 of one request after the other. */
function sequential(path: string, count: number): Load {
  return async ({ name, get }) => {
    const times: number[] = []
    for (let i = 0; i < count; i += 1) {
      const start = performance.now()
      await get(`${path}?${encodeURIComponent(name)}`)
      times.push(performance.now() - start)
    }
    return median(times)
  }
}

/** Wall time per request with `lanes` of them in flight. */
function concurrent(path: string, lanes: number, count: number): Load {
  return async ({ name, get }) => {
    const start = performance.now()
    let left = count
    const lane = async (): Promise<void> => {
      while (left-- > 0) await get(`${path}?${encodeURIComponent(name)}`)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return (performance.now() - start) / count
  }
}

async function tallyOf({ port, ca }: Served): Promise<Tally> {
  const dispatcher = new Agent({ connect: { ca } })
  const { body } = await request(`https://localhost:${port}/tally`, { dispatcher })
  const tally = (await body.json()) as Tally
  await dispatcher.close()
  return tally
}

/** What the server saw, not what a client believes: the share of the contender's connections that began in this way. */
function shares(kind: 'full' | 'resumed', before: Tally, after: Tally): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([who, { full, resumed }]) => {
      const made = { full: full - (before[who]?.full ?? 0), resumed: resumed - (before[who]?.resumed ?? 0) }
      return [decodeURIComponent(who), rounded(made[kind] / (made.full + made.resumed), 3)]
    }),
  )
}

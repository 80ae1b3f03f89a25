import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { bounded, median, pairedRatio, rounded, seededRandom, shuffled } from './statistics.ts'

/**
 * What 1,000 origins with one live TLS connection each keep in memory, each contender in a process of its own: resident set
 * and heap after collection, less what they were after the first request to an origin that is not counted. All names resolve to
 * one server, whose certificate names them by a wildcard. The bound is against an Agent that shares one SecureContext, the
 * leanest way to write it; with `ca`, as its documentation has it, undici makes a context for every connection.
 */
export async function measureMemory(rounds: number): Promise<unknown> {
  const figures = new Map<string, Figures[]>(MEMORY_CONTENDERS.map((name) => [name, []]))
  const random = seededRandom(rounds)
  for (let round = 0; round < rounds; round += 1) {
    for (const name of shuffled(MEMORY_CONTENDERS, random)) figures.get(name)?.push(inProcess(name))
  }
  const of = (name: MemoryContender, key: keyof Figures): readonly number[] =>
    (figures.get(name) ?? []).map((one) => one[key])
  const report = MEMORY_CONTENDERS.map((name) => {
    return [name, { rssMb: rounded(median(of(name, 'rssMb')), 1), heapMb: rounded(median(of(name, 'heapMb')), 1) }]
  })
  const against = 'undici Agent, shared context'
  const bound = (key: keyof Figures) => bounded(pairedRatio(of('pinfetch', key), of(against, key)), { max: MAX_RATIO })
  const bounds = { [`rss / ${against}`]: bound('rssMb'), [`heap / ${against}`]: bound('heapMb') }
  return { ...Object.fromEntries(report), bounds }
}

interface Figures {
  readonly rssMb: number
  /** JavaScript objects and array buffers. */
  readonly heapMb: number
}

function inProcess(name: MemoryContender): Figures {
  const program = join(import.meta.dirname, 'origins.ts')
  const args = ['--import', 'tsx', '--expose-gc', program, name]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  try {
    return JSON.parse(stdout) as Figures
  } catch {
    throw new Error(`the memory of ${name} was not measured: ${stderr}`)
  }
}

export type MemoryContender = (typeof MEMORY_CONTENDERS)[number]

const MEMORY_CONTENDERS = ['pinfetch', 'undici Agent, shared context', 'undici Agent, ca'] as const
const MAX_RATIO = 1.25

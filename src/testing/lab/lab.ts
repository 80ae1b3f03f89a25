import { ConfigurationError } from '../../errors/errors.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Attack } from './attack.ts'
import { ATTACKS } from './attacks/index.ts'
import { type Contender, type ContenderName, contenderOf } from './contenders.ts'
import { PACKAGES, pathOf } from './programs.ts'
import { judge, type LabReport, type LabResult, notRun } from './report.ts'
import { createWorld, type World } from './world.ts'

/**
 * Attacks clients as a man in the middle, a thief of keys or a hostile host would, with real servers on this machine, and tells
 * who withstood what. Everything listens on loopback, every name leads there, and nothing is sent anywhere else.
 *
 * @example
 * const lab = createLab({ client: new URL('./my-client.js', import.meta.url) })
 * const report = await lab.run({ contenders: ['pinfetch', 'yours'] })
 * await lab.close()
 */
export function createLab(options: LabOptions = {}): Lab {
  const { client } = options
  const world = createWorld()
  const closing = new AbortController()
  const running = new Set<Promise<LabReport>>()

  const start = async (given: LabRun): Promise<LabReport> => {
    const { contenders: names = client === undefined ? BASELINES : [...BASELINES, 'yours'], onResult, signal } = given
    const attacks = attacksOf(given.attacks)
    if (names.includes('yours') && client === undefined)
      throw invalid('`contenders` names yours, and `client` is missing')
    const contenders = names.map((name) => contenderOf(name, client === undefined ? undefined : String(client)))
    const isOver = (): boolean => closing.signal.aborted || signal?.aborted === true
    const begun = systemRuntime.clock.monotonic()
    const results = await inParallel(
      attacks.flatMap((attack) => contenders.map((contender) => ({ attack, contender }))),
      async ({ attack, contender }) => {
        const result = isOver()
          ? notRun(attack, contender.name, 'the run was ended')
          : await runOne(attack, contender, world)
        onResult?.(result)
        return result
      },
    )
    return {
      node: process.versions.node,
      contenders: names,
      attacks: attacks.map(({ id, group, title }) => ({
        id,
        group,
        title,
        results: results.filter((one) => one.attack === id),
      })),
      durationMs: Math.round(systemRuntime.clock.monotonic() - begun),
    }
  }

  const run = (given: LabRun = {}): Promise<LabReport> => {
    const report = start(given)
    running.add(report)
    const end = (): boolean => running.delete(report)
    report.then(end, end)
    return report
  }
  const close = async (): Promise<void> => {
    closing.abort()
    await Promise.allSettled(running)
    await world.close()
  }
  return { attacks: ATTACKS.map(described), run, close, [Symbol.asyncDispose]: close }
}

/** Who else is attacked. */
export interface LabOptions {
  /**
   * A module of your own: its export `createClient`, or its default one, gets a `Given` (anchors, pins, a client certificate) and
   * answers with `{ fetch, close? }`. It runs in a process of its own, as the contender `yours`.
   */
  readonly client?: URL
}

/** What is run. */
export interface LabRun {
  /** Ids. Default all. */
  readonly attacks?: readonly string[]
  /** Default `pinfetch`, Node’s own `fetch`, `undici`, and `yours` where there is a `client`. */
  readonly contenders?: readonly ContenderName[]
  /** Begins no other attack; those that are under way end. */
  readonly signal?: AbortSignal
  readonly onResult?: (result: LabResult) => void
}

/** The attack lab, before a run. */
export interface Lab extends AsyncDisposable {
  readonly attacks: readonly AttackDescription[]
  /** @throws ConfigurationError `ERR_CONFIG_INVALID` for an attack that does not exist. */
  readonly run: (options?: LabRun) => Promise<LabReport>
  /** Begins no other attack, waits for those that are under way, and ends the programs that they shared. */
  readonly close: () => Promise<void>
}

/** An attack as `pinfetch lab --list` shows it. */
export type AttackDescription = Omit<Attack, 'run'>

async function runOne(attack: Attack, contender: Contender, world: World): Promise<LabResult> {
  const missing = attack.needs?.find((program) => pathOf(program) === undefined)
  if (missing !== undefined)
    return notRun(attack, contender.name, `not installed: apt-get install ${PACKAGES[missing]}`, missing)
  try {
    return judge(attack, contender.name, await attack.run(contender, world))
  } catch (error) {
    return notRun(attack, contender.name, error instanceof Error ? error.message : String(error))
  }
}

/** A few at a time: most of it is waiting, and the rest is one core's. In the order of what was to be done. */
async function inParallel<Job, Result>(jobs: readonly Job[], work: (job: Job) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < jobs.length; at = next++) results[at] = await work(jobs[at] as Job)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return results
}

function attacksOf(ids: readonly string[] | undefined): readonly Attack[] {
  if (ids === undefined) return ATTACKS
  const unknown = ids.filter((id) => !ATTACKS.some((attack) => attack.id === id))
  if (unknown.length > 0)
    throw invalid(`attacks: ${unknown.join(', ')} is unknown; there are ${ATTACKS.map(({ id }) => id).join(', ')}`)
  return ATTACKS.filter(({ id }) => ids.includes(id))
}

const described = ({ run: _, ...attack }: Attack): AttackDescription => attack
const invalid = (message: string): ConfigurationError => new ConfigurationError('ERR_CONFIG_INVALID', message)

const BASELINES: readonly ContenderName[] = ['pinfetch', 'fetch', 'undici']
const AT_A_TIME = 4

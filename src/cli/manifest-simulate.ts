import { refusal } from '../manifest/refusal.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { entryName } from '../publisher/diff.ts'
import { type Allowance, type SimulatedTransparency, simulate } from '../publisher/simulate.ts'
import { deadlineData, deadlineRows } from './deadlines.ts'
import type { Io, Paint } from './io.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'

export interface SimulateOptions {
  readonly directory: string
  readonly at?: string
  readonly may?: readonly Allowance[]
}

/** What clients would do at an instant with what is published, if nobody signed anything until then. */
export async function simulateAt(options: SimulateOptions, io: Io, paint: Paint): Promise<Outcome> {
  const { directory, may = [] } = options
  const now = io.now()
  const at = instantOf(options.at, now)
  const { root, status, manifest } = await readRepository(directory, toUnixMs(now))
  if (status === undefined || manifest === undefined || manifest.version !== status.payload.manifest.version) {
    throw refusal('ERR_MANIFEST_UNAVAILABLE', { document: 'manifest' }, 'nothing is published that clients could have')
  }
  const { state, coldStart, hosts, transparency } = simulate({ root, status, manifest, at: toUnixMs(at), may })
  const until = deadlinesOf(root, status, manifest)
  return {
    data: {
      at: dateOf(at),
      state,
      coldStart,
      hosts: hosts.map((one) => ({ ...one, port: one.port ?? null, note: one.note ?? null })),
      deadlines: deadlineData(until),
      ...(transparency === undefined ? {} : { transparency: { ...transparency, until: dateOf(transparency.until) } }),
    },
    text: [
      ...table([
        ['at', `${dateOf(at)}  ${fromNow(at, now)}`],
        ['running clients', state],
        ['clients that start', coldStart],
        ...deadlineRows(until, now),
        ...(transparency === undefined ? [] : [transparencyRow(transparency, now)]),
      ]),
      ...table(
        hosts.map((one) => [
          entryName({ host: one.host, ...(one.port === undefined ? {} : { port: one.port }) }),
          one.decision === 'refused' ? paint.red(one.decision) : one.decision,
          `${one.activePins.length} active`,
          one.note ?? '',
        ]),
      ),
    ],
    next: `pinfetch manifest heartbeat --dir ${shownPath(directory)} --to <folder>   # moves the first of the two deadlines`,
  }
}

function transparencyRow({ policy, logList, until }: SimulatedTransparency, now: number): readonly string[] {
  const said = logList === 'stale' ? 'not judged: the log list is too old, since' : `${policy}, by a log list until`
  return ['transparency', policy === 'off' ? 'off' : `${said} ${dateOf(until)}  ${fromNow(until, now)}`]
}

/** `2027-01-31`, `2027-01-31T12:00:00Z`, `+7d`, `+36h`, `+90m`. @throws UsageError */
export function instantOf(text: string | undefined, now: number): number {
  if (text === undefined) return now
  const [, count, unit = ''] = /^\+?(\d{1,5})\s*(d|h|m)$/.exec(text) ?? []
  const size = { d: 86_400_000, h: 3_600_000, m: 60_000 }[unit]
  if (count !== undefined && size !== undefined) return now + Number(count) * size
  const ms = /^\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  throw new UsageError(
    `--at ${JSON.stringify(text)}: not a time`,
    'Write 2027-01-31, 2027-01-31T12:00:00Z, or 7d, 36h, 90m from now.',
  )
}

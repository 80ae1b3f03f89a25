import { toUnixMs } from '../ports/runtime.ts'
import { LOG_LIST_MAX_AGE_MS, LOG_LIST_OLD_MS, logsOf, readLogList, readLogListKey } from '../publisher/log-list.ts'
import { diffCt } from '../publisher/log-list-diff.ts'
import { CHROME_LOG_LIST_KEY } from '../publisher/log-list-key.ts'
import type { CtInput } from '../publisher/wire.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import type { Places } from './manifest.ts'
import { contentIn } from './next-documents.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { counted, dateOf, fromNow, shownPath, table } from './text.ts'
import { readWorkingList, workingListPath, writeWorkingList } from './working-list.ts'

export interface ImportOptions extends Places {
  readonly signature: string
  readonly key?: string
  readonly policy?: 'report' | 'enforce'
}

/** Puts a signed list of logs into the next manifest: what clients judge certificates by. */
export async function importLogList(path: string, options: ImportOptions, io: Io): Promise<Outcome> {
  const { directory } = options
  const now = io.now()
  const [bytes, signature] = [await readBytes(path), await readBytes(options.signature)]
  const key = readLogListKey(options.key === undefined ? CHROME_LOG_LIST_KEY : await readBytes(options.key))
  const [list, published] = [await readWorkingList(directory), await inForce(directory, now)]
  const known = [list.ct, published].flatMap((one) => (one === undefined ? [] : [Date.parse(one.logList.timestamp)]))
  const { logList, leftOut } = readLogList(bytes, signature, { key, known, now })
  const policy = options.policy ?? ((list.ct ?? published)?.policy === 'enforce' ? 'enforce' : 'report')
  const ct: CtInput = { policy, logList }
  const changes = diffCt(published, ct)
  await writeWorkingList(directory, { ...list, ct }, true)
  const count = (names: readonly string[] | undefined): number => names?.length ?? 0
  return {
    data: { list: workingListPath(directory), ...summary(ct), leftOut, changes: changes ?? null },
    text: [
      ...table(rowsOf(ct, now)),
      ...table([
        [
          ...['against what is signed', `${count(changes?.logsAdded)} added`, `${count(changes?.logsRemoved)} removed`],
          `${count(changes?.logsChanged)} changed`,
        ],
      ]),
    ],
    warnings: [
      ...ageWarnings(ct, now),
      ...(leftOut.length === 0 ? [] : [`without a state that is known, and left out: ${leftOut.join(', ')}`]),
    ],
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>   # with the manifest keys`,
  }
}

/** What the next manifest says about transparency, and until when clients will judge by it. */
export async function showCt({ directory }: Places, io: Io): Promise<Outcome> {
  const now = io.now()
  const { ct } = await readWorkingList(directory)
  if (ct === undefined) {
    return {
      data: { ct: null },
      text: ['no log list: clients use what the application gives them'],
      next: IMPORT,
    }
  }
  const changes = diffCt(await inForce(directory, now), ct)
  return {
    data: { ...summary(ct), changes: changes ?? null },
    text: [
      ...table([
        ...rowsOf(ct, now),
        ['signed', changes === undefined ? 'yes, as it stands here' : 'not as it stands here'],
      ]),
      ...table(
        logsOf(ct.logList).map((log) => [log.operator, log.description ?? log.log_id, ...Object.keys(log.state)]),
      ),
    ],
    warnings: ageWarnings(ct, now),
    next: changes === undefined ? IMPORT : `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`,
  }
}

/** Takes policy and list out of the next manifest. */
export async function removeCt({ directory }: Places): Promise<Outcome> {
  const { ct, ...list } = await readWorkingList(directory)
  if (ct === undefined) throw new UsageError(`${workingListPath(directory)}: has no log list`, 'Nothing is to be done.')
  await writeWorkingList(directory, list, true)
  return {
    data: { list: workingListPath(directory), removed: summary(ct) },
    text: table([['removed', `policy ${ct.policy}, log list of ${ct.logList.timestamp}`]]),
    warnings:
      ct.policy === 'enforce'
        ? ['clients will no longer refuse certificates that were not logged, unless told so in code']
        : [],
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>   # with the manifest keys`,
  }
}

async function inForce(directory: string, now: number): Promise<CtInput | undefined> {
  return contentIn((await readRepository(directory, toUnixMs(now))).manifest)?.ct
}

function summary({ policy, logList }: CtInput) {
  const logs = logsOf(logList)
  return {
    policy,
    logList: {
      timestamp: logList.timestamp,
      until: dateOf(endOf(logList)),
      operators: logList.operators.length,
      logs: logs.length,
    },
    states: statesOf(logs),
  }
}

function rowsOf({ policy, logList }: CtInput, now: number): readonly (readonly string[])[] {
  const logs = logsOf(logList)
  const states = Object.entries(statesOf(logs)).map(([name, count]) => `${count} ${name}`)
  return [
    ['policy', policy],
    ['log list of', logList.timestamp, fromNow(Date.parse(logList.timestamp), now)],
    ['clients use it until', dateOf(endOf(logList)), fromNow(endOf(logList), now)],
    ['logs', `${logs.length} of ${counted(logList.operators.length, 'operator')}`, states.join(', ')],
  ]
}

function statesOf(logs: ReturnType<typeof logsOf>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const name of logs.flatMap(({ state }) => Object.keys(state)).sort()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function ageWarnings({ logList }: CtInput, now: number): readonly string[] {
  if (now - Date.parse(logList.timestamp) <= LOG_LIST_OLD_MS) return []
  return [
    `the log list is of ${logList.timestamp}: clients use it until ${dateOf(endOf(logList))}, so fetch a newer one`,
  ]
}

const endOf = ({ timestamp }: CtInput['logList']): number => Date.parse(timestamp) + LOG_LIST_MAX_AGE_MS

const IMPORT = 'pinfetch manifest ct import log_list.json --signature log_list.sig --dir <dir>   # every month'

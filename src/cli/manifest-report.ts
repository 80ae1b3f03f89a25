import { entryName } from '../publisher/diff.ts'
import type { Io } from './io.ts'
import type { Places } from './manifest.ts'
import { findEntry } from './manifest-pins.ts'
import { instantOf } from './manifest-simulate.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'
import { readWorkingList, workingListPath, writeWorkingList } from './working-list.ts'

export interface ReportOptions extends Places {
  readonly port?: string
  readonly for: string
  readonly end?: boolean
}

/** Lets mismatches of a host pass until an instant, after which clients enforce again though nobody signs anything. */
export async function report(pattern: string, options: ReportOptions, io: Io): Promise<Outcome> {
  const { directory, end = false } = options
  const { entry } = await findEntry(pattern, options)
  const now = io.now()
  const until = instantOf(options.for, now)
  if (until <= now)
    throw new UsageError(`--for ${JSON.stringify(options.for)}: over already`, 'Write 4h, 90m, or a time.')
  const { enforceFrom: _, ...enforcing } = entry
  const changed = end ? enforcing : { ...entry, enforceFrom: dateOf(until) }
  const list = await readWorkingList(directory)
  const hosts = list.hosts.map((one) => (entryName(one) === entryName(entry) ? changed : one))
  await writeWorkingList(directory, { ...list, hosts }, true)
  const name = entryName(entry)
  return {
    data: { list: workingListPath(directory), entry: changed },
    text: table([
      end
        ? ['enforced', name, 'from the next manifest on']
        : ['report', name, `until ${dateOf(until)}  ${fromNow(until, now)}`],
    ]),
    warnings: end ? [] : ['only clients with manifestMay: report obey; the others go on refusing'],
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`,
  }
}

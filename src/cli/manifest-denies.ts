import type { PinText } from '../encoding/pin.ts'
import type { DenyInput } from '../publisher/content.ts'
import type { Places } from './manifest.ts'
import { patternOf, pinTexts } from './manifest-hosts.ts'
import type { Outcome } from './outcome.ts'
import { shownPath, table } from './text.ts'
import { readWorkingList, type WorkingList, workingListPath, writeWorkingList } from './working-list.ts'

export interface DenyOptions extends Places {
  readonly reason?: string
  readonly hosts?: readonly string[]
}

/** A key that no client may accept from the next status on. The status key alone publishes it. */
export async function deny(text: string, options: DenyOptions): Promise<Outcome> {
  const { directory, reason = 'denied by the operator', hosts } = options
  const [spki] = onePin(text)
  const list = await readWorkingList(directory)
  const entry: DenyInput = { spki, ...(hosts === undefined ? {} : { hosts: hosts.map(patternOf) }), reason }
  const others = (list.deny ?? []).filter((known) => known.spki !== spki)
  const undeny = (list.undeny ?? []).filter((known) => known !== spki)
  await save(directory, { ...list, deny: [...others, entry], undeny })
  const wasForgiven = undeny.length < (list.undeny?.length ?? 0)
  return {
    data: { list: workingListPath(directory), deny: entry },
    text: table([
      ['deny', spki, hosts === undefined ? 'every host' : hosts.join(', ')],
      ['reason', reason],
    ]),
    warnings: wasForgiven
      ? ['the manifest forgives this key: it has to be signed again, so the manifest keys are needed']
      : [],
    next: wasForgiven
      ? `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>`
      : `pinfetch manifest heartbeat --dir ${shownPath(directory)} --to <folder>   # the status key is enough; clients know within a poll`,
  }
}

/** Takes a deny back. Denies are sticky, so the manifest has to say it: its keys must sign. */
export async function undeny(text: string, { directory }: Places): Promise<Outcome> {
  const [spki] = onePin(text)
  const list = await readWorkingList(directory)
  const kept = (list.deny ?? []).filter((known) => known.spki !== spki)
  await save(directory, { ...list, deny: kept, undeny: [...new Set([...(list.undeny ?? []), spki])] })
  return {
    data: { list: workingListPath(directory), undeny: spki },
    text: table([['undeny', spki]]),
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>   # with the manifest keys`,
  }
}

function onePin(text: string): readonly [PinText] {
  const [pin] = pinTexts([text])
  if (pin === undefined) throw new TypeError('pinTexts gave nothing and did not throw')
  return [pin]
}

/** Empty lists are left out: a manifest without them says the same. */
async function save(
  directory: string,
  { deny: denies = [], undeny: forgiven = [], ...list }: WorkingList,
): Promise<void> {
  const next: WorkingList = {
    ...list,
    ...(denies.length === 0 ? {} : { deny: denies }),
    ...(forgiven.length === 0 ? {} : { undeny: forgiven }),
  }
  await writeWorkingList(directory, next, true)
}

import { readContent } from '../publisher/content.ts'
import { entryName } from '../publisher/diff.ts'
import type { HostInput, PinInput } from '../publisher/wire.ts'
import type { Io } from './io.ts'
import type { Places } from './manifest.ts'
import { backupPins, patternOf, pinTexts, portOf } from './manifest-hosts.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { shownPath, table } from './text.ts'
import { contentOfList, readWorkingList, type WorkingList, workingListPath, writeWorkingList } from './working-list.ts'

export interface PinOptions extends Places {
  readonly port?: string
  readonly backup?: readonly string[]
  readonly notBefore?: string
  readonly notAfter?: string
  readonly label?: string
}

/** Puts further pins beside those of an entry: the safe half of every change of keys. */
export async function addPins(pattern: string, pins: readonly string[], options: PinOptions, io: Io): Promise<Outcome> {
  const { list, entry } = await findEntry(pattern, options)
  const given = [...new Set([...pinTexts(pins), ...(await backupPins(options.backup ?? [], io))])]
  if (given.length === 0) throw new UsageError('no pin is given', 'Name it, or a key file: --backup next-key.pem')
  const known = given.find((pin) => entry.pins.some(({ spki }) => spki === pin))
  if (known !== undefined) {
    throw new UsageError(`${entryName(entry)}: ${known} is there already`, 'Nothing to do.')
  }
  const window = {
    ...(options.notBefore === undefined ? {} : { notBefore: instant('--not-before', options.notBefore) }),
    ...(options.notAfter === undefined ? {} : { notAfter: instant('--not-after', options.notAfter) }),
    ...(options.label === undefined ? {} : { label: options.label }),
  }
  const added = given.map((spki): PinInput => ({ spki, ...window }))
  const { singlePin: _, ...rest } = entry
  return save(
    list,
    entry,
    { ...rest, pins: [...entry.pins, ...added] },
    options,
    given.map((pin) => ['added', pin]),
  )
}

/** Takes pins out. Whether one of them is in use, lint says when the list is signed. */
export async function removePins(pattern: string, pins: readonly string[], options: PinOptions): Promise<Outcome> {
  const { list, entry } = await findEntry(pattern, options)
  const given = pinTexts(pins)
  const unknown = given.find((pin) => !entry.pins.some(({ spki }) => spki === pin))
  if (unknown !== undefined) {
    const there = entry.pins.map(({ spki }) => spki).join(', ')
    throw new UsageError(`${entryName(entry)}: ${unknown} is not there`, `It has: ${there}`)
  }
  if (entry.allOf !== undefined) {
    throw new UsageError(
      `${entryName(entry)}: its groups count pins by position`,
      'Change pins and allOf in hosts.json together.',
    )
  }
  const left = entry.pins.filter(({ spki }) => !given.includes(spki))
  if (left.length < 2 && entry.mode === 'enforce' && entry.singlePin !== true) {
    const hint = `Add one first: pinfetch manifest add-pin ${entry.host} --backup next-key.pem --dir ${shownPath(options.directory)}`
    throw new UsageError(`${entryName(entry)}: ${left.length} pin would be left`, hint)
  }
  return save(
    list,
    entry,
    { ...entry, pins: left },
    options,
    given.map((pin) => ['removed', pin]),
  )
}

/** @throws UsageError naming the entries that there are. */
export async function findEntry(
  pattern: string,
  { directory, port }: Pick<PinOptions, 'directory' | 'port'>,
): Promise<{ readonly list: WorkingList; readonly entry: HostInput }> {
  const list = await readWorkingList(directory)
  const host = patternOf(pattern)
  const number = port === undefined ? undefined : portOf(port)
  const sameHost = list.hosts.filter((entry) => entry.host === host)
  const entry =
    sameHost.find((one) => one.port === number) ??
    (sameHost.length === 1 && number === undefined ? sameHost[0] : undefined)
  if (entry !== undefined) return { list, entry }
  const names = list.hosts.map(entryName)
  const hint =
    names.length === 0
      ? `pinfetch manifest add-host ${host}`
      : `There is: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`
  throw new UsageError(`${host}: no such entry in ${workingListPath(directory)}`, hint)
}

async function save(
  list: WorkingList,
  before: HostInput,
  entry: HostInput,
  { directory }: Places,
  rows: readonly (readonly string[])[],
): Promise<Outcome> {
  const hosts = list.hosts.map((other) => (other === before ? entry : other))
  await readContent(contentOfList({ ...list, hosts }))
  await writeWorkingList(directory, { ...list, hosts }, true)
  return {
    data: { list: workingListPath(directory), entry },
    text: table([...rows, ...entry.pins.map(({ spki, label }) => ['pin', spki, label ?? ''])]),
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>   # nothing is signed yet`,
  }
}

function instant(option: string, text: string): string {
  const ms = Date.parse(text)
  if (!Number.isNaN(ms) && /^\d{4}-\d{2}-\d{2}/.test(text)) return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
  throw new UsageError(`${option} ${JSON.stringify(text)}: not a time`, 'Write 2027-01-31 or 2027-01-31T12:00:00Z.')
}

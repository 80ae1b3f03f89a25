import { formatHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import { isPinText } from '../encoding/pin.ts'
import { readManifest } from '../manifest/payload.ts'
import { type HostInput, manifestPayload } from '../publisher/documents.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { shownPath, table } from './text.ts'
import { readWorkingList, workingListPath, writeWorkingList } from './working-list.ts'

export interface HostOptions {
  readonly pin: readonly string[]
  readonly partner?: true
  readonly singlePin?: true
  readonly report?: true
  readonly port?: string
  readonly replace?: true
}

/** Adds an entry to the working list. Nothing is signed, so nothing changes for any client. */
export async function addHost(pattern: string, options: HostOptions & Places): Promise<Outcome> {
  const { directory } = options
  const entry = entryOf(pattern, options)
  const list = await readWorkingList(directory)
  const isSame = ({ host, port }: HostInput): boolean => host === entry.host && port === entry.port
  const isThere = list.hosts.some(isSame)
  if (isThere && options.replace !== true) {
    throw new UsageError(
      `${nameOf(entry)}: already in ${workingListPath(directory)}`,
      'Add --replace to put this one in its place.',
    )
  }
  const hosts = [...list.hosts.filter((other) => !isSame(other)), entry]
  readManifest(draft(hosts), {}) // the schema’s word, before the list holds what could never be signed
  await writeWorkingList(directory, { ...list, hosts }, true)
  return {
    data: { list: workingListPath(directory), entry, replaced: isThere, hosts: hosts.length },
    text: table([[isThere ? 'replaced' : 'added', nameOf(entry)], ...entry.pins.map(({ spki }) => ['pin', spki])]),
    warnings: entry.pins.length === 1 ? [`${nameOf(entry)}: one pin; losing its key closes the host`] : [],
    next: `pinfetch manifest sign --dir ${shownPath(directory)}`,
  }
}

function entryOf(pattern: string, options: HostOptions): HostInput {
  const { pin, partner, singlePin, report, port } = options
  const parsed = parseHostPattern(pattern)
  if (parsed === undefined) {
    const hint =
      'Write api.example.com, *.example.com (one label) or **.example.com (any depth), without scheme and path.'
    throw new UsageError(`${JSON.stringify(pattern)}: not a host pattern`, hint, 'ERR_CONFIG_HOST')
  }
  const wrong = pin.find((text) => !isPinText(text))
  if (wrong !== undefined) {
    const hint = 'Paste a line of: pinfetch pin <key file, certificate or host>'
    throw new UsageError(`--pin ${JSON.stringify(wrong)}: not a pin`, hint, 'ERR_CONFIG_PIN')
  }
  const pins = [...new Set(pin.filter(isPinText))]
  if (pins.length === 1 && singlePin !== true) {
    const hint = 'Add --pin for a key held in reserve (pinfetch pin next-key.pem), or say --single-pin.'
    throw new UsageError('one pin is no pin set: losing its key would close the host', hint)
  }
  return {
    host: formatHostPattern(parsed),
    ...(port === undefined ? {} : { port: portOf(port) }),
    mode: report === true ? 'report' : 'enforce',
    ...(partner === true ? { keyControl: 'partner' } : {}),
    pins: pins.map((spki) => ({ spki })),
    ...(pins.length === 1 ? { singlePin: true } : {}),
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new UsageError(`--port ${JSON.stringify(text)}: not a port`, 'Give a number from 1 to 65535.')
}

const nameOf = ({ host, port }: HostInput): string => (port === undefined ? host : `${host}:${port}`)

/** A manifest that nobody signs, for the sake of its checks. */
function draft(hosts: readonly HostInput[]): Uint8Array {
  return manifestPayload({
    repo: 'draft',
    env: 'draft',
    version: 1,
    issuedAt: 0,
    expires: 1_000,
    epoch: 1,
    staleGrace: 0,
    hosts: [...hosts],
  })
}

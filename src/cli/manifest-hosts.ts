import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { formatHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import { isPinText, type PinText, pinOfSpki } from '../encoding/pin.ts'
import { TrustError } from '../errors/errors.ts'
import { readContent } from '../publisher/content.ts'
import { entryName } from '../publisher/diff.ts'
import type { HostInput } from '../publisher/documents.ts'
import type { SeenChain } from '../publisher/seen.ts'
import { anchorsFrom, failureOf, placeAll, serverName, verdictText } from './chain.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import { look } from './look.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { propose, readSibling } from './partner.ts'
import { materialOf } from './source.ts'
import { keyText, shownPath, table } from './text.ts'
import {
  contentOfList,
  readWorkingList,
  type WorkingList,
  withSeen,
  workingListPath,
  writeWorkingList,
} from './working-list.ts'

export interface HostOptions {
  readonly pin?: readonly string[]
  readonly backup?: readonly string[]
  readonly partner?: true
  readonly sibling?: string
  readonly singlePin?: true
  readonly report?: true
  readonly port?: string
  readonly replace?: true
  readonly yes?: true
  readonly expect?: readonly string[]
  readonly ca?: string
  readonly sni?: string
  readonly connect?: string
}

/** Adds an entry to the working list. Nothing is signed, so nothing changes for any client. */
export async function addHost(pattern: string, options: HostOptions & Places, io: Io): Promise<Outcome> {
  const { directory } = options
  const name = patternOf(pattern)
  const list = await readWorkingList(directory)
  const port = options.port === undefined ? undefined : portOf(options.port)
  const isSame = (other: HostInput): boolean => other.host === name && other.port === port
  const isThere = list.hosts.some(isSame)
  if (isThere && options.replace !== true) {
    throw new UsageError(
      `${entryName({ host: name, ...(port === undefined ? {} : { port }) })}: already in ${workingListPath(directory)}`,
      'Add --replace to put this one in its place, or change its pins: add-pin, remove-pin.',
    )
  }
  const pins = [...(options.pin ?? []), ...(await backupPins(options.backup ?? [], io))]
  const made =
    options.partner === true && pins.length === 0
      ? await fromLiveServer(name, port, options, io)
      : { entry: entryOf(name, port, pins, options), chain: undefined, notes: [], warnings: [] }
  const { entry, chain } = made
  const hosts = [...list.hosts.filter((other) => !isSame(other)), entry]
  const next: WorkingList = withSeen({ ...list, hosts }, chain === undefined ? [] : [chain])
  await readContent({ ...contentOfList(next), hosts: [entry], anchorSets: list.anchorSets ?? {} }) // before the list holds what could never be signed
  await writeWorkingList(directory, next, true)
  return {
    data: { list: workingListPath(directory), entry, replaced: isThere, hosts: hosts.length },
    text: table([
      [isThere ? 'replaced' : 'added', entryName(entry)],
      ...entry.pins.map(({ spki, label }) => ['pin', spki, label ?? '']),
    ]),
    notes: made.notes,
    warnings: [
      ...made.warnings,
      ...(entry.pins.length === 1 ? [`${entryName(entry)}: one pin; losing its key closes the host`] : []),
    ],
    next: `pinfetch manifest publish --dir ${shownPath(directory)} --to <folder>   # nothing is signed yet`,
  }
}

/** The pins of key files held in reserve, from the key, its request or its certificate. */
export async function backupPins(paths: readonly string[], io: Io): Promise<readonly PinText[]> {
  const pins: PinText[] = []
  for (const path of paths) {
    const [material] = materialOf(path, await readBytes(path), io)
    pins.push(pinOfSpki(spkiOf(material)))
  }
  return pins
}

function spkiOf(material: ReturnType<typeof materialOf>[0]): Uint8Array {
  if (material.kind === 'certificate') return material.certificate.spki
  return material.kind === 'request' ? material.request.spki : material.spki
}

interface Made {
  readonly entry: HostInput
  readonly chain: SeenChain | undefined
  readonly notes: readonly string[]
  readonly warnings: readonly string[]
}

/** Looks at the partner’s server, proposes its key and its issuer’s, and takes them once somebody says so. */
async function fromLiveServer(
  host: string,
  port: number | undefined,
  options: HostOptions & Places,
  io: Io,
): Promise<Made> {
  const anchors = await anchorsFrom(options.ca)
  const origin = originOf(host, port, options.connect)
  const as = originOf(host.replace(/^\*{1,2}\./, 'www.'), port, undefined)
  const { presented, judgement, chain, warnings } = await look(
    origin,
    { anchors, sni: serverName(options.sni), as },
    io,
  )
  const failure = failureOf(judgement)
  if (failure !== undefined || judgement.path === undefined) {
    const code = judgement.findings[0]?.code ?? 'ERR_TRUST_UNKNOWN_ISSUER'
    throw new TrustError(code, `${origin.text} ${verdictText(judgement)}; its keys were not proposed`, {
      host: origin.text,
      findings: judgement.findings,
    })
  }
  const rows = placeAll(presented, judgement.path).map(({ certificate, position }) => [
    pinOfSpki(certificate.spki),
    position,
    keyText(certificate.keyInfo),
    certificate.subject.text,
  ])
  const notes = [...table(rows), `path  ${verdictText(judgement)}`]
  const sibling = options.sibling === undefined ? undefined : await readSibling(options.sibling, anchors, io)
  const { entry, tradeOff } = propose({ path: judgement.path, host, hash: 'sha256', sibling })
  const proposed: HostInput = {
    ...entry,
    ...(port === undefined ? {} : { port }),
    ...(options.report === true ? { mode: 'report' } : {}),
  }
  const onPath = (chain?.path ?? []).flatMap(({ pins }) => pins)
  await confirm({ origin, onPath, proposed, notes: [...notes, ...tradeOff] }, options, io)
  return { entry: proposed, chain, notes: io.prompts === undefined || options.yes === true ? notes : [], warnings }
}

/**
 * What a network shows may be what an attacker shows. So either a person looks, or a pin that came another way must be on
 * the path.
 */
async function confirm(
  seen: {
    readonly origin: CanonicalOrigin
    readonly onPath: readonly PinText[]
    readonly proposed: HostInput
    readonly notes: readonly string[]
  },
  { expect = [], yes, directory }: HostOptions & Places,
  io: Io,
): Promise<void> {
  const { origin, onPath, proposed } = seen
  const wrong = expect.find((text) => !isPinText(text))
  if (wrong !== undefined) throw notAPin('--expect', wrong)
  if (expect.length > 0 && !expect.some((text) => onPath.some((pin) => pin === text))) {
    const message = `${origin.text}: ${expect.join(' or ')} is not on the verified path (saw ${onPath[0]}); nothing was added`
    throw new TrustError('ERR_TRUST_PIN_MISMATCH', message, { host: origin.text })
  }
  if (expect.length > 0) return
  if (yes !== true && io.prompts !== undefined) {
    for (const note of seen.notes) io.stderr.write(`${note}\n`)
    for (const { spki, label } of proposed.pins) io.stderr.write(`pin  ${spki}  ${label ?? ''}\n`)
    io.stderr.write('Compare one of them with what the API’s owner tells you, or with a look from another network.\n')
    if (await (await io.prompts()).confirm(`Pin these for ${proposed.host}?`)) return
    throw new UsageError(
      'not confirmed; nothing was added',
      'Ask the API’s owner for a pin, then add --expect sha256/…',
    )
  }
  const message = `${origin.text}: nobody is here to compare its keys, and a network can show anything`
  const hint = `Get a pin from the API’s owner, then: pinfetch manifest add-host ${proposed.host} --partner --dir ${shownPath(directory)} --yes --expect ${proposed.pins[0]?.spki}   # if this is it`
  throw new UsageError(message, hint)
}

/** The server to look at. @throws UsageError */
export function originOf(host: string, port: number | undefined, connect: string | undefined): CanonicalOrigin {
  const target = connect ?? (host.includes(':') ? `[${host}]` : host)
  const href = `https://${target}${connect === undefined && port !== undefined ? `:${port}` : ''}/`
  const origin = !target.startsWith('*') && URL.canParse(href) ? canonicalOrigin(new URL(href)) : undefined
  if (origin !== undefined) return origin
  throw new UsageError(
    `${target}: no server that one could look at`,
    'Name one of its hosts: --connect www.example.com',
  )
}

function entryOf(host: string, port: number | undefined, given: readonly string[], options: HostOptions): HostInput {
  const { partner, singlePin, report } = options
  if (given.length === 0) {
    const hint = `Your own host: --pin <key in use> --backup next-key.pem. Somebody else’s: pinfetch manifest add-host ${host} --partner --dir <dir>`
    throw new UsageError('no pin is given', hint)
  }
  const pins = [...new Set(pinTexts(given))]
  if (pins.length === 1 && singlePin !== true) {
    const hint = 'Add --backup next-key.pem for a key held in reserve (or --pin with its pin), or say --single-pin.'
    throw new UsageError('one pin is no pin set: losing its key would close the host', hint)
  }
  return {
    host,
    ...(port === undefined ? {} : { port }),
    mode: report === true ? 'report' : 'enforce',
    ...(partner === true ? { keyControl: 'partner' } : {}),
    pins: pins.map((spki) => ({ spki })),
    ...(pins.length === 1 ? { singlePin: true } : {}),
  }
}

/** @throws UsageError for the first that is none. */
export function pinTexts(texts: readonly string[]): readonly PinText[] {
  const wrong = texts.find((text) => !isPinText(text))
  if (wrong !== undefined) throw notAPin('--pin', wrong)
  return texts.filter(isPinText)
}

/** @throws UsageError */
export function patternOf(text: string): string {
  const parsed = parseHostPattern(text)
  if (parsed !== undefined) return formatHostPattern(parsed)
  const hint =
    'Write api.example.com, *.example.com (one label) or **.example.com (any depth), without scheme and path; no public suffix.'
  throw new UsageError(`${JSON.stringify(text)}: not a host pattern`, hint, 'ERR_CONFIG_HOST')
}

/** @throws UsageError */
export function portOf(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new UsageError(`--port ${JSON.stringify(text)}: not a port`, 'Give a number from 1 to 65535.')
}

function notAPin(option: string, text: string): UsageError {
  const hint =
    'A pin is sha256/ and the base64 of 32 bytes. Paste a line of: pinfetch pin <key file, certificate or host>'
  return new UsageError(`${option} ${JSON.stringify(text.slice(0, 80))}: not a pin`, hint, 'ERR_CONFIG_PIN')
}

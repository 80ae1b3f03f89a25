import { join } from 'node:path'
import * as z from 'zod'
import { canonicalHost } from '../encoding/host.ts'
import { parseStrictJson } from '../encoding/json.ts'
import { isPinText, type PinText } from '../encoding/pin.ts'
import type { DenyInput, ManifestContent } from '../publisher/content.ts'
import type { HostInput } from '../publisher/documents.ts'
import type { SeenChain } from '../publisher/seen.ts'
import { readIfPresent, writeWhole } from './files.ts'
import { UsageError } from './outcome.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import { dateOf, shownPath } from './text.ts'

/** What the next manifest and status will say: unsigned, made by the commands and by hand, kept beside the signed documents. */
export interface WorkingList extends ManifestContent {
  readonly profile: ProfileName
  /** As they will be signed. */
  readonly hosts: readonly HostInput[]
  /** What the next status denies beside what it denied before. */
  readonly deny?: readonly DenyInput[]
  /** What servers showed when somebody looked: lint holds the list against it; nothing of it is signed. */
  readonly seen?: readonly SeenChain[]
}

/** What of the list is signed as a manifest. */
export function contentOfList({ profile: _, deny: __, seen: ___, ...content }: WorkingList): ManifestContent {
  return content
}

/** The same list, with what a server just showed in place of what it showed before. */
export function withSeen(list: WorkingList, chains: readonly SeenChain[]): WorkingList {
  if (chains.length === 0) return list
  const isNew = (known: SeenChain) => !chains.some(({ host, port }) => host === known.host && port === known.port)
  return { ...list, seen: [...(list.seen ?? []).filter(isNew), ...chains] }
}

/** @throws StoreError or UsageError. The entries themselves are judged when they are signed. */
export async function readWorkingList(directory: string): Promise<WorkingList> {
  const path = workingListPath(directory)
  const bytes = await readIfPresent(path)
  if (bytes === undefined) {
    throw new UsageError(
      `${path}: not there, so this is no repository`,
      `Name the folder that init made (--dir), or make one: pinfetch manifest init --dir ${shownPath(directory)}`,
    )
  }
  const json = parseStrictJson(bytes)
  const list = Shape.safeParse(json.ok ? json.value : undefined)
  if (list.success) {
    const { seen, ...rest } = list.data
    return { ...(rest as unknown as WorkingList), ...(seen === undefined ? {} : { seen }) }
  }
  const [issue] = list.error.issues
  const problem = json.ok ? `${issue?.path.map(String).join('.')}: ${issue?.message}` : 'not JSON'
  const hint = `It holds {"profile": ${Names.map((name) => `"${name}"`).join(' or ')}, "hosts": [entries as in a manifest]}.`
  throw new UsageError(`${path}: ${problem}`, hint, 'ERR_CONFIG_INVALID')
}

export async function writeWorkingList(directory: string, list: WorkingList, replace: boolean): Promise<void> {
  const { seen, ...rest } = list
  const dated = seen?.map((chain) => ({
    ...chain,
    seenAt: dateOf(chain.seenAt),
    notBefore: dateOf(chain.notBefore),
    notAfter: dateOf(chain.notAfter),
  }))
  const text = JSON.stringify({ ...rest, ...(dated === undefined ? {} : { seen: dated }) }, null, 2)
  await writeWhole(workingListPath(directory), `${text}\n`, { replace })
}

export const workingListPath = (directory: string): string => join(directory, 'hosts.json')

const Names = Object.keys(PROFILES) as [ProfileName, ...ProfileName[]]
const Instant = z.iso.datetime().transform((text) => Date.parse(text))
const Pin = z.custom<PinText>((value) => typeof value === 'string' && isPinText(value), 'expected a pin')

const Host = z.string().transform((text, context) => {
  const host = canonicalHost(text)
  if (host !== undefined) return host
  context.addIssue({ code: 'custom', message: 'expected a host' })
  return z.NEVER
})

const Seen = z.strictObject({
  host: Host,
  port: z.int().min(1).max(65_535),
  seenAt: Instant,
  notBefore: Instant,
  notAfter: Instant,
  path: z.array(z.strictObject({ pins: z.array(Pin), sha256: z.string(), serial: z.string() })).min(1),
})

const Shape = z.strictObject({
  profile: z.enum(Names),
  hosts: z.array(z.looseObject({ host: z.string(), pins: z.array(z.unknown()) })),
  deny: z
    .array(
      z.strictObject({
        spki: Pin,
        hosts: z.array(z.string()).min(1).exactOptional(),
        reason: z.string(),
      }),
    )
    .exactOptional(),
  undeny: z.array(Pin).exactOptional(),
  revocations: z.looseObject({}).exactOptional(),
  anchorSets: z.record(z.string(), z.array(z.string())).exactOptional(),
  ct: z.unknown().exactOptional(),
  interception: z.array(Pin).exactOptional(),
  seen: z.array(Seen).exactOptional(),
})

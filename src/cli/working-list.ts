import { join } from 'node:path'
import * as z from 'zod'
import { parseStrictJson } from '../encoding/json.ts'
import type { HostInput } from '../publisher/documents.ts'
import { readIfPresent, writeWhole } from './files.ts'
import { UsageError } from './outcome.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import { shownPath } from './text.ts'

/** What the next manifest will say: unsigned, made by `add-host` and by hand, kept beside the signed documents. */
export interface WorkingList {
  readonly profile: ProfileName
  /** As they will be signed. */
  readonly hosts: readonly HostInput[]
}

/** @throws StoreError or UsageError. The entries themselves are judged when they are signed. */
export async function readWorkingList(directory: string): Promise<WorkingList> {
  const path = workingListPath(directory)
  const bytes = await readIfPresent(path)
  if (bytes === undefined) {
    throw new UsageError(
      `${path}: not there, so this is no repository`,
      `pinfetch manifest init --dir ${shownPath(directory)}`,
    )
  }
  const json = parseStrictJson(bytes)
  const list = Shape.safeParse(json.ok ? json.value : undefined)
  if (list.success) return { profile: list.data.profile, hosts: list.data.hosts as unknown as readonly HostInput[] }
  const [issue] = list.error.issues
  const problem = json.ok ? `${issue?.path.map(String).join('.')}: ${issue?.message}` : 'not JSON'
  const hint = 'It holds {"profile": "solo" or "team", "hosts": [entries as in a manifest]}.'
  throw new UsageError(`${path}: ${problem}`, hint, 'ERR_CONFIG_INVALID')
}

export async function writeWorkingList(directory: string, list: WorkingList, replace: boolean): Promise<void> {
  await writeWhole(workingListPath(directory), `${JSON.stringify(list, null, 2)}\n`, { replace })
}

export const workingListPath = (directory: string): string => join(directory, 'hosts.json')

const Names = Object.keys(PROFILES) as [ProfileName, ...ProfileName[]]
const Shape = z.strictObject({ profile: z.enum(Names), hosts: z.array(z.looseObject({ host: z.string() })) })

import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Cancel, Runtime, WatchFolder } from '../ports/runtime.ts'

/** What watching files needs of the world. */
export interface Watching {
  readonly runtime: Runtime
  readonly watchFolder: WatchFolder
  /** Where the system lists what is mounted. Default: Linux’s own place; elsewhere nothing is known. */
  readonly mountInfo?: string
}

/**
 * Calls back when the file is another one than before: at once where the file system tells, otherwise at the next look.
 * What counts is the file that the name leads to, so a swapped link (Kubernetes replaces `..data`) is a change.
 */
export function watchFile(path: string, changed: () => void, { runtime, watchFolder }: Watching): Cancel {
  let seen: string | undefined
  let ended = false
  let looking = false
  let lookAgain = false
  let cancelLook: Cancel = () => {}

  const look = async (): Promise<void> => {
    lookAgain = true
    if (looking) return
    looking = true
    cancelLook()
    while (lookAgain) {
      lookAgain = false
      const stamp = await stampOf(path)
      if (ended) return
      if (seen !== undefined && stamp !== seen) changed()
      seen = stamp
    }
    looking = false
    cancelLook = runtime.schedule(LOOK_EVERY_MS, () => void look())
  }

  const unwatch = watchFolder(dirname(path), () => void look())
  void look()
  return () => {
    ended = true
    cancelLook()
    unwatch()
  }
}

/**
 * A file that is mounted by itself never changes: the mount holds on to the file that was there when the container started.
 * Kubernetes does that for `subPath`, Docker for `-v file:file`.
 *
 * @returns What to tell the operator, or `undefined`.
 */
export async function frozenMount(path: string, mountInfo = MOUNT_INFO): Promise<string | undefined> {
  try {
    const [mounts, target] = [await readFile(mountInfo, 'utf8'), await realpath(path)]
    const places = new Map(mounts.split('\n').map((line) => placeOf(line)))
    const frozen = places.has(target) || places.get(dirname(target))?.match(/\/\.\.\d{4}_/)
    return frozen
      ? `${path} is mounted by itself (subPath), so it will never change: mount the whole volume`
      : undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined // no such list, or nothing there to be mounted
    throw error
  }
}

/** proc(5): the fourth field is the root of the mount within its file system, the fifth where it is mounted. */
function placeOf(line: string): [place: string, root: string] {
  const fields = line.split(' ').map((field) => field.replace(/\\([0-7]{3})/g, (_, octal) => octalChar(octal)))
  return [fields[4] ?? '', fields[3] ?? '']
}

const octalChar = (digits: string): string => String.fromCharCode(Number.parseInt(digits, 8))

/** Another text for another file, or for other contents as far as the file system tells. */
export async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs}`
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}

const LOOK_EVERY_MS = 1_500 // a swap is noticed within two seconds on network file systems too, which tell nothing
const MOUNT_INFO = '/proc/self/mountinfo'

import { dirname } from 'node:path'
import type { Emit } from '../events/events.ts'
import { stampOf } from '../manifest/watch.ts'
import type { Cancel, Runtime, WatchFolder } from '../ports/runtime.ts'

/** What following files needs of the world. */
export interface Following {
  readonly runtime: Runtime
  readonly watchFolder: WatchFolder
  readonly emit: Emit
}

/**
 * Calls `load` when one of the files is another one than before: at once where the file system tells, otherwise within half a
 * second; the first time now, for what changed since they were read. What counts is the file that a name leads to, so a swapped
 * link (Kubernetes replaces `..data`) is a change.
 *
 * What `load` throws at is loaded again a moment later, since somebody may be writing one file after the other. What is refused
 * then is told once.
 */
export function followFiles(
  paths: readonly string[],
  load: () => void,
  refused: (error: unknown) => void,
  { runtime, watchFolder }: Following,
): Cancel {
  let seen: string | undefined
  let failure: { readonly text: string; readonly since: number; readonly isTold: boolean } | undefined
  let isSettled = false
  let isLooking = false
  let lookAgain = false
  let ended = false
  let cancelLook: Cancel = () => {}

  const attempt = (): void => {
    try {
      load()
      isSettled = true
      failure = undefined
    } catch (error) {
      isSettled = false
      const [text, now] = [String(error), runtime.clock.monotonic()]
      if (failure?.text !== text) failure = { text, since: now, isTold: false }
      if (failure.isTold || now - failure.since < TELL_AFTER_MS) return
      failure = { ...failure, isTold: true }
      refused(error)
    }
  }
  const look = async (): Promise<void> => {
    lookAgain = true
    if (isLooking) return
    isLooking = true
    cancelLook()
    while (lookAgain && !ended) {
      lookAgain = false
      const stamp = (await Promise.all(paths.map(stampOf))).join('\n') // before they are read: a later change differs
      if (ended || (isSettled && stamp === seen)) continue
      seen = stamp
      attempt()
    }
    isLooking = false
    if (!ended) cancelLook = runtime.schedule(LOOK_EVERY_MS, () => void look())
  }

  const unwatch = [...new Set(paths.map((path) => dirname(path)))].map((folder) =>
    watchFolder(folder, () => void look()),
  )
  void look()
  return () => {
    ended = true
    cancelLook()
    for (const end of unwatch) end()
  }
}

const LOOK_EVERY_MS = 500 // network file systems tell nothing; what is replaced is in force within a second everywhere
const TELL_AFTER_MS = 400 // less than the pause between two looks

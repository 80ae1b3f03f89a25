import { toUnixMs } from '../ports/runtime.ts'
import { anchorsFrom } from './chain.ts'
import type { Io, Paint } from './io.ts'
import { lintFailure, lintText } from './lint-text.ts'
import { lookAtAll } from './look.ts'
import type { Outcome } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { lintList } from './sign-next.ts'
import { counted, shownPath } from './text.ts'
import { readWorkingList, withSeen, writeWorkingList } from './working-list.ts'

export interface LintOptions {
  readonly directory: string
  readonly probe?: boolean
  readonly ca?: string
  readonly allow?: readonly string[]
}

/** What would go wrong if the list were signed and published now. */
export async function lintRepository(options: LintOptions, io: Io, paint: Paint): Promise<Outcome> {
  const { directory, allow = [] } = options
  const now = toUnixMs(io.now())
  const repository = await readRepository(directory, now)
  const held = await readWorkingList(directory)
  const looked =
    options.probe === true ? await lookAtAll(held, await anchorsFrom(options.ca), io) : { chains: [], warnings: [] }
  const list = withSeen(held, looked.chains)
  if (looked.chains.length > 0) await writeWorkingList(directory, list, true)
  const findings = await lintList(repository, list, now, { allow })
  const failure = lintFailure(findings)
  const shown = shownPath(directory)
  return {
    data: { findings, looked: looked.chains.map(({ host, port }) => ({ host, port })) },
    text: findings.length === 0 ? [`${counted(list.hosts.length, 'host')}, nothing found`] : lintText(findings, paint),
    warnings: looked.warnings,
    next:
      failure === undefined
        ? `pinfetch manifest publish --dir ${shown} --to <folder>`
        : `pinfetch manifest lint --dir ${shown} --probe   # once it is mended`,
    ...(failure === undefined ? {} : { failure }),
  }
}

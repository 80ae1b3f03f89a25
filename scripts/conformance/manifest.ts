import { PinfetchError } from '../../src/errors/errors.ts'
import { customSource } from '../../src/manifest/sources.ts'
import { createManifestUpdater } from '../../src/manifest/updater.ts'
import { type Runtime, toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type Answer, outcome } from './suite.ts'

interface Served {
  /** Path below the base URL to base64. */
  readonly files: Readonly<Record<string, string>>
  /** ISO 8601. */
  readonly now: string
}

/** One refresh from a cold start, after the refresh `previous` describes where there is one. */
export interface ManifestCase extends Served {
  /** base64 of the root document that the application ships. */
  readonly anchor: string
  readonly repo: string
  readonly env: string
  readonly previous?: Served | null
}

export async function runManifestCase(input: unknown): Promise<Answer> {
  const row = input as ManifestCase
  const startedAt = performance.now()
  let served: Served = row.previous ?? row
  const source = customSource('case', async (path) => {
    const file = Object.hasOwn(served.files, path) ? served.files[path] : undefined
    const bytes = new Uint8Array(Buffer.from(file ?? '', 'base64'))
    return { status: file === undefined ? 404 : 200, headers: {}, bytes }
  })
  try {
    const updater = createManifestUpdater({
      root: new Uint8Array(Buffer.from(row.anchor, 'base64')),
      repo: row.repo,
      env: row.env,
      source,
      store: memoryStore(),
      runtime: runtimeAt(() => served.now),
      emit: () => undefined,
      startupMs: STARTUP_MS,
    })
    try {
      if (row.previous !== undefined && row.previous !== null) {
        await updater.refresh()
        served = row
      }
      await updater.refresh()
      return outcome(updater.current().version > 0 ? undefined : 'ERR_TRUST_NO_TRUSTED_MANIFEST', startedAt)
    } finally {
      await updater.close()
    }
  } catch (error) {
    if (error instanceof PinfetchError) return outcome(error.code, startedAt)
    throw error
  }
}

/** The case's instant as wall time; pauses between retries and attempts are not slept through, polls never come. */
function runtimeAt(now: () => string): Runtime {
  let waited = 0
  return {
    clock: { now: () => toUnixMs(Date.parse(now())), monotonic: () => systemRuntime.clock.monotonic() + waited },
    random: systemRuntime.random,
    schedule: (afterMs, run) => {
      if (afterMs > MAX_PAUSE_MS) return systemRuntime.schedule(afterMs, run)
      const soon = setImmediate(() => {
        waited += afterMs
        run()
      })
      return () => clearImmediate(soon)
    },
  }
}

const STARTUP_MS = 60_000
const MAX_PAUSE_MS = 2_000 // longer ones are deadlines

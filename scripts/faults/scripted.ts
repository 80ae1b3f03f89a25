import type { ClientOptions } from '../../src/index.ts'
import type { FaultScript, FaultServerOptions } from '../../src/testing/index.ts'
import type { FaultCase, Required } from './fault-case.ts'
import type { CallInit } from './world.ts'

/** A fault server with this script, and calls one after the other. */
export interface ScriptedCase {
  readonly id: FaultCase['id']
  readonly fault: string
  readonly script: FaultScript
  readonly required: Required
  readonly server?: Partial<FaultServerOptions>
  readonly client?: Partial<ClientOptions>
  /** Of each call in order; the last one of the rest. Default a GET. */
  readonly init?: readonly CallInit[]
}

/** As many calls as have a required outcome. */
export function scripted({ script, server, client, init = [], ...rest }: ScriptedCase): FaultCase {
  return {
    ...rest,
    run: async (world) => {
      const peer = await world.serve({ script, ...server })
      const used = world.client(client)
      for (const index of rest.required.calls.keys()) await world.call(used, peer, init[index] ?? init.at(-1))
    },
  }
}

export const POST: CallInit = { method: 'POST', body: 'a payment' }
/** Short enough for a test, long enough for a busy machine to get everything else done. */
export const PATIENCE_MS = 400

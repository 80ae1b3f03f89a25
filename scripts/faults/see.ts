import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

/** Faults that another test injects, under the same number: nothing is gained by doing it twice. */
const SEE: Readonly<Record<string, string>> = {
  F44: 'test/integration/manifest-wire.test.ts',
  F45: 'test/integration/manifest-wire.test.ts',
  F46: 'test/manifest/faults.test.ts',
  F47: 'test/manifest/faults.test.ts',
  F48: 'test/manifest/faults.test.ts',
  F49: 'test/manifest/faults.test.ts',
  F50: 'test/manifest/sources.test.ts',
  F51: 'test/integration/manifest-wire.test.ts',
  F52: 'test/integration/manifest-wire.test.ts',
  F53: 'test/manifest/network.test.ts',
  F54: 'test/manifest/cache.test.ts',
  F62: 'test/integration/manifest-wire.test.ts',
  F67: 'test/process/thaw.test.ts',
  F68: 'test/process/reload.test.ts',
  F69: 'test/events/sink.test.ts',
}

export interface Reference {
  readonly id: string
  readonly file: string
  /** Whether the file has a test that names the fault. */
  readonly isThere: boolean
}

export const references: readonly Reference[] = Object.entries(SEE).map(([id, file]) => {
  const text = readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8')
  return { id, file, isThere: new RegExp(`['\`].*\\b${id}\\b`).test(text) }
})

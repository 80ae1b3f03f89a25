import { afterEach } from 'vitest'

/** Where a mutant was noticed, the files that are left need not be read: `bail` alone would read each and skip its tests. */
const world = globalThis as { [NOTICED]?: true }
const NOTICED = Symbol.for('pinfetch.test.noticed')

if (world[NOTICED]) throw new Error('a test of a file before this one has failed')

afterEach(({ task }) => {
  if (task.result?.state === 'fail') world[NOTICED] = true
})

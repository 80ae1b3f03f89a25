import { afterAll } from 'vitest'
import { CODES, type ErrorCode } from '../../src/errors/codes.ts'

/**
 * Observes which codes the sources make errors of: the constructor of PinfetchError reads `retryable` of its code, and the first
 * caller outside of src/errors says who made the error. What a test or the test kit makes does not count.
 */
const produced = new Set<string>()
const world = globalThis as { [OBSERVED]?: Set<string> }
const OBSERVED = Symbol.for('pinfetch.test.produced')

if (world[OBSERVED] === undefined) {
  world[OBSERVED] = produced // a process that goes on to the next file observes for it as well
  for (const [code, entry] of Object.entries(CODES)) observe(code as ErrorCode, entry)
}

// biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures there
afterAll(({}, file) => {
  Object.assign(file.meta, { produced: [...producedCodes()] })
})

/** What the sources made errors of so far, in this process. */
export const producedCodes = (): ReadonlySet<string> => world[OBSERVED] ?? produced

function observe(code: ErrorCode, entry: { readonly retryable: boolean }): void {
  const { retryable } = entry
  const get = (): boolean => {
    if (world[OBSERVED]?.has(code) === false && isMadeBySources()) world[OBSERVED].add(code)
    return retryable
  }
  Object.defineProperty(entry, 'retryable', { get, enumerable: true, configurable: true })
}

function isMadeBySources(): boolean {
  const { prepareStackTrace, stackTraceLimit } = Error
  Error.prepareStackTrace = (_, sites) => sites.map((site) => String(site.getFileName()))
  Error.stackTraceLimit = 8
  const [, , reader = '', ...callers] = new Error().stack as unknown as string[] // this function and the getter come first
  Object.assign(Error, { prepareStackTrace, stackTraceLimit })
  if (!reader.endsWith('/src/errors/errors.ts')) return false
  const maker = callers.find((path) => !path.includes('/src/errors/')) ?? ''
  return maker.includes('/src/') && !maker.includes('/src/testing/')
}

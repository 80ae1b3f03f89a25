/**
 * What is mutated together, and the tests that may notice it: the unit tests of a folder, but none that holds other programs, or
 * random cases by the thousand, for each of some thousand mutants.
 */
export interface Area {
  readonly tests: readonly string[]
  readonly without?: readonly string[]
  /** Those that take seconds: most mutants are noticed before them. The slowest at the end. */
  readonly last?: readonly string[]
  /** At a time. Default: Stryker's, by processors; more where tests wait more than they work. */
  readonly runners?: number
}

export const AREAS: Readonly<Record<string, Area>> = {
  'src/trust': { tests: ['test/trust/*.test.ts', 'test/trust/transparency/judge-path.test.ts'] },
  'src/trust/path': {
    tests: ['test/trust/path/*.test.ts', 'test/trust/evaluate.test.ts'],
    without: ['test/trust/path/hostile.test.ts'],
  },
  'src/trust/revocation': { tests: ['test/trust/revocation/*.test.ts'] },
  'src/trust/transparency': { tests: ['test/trust/transparency/*.test.ts'] },
  'src/manifest': {
    tests: ['test/manifest/*.test.ts'],
    without: ['test/manifest/fleet.test.ts', 'test/manifest/order.property.test.ts'],
    runners: 6,
    last: [
      'updater',
      'peers',
      'emergency',
      'freshness',
      'refresh',
      'cache.files',
      'network',
      'sources',
      'payload',
      'thaw',
      'blobs',
      'lifecycle',
    ].map((name) => `test/manifest/${name}.test.ts`),
  },
  'src/signing': {
    tests: ['test/signing/*.test.ts'],
    without: ['test/signing/interop.test.ts', 'test/signing/mutations.test.ts'],
  },
}

/** Under it no file of these may be, in per cent, whatever the reasons of what survives. */
export const TARGET = 95
export const TARGETS: readonly RegExp[] = [
  /^src\/trust\/pins\.ts$/,
  /^src\/trust\/path\//,
  /^src\/manifest\/(verify|accept)\.ts$/,
]

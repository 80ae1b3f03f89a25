/**
 * Mutation testing by hand: `npm run mutation`, or `npm run mutation -- --mutate src/trust/pins.ts` for one file. Hours, so no part
 * of CI.
 * A mutant that no test can tell from the source has `// Stryker disable next-line` with the reason beside it.
 */
export default {
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts' },
  plugins: ['@stryker-mutator/vitest-runner'],
  mutate: ['src/trust/pins.ts', 'src/trust/path/*.ts', 'src/manifest/verify.ts', 'src/manifest/accept.ts'],
  coverageAnalysis: 'perTest',
  concurrency: 1,
  timeoutMS: 60_000,
  thresholds: { high: 95, low: 95, break: 95 },
  reporters: ['clear-text', 'progress-append-only'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  tempDirName: '.stryker-tmp',
}

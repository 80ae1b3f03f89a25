import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { EveryCode } from './test/support/every-code.ts'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

/**
 * One after the other in a process that has read the sources already: reading them is most of what a file here takes. So each
 * closes what it opens, and what it puts in place of the runtime's own, it puts back.
 */
const shared = [
  'auth',
  'client',
  'conformance',
  'encoding',
  'errors',
  'events',
  'fetch',
  'keys',
  'limits',
  'manifest',
  'monitor',
  'otel',
  'peers',
  'publisher',
  'signing',
  'static',
  'transport',
  'trust',
  'x509',
].map((folder) => `test/${folder}/**/*.test.ts`)

/** Of these folders, what asks for a process of its own: what it holds in memory, hears, says once, or has in place of modules. */
const alone = [
  'auth/{oidc-provider,oidc-provider-grants,tenants,token-processes,token-races}',
  'client/{containment,hsts,legacy}',
  'events/emitter',
  'fetch/{lean,response}',
  'monitor/{anomalies,channels,issuance/watch}',
  'transport/{dispatcher-pool,handshake-record,session-load,session-resumption,tls-policy}',
].map((files) => `test/${files}.test.ts`)

const external = ['test/external/**/*.test.ts'] // `npm run test:external`

/** What would be the tail if it began last. Vitest knows no times in a fresh checkout, and goes by the size of the file. */
const LONGEST = [
  'test/faults/faults.test.ts',
  'test/auth/token-processes.test.ts',
  'test/integration/manifest-wire.test.ts',
  'test/process/reload.test.ts',
  'test/process/thaw.test.ts',
  'test/process/workers.test.ts',
  'test/process/lifecycle.test.ts',
  'test/fetch/response.test.ts',
  'test/auth/polling.test.ts',
  'test/signing/interop.test.ts',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.some((path) => moduleId.endsWith(path))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^pinfetch$/, replacement: source('index.ts') },
      { find: /^pinfetch\/testing$/, replacement: source('testing/index.ts') },
      { find: /^pinfetch\/dangerous$/, replacement: source('dangerous/index.ts') },
      { find: /^pinfetch\/auth$/, replacement: source('auth/index.ts') },
      { find: /^pinfetch\/signing$/, replacement: source('signing/index.ts') },
      { find: /^pinfetch\/monitor$/, replacement: source('monitor/index.ts') },
      { find: /^pinfetch\/otel$/, replacement: source('otel/index.ts') },
      { find: /^pinfetch\/errors$/, replacement: source('errors/index.ts') },
    ],
  },
  test: {
    testTimeout: 60_000, // tests that start processes, on a busy machine; nothing waits for long otherwise
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: Math.max(3, availableParallelism() - 1), // the default would be one on two cores, and many tests wait
    sequence: { sequencer: LongestFirst },
    setupFiles: [fileURLToPath(new URL('test/support/produced-codes.ts', import.meta.url))],
    reporters: ['default', new EveryCode()],
    projects: [
      {
        extends: true,
        test: {
          name: { label: 'own process', color: 'blue' },
          include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...shared, ...external],
        },
      },
      { extends: true, test: { name: { label: 'alone', color: 'cyan' }, include: alone } },
      {
        extends: true,
        test: {
          name: { label: 'shared process', color: 'green' },
          include: shared,
          exclude: [...configDefaults.exclude, ...alone],
          isolate: false,
        },
      },
      { extends: true, test: { name: { label: 'external', color: 'yellow' }, include: external } },
    ],
  },
})

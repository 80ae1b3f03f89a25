import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

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
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 60_000, // tests that start processes, on a busy machine; nothing waits for long otherwise
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: Math.max(2, availableParallelism() - 1), // the default would be one on two cores, and many tests wait
  },
})

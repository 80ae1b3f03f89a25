import type { KnipConfig } from 'knip'

export default {
  entry: ['src/{index,*/index,cli/main}.ts', 'scripts/**/*.ts', 'examples/*.ts', 'test/cli/reroute.ts'],
  project: ['{src,test,scripts,examples}/**/*.ts'],
  ignoreExportsUsedInFile: { interface: true, type: true }, // the shapes that an exported function takes or gives
  ignoreBinaries: ['script', 'mount', 'umount', 'openssl', 'nginx', 'redis-server'], // of the system, where it has it
} satisfies KnipConfig

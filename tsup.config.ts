import { readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { resolve } from 'node:path'
import { defineConfig, type Options } from 'tsup'

const library = {
  index: 'src/index.ts',
  testing: 'src/testing/index.ts',
  dangerous: 'src/dangerous/index.ts',
  errors: 'src/errors/index.ts',
  auth: 'src/auth/index.ts',
  signing: 'src/signing/index.ts',
  monitor: 'src/monitor/index.ts',
  otel: 'src/otel/index.ts',
}

/** The command line's own packages: bundled, so that whoever imports the library does not install them. */
const bundled = ['commander', 'picocolors']

export default defineConfig({
  entry: { ...library, cli: 'src/cli/main.ts' },
  format: 'esm', // a second, CommonJS copy would have classes and a trust store of its own; `require` of ESM serves it
  target: 'node20.19',
  platform: 'node',
  clean: true,
  sourcemap: true,
  splitting: true, // one copy of every class, so that `instanceof TrustError` holds across entries
  removeNodeProtocol: false,
  dts: { entry: library, compilerOptions: { ignoreDeprecations: '6.0' } }, // tsup sets `baseUrl`, which TypeScript 6 deprecates
  noExternal: bundled,
  esbuildPlugins: [requiredBuiltins()],
  onSuccess: async () => {
    const { configSchema } = await import(resolve('dist/index.js'))
    writeFileSync('dist/config.schema.json', JSON.stringify(configSchema(), null, 2))
    writeFileSync('dist/cli.licenses.txt', bundled.map(licence).join('\n'))
  },
})

/** commander is CommonJS: its `require` of a built-in, inside an ES module, becomes Node's own way to ask for one. */
function requiredBuiltins(): NonNullable<Options['esbuildPlugins']>[number] {
  return {
    name: 'required-builtins',
    setup(build) {
      build.onResolve({ filter: /^[a-z:/_]+$/ }, ({ path, kind }) =>
        kind === 'require-call' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
      )
      build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
      }))
    },
  }
}

function licence(name: string): string {
  return `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8')}`
}

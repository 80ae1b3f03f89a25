/**
 * Those who install the tarball: every entry imported and required on each Node, and its types compiled by the TypeScript of
 * yesterday and of today in each way to resolve modules. `npm run package` builds first.
 *
 * The Nodes are `$PINFETCH_NODES/<major>/node_modules/node/bin/node`, as `.ci/run` has them; without it the one that runs this.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { devDependencies, entries, name, pack, run, say, version } from './npm.ts'

const MAJORS = [20, 22, 24, 26]
const COMPILERS = { 'typescript-5.9': 'npm:typescript@~5.9', typescript: devDependencies.typescript }
const RESOLUTIONS = [
  ['Node16', 'Node16'],
  ['NodeNext', 'NodeNext'],
  ['ESNext', 'Bundler'],
] as const

const MODULE = `
import { type Client, type ClientEvent, type ClientOptions, createClient, TrustError } from '${name}'
import * as dangerous from '${name}/dangerous'
import { CODES, type ErrorCode, ManifestError } from '${name}/errors'
import { createTestRepository, startManifestServer, testCa } from '${name}/testing'
${entries.map((entry, index) => `import * as entry${index} from '${entry}'`).join('\n')}

const options: ClientOptions = { pins: { 'api.example.com': ['sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='] } }
const client: Client = createClient(options)
const response: Promise<Response> = client.fetch('https://api.example.com/', { method: 'POST', body: 'x' })
client.on('tls.rejected', ({ code }: Extract<ClientEvent, { type: 'tls.rejected' }>) => CODES[code].fix)
export const code = (error: unknown): ErrorCode | undefined =>
  error instanceof TrustError || error instanceof ManifestError ? error.code : undefined
export const uses: readonly unknown[] = [dangerous, response, createTestRepository, startManifestServer, testCa().anchorPem]
export const all: readonly object[] = [${entries.map((_, index) => `entry${index}`).join(', ')}]
// @ts-expect-error a misspelt security option is no option
createClient({ pin: {} })
`
/** A CommonJS consumer: what Node 20.19 can `require`, NodeNext knows. */
const COMMON = `
${entries.map((entry, index) => `import entry${index} = require('${entry}')`).join('\n')}
export const all: readonly object[] = [${entries.map((_, index) => `entry${index}`).join(', ')}]
export const client: entry0.Client = entry0.createClient({ pins: {} })
`
const RUNS = `
const load = async () => {
  const loaded = {}
  for (const entry of ${JSON.stringify(entries)}) {
    loaded[entry] = await import(entry)
    if (Object.keys(loaded[entry]).length === 0) throw new Error(entry + ' exports nothing')
    if (require(entry).default !== loaded[entry].default) throw new Error(entry + ': require and import differ')
    for (const [name, value] of Object.entries(require(entry))) {
      if (loaded[entry][name] !== value) throw new Error(entry + ': two copies of ' + name)
    }
  }
  if (loaded['${name}'].TrustError !== loaded['${name}/errors'].TrustError) throw new Error('two copies of TrustError')
  if (require('${name}/package.json').version !== '${version}') throw new Error('another version')
  const { configSchema } = loaded['${name}']
  if (JSON.stringify(require('${name}/config.schema.json')) !== JSON.stringify(configSchema())) throw new Error('an old schema')
}
load().catch((error) => {
  console.error(error)
  process.exitCode = 9
})
`
const folder = mkdtempSync(join(tmpdir(), 'consumers-'))
const problems: string[] = []

try {
  install()
  for (const [index, [node, label]] of nodes().entries()) checkLoading(node, label, index === 0)
  for (const compiler of Object.keys(COMPILERS)) {
    for (const [module, resolution] of RESOLUTIONS) checkTypes(compiler, module, resolution)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function install(): void {
  const { filename } = pack(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const tools = Object.entries({
    ...COMPILERS,
    '@types/node': devDependencies['@types/node'],
    '@opentelemetry/api': devDependencies['@opentelemetry/api'],
  }).map(([tool, wanted]) => `${tool}@${wanted}`)
  const how = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  run('npm', ['install', ...how, `./${filename}`, ...tools], folder)
  for (const [file, text] of [
    ['consumer.ts', MODULE],
    ['consumer.cts', COMMON],
    ['loads.cjs', RUNS],
  ] as const) {
    writeFileSync(join(folder, file), text)
  }
}

function nodes(): readonly (readonly [path: string, label: string])[] {
  const given = process.env['PINFETCH_NODES']
  if (given === undefined) {
    if (process.env['CI'] !== undefined) problems.push('PINFETCH_NODES names no folder of Nodes to load the package on')
    else say(`not run: Node ${MAJORS.join(', ')}; PINFETCH_NODES names no folder that has them`)
    return [[process.execPath, process.version]]
  }
  return MAJORS.map((major) => {
    const path = join(given, `${major}/node_modules/node/bin/node`)
    if (!existsSync(path)) throw new Error(`no Node ${major} at ${path}`)
    return [path, run(path, ['--version'], folder).trim()] as const
  })
}

/** All entries, both ways, as one set of classes; where `eachAlone`, each as the first that a process loads too. */
function checkLoading(node: string, label: string, eachAlone: boolean): void {
  const alone = entries.flatMap((entry) => [
    [
      '--input-type=module',
      '--eval',
      `import * as all from '${entry}'; if (Object.keys(all).length === 0) process.exit(9)`,
    ],
    ['--input-type=commonjs', '--eval', `if (Object.keys(require('${entry}')).length === 0) process.exit(9)`],
  ])
  for (const args of [...(eachAlone ? alone : []), ['loads.cjs']]) {
    try {
      run(node, args, folder)
    } catch (error) {
      problems.push(`Node ${label}: ${args.at(-1)}: ${String(error)}`)
    }
  }
  say(`Node ${label}: import and require of ${entries.length} entries, one set of classes`)
}

/** `skipLibCheck` is off: what our declarations name must exist for whoever installs them. What others declare is theirs. */
function checkTypes(compiler: string, module: string, moduleResolution: string): void {
  const compilerOptions = {
    module,
    moduleResolution,
    target: 'ES2023',
    lib: ['ES2023'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
  }
  const files = ['consumer.ts', ...(module === 'NodeNext' ? ['consumer.cts'] : [])]
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const tsc = join(folder, 'node_modules', compiler, 'bin/tsc')
  const output = run(process.execPath, [tsc, '--pretty', 'false'], folder, true)
  const release = run(process.execPath, [tsc, '--version'], folder).trim()
  const ours = output.split('\n').filter((line) => /^(consumer\.c?ts|node_modules\/pinfetch\/|error )/.test(line))
  problems.push(...ours.map((line) => `TypeScript ${release}, ${moduleResolution}: ${line}`))
  say(`TypeScript ${release}, ${moduleResolution}: ${ours.length} problems`)
}

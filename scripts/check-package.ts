/**
 * What a user gets: the tarball, installed from the registry into an empty folder, imported both ways, run and
 * type-checked there. `npm run package` builds first.
 */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

const ROOT = resolve(import.meta.dirname, '..')
const { name, version, exports, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const entries = Object.keys(exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => join(name, path))
const CONSUMER = `
import { type Client, type ClientEvent, type ClientOptions, createClient, TrustError } from '${name}'
import * as dangerous from '${name}/dangerous'
import { CODES, type ErrorCode, ManifestError } from '${name}/errors'
import { createTestRepository, startManifestServer, testCa } from '${name}/testing'

const options: ClientOptions = { pins: { 'api.example.com': ['sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='] } }
const client: Client = createClient(options)
const response: Promise<Response> = client.fetch('https://api.example.com/', { method: 'POST', body: 'x' })
client.on('tls.rejected', ({ code }: Extract<ClientEvent, { type: 'tls.rejected' }>) => CODES[code].fix)
export const code = (error: unknown): ErrorCode | undefined =>
  error instanceof TrustError || error instanceof ManifestError ? error.code : undefined
export const uses: readonly unknown[] = [dangerous, response, createTestRepository, startManifestServer, testCa().anchorPem]
// @ts-expect-error a misspelt security option is no option
createClient({ pin: {} })
`
const folder = mkdtempSync(join(tmpdir(), 'check-package-'))
const problems: string[] = []

try {
  const packed = pack()
  checkFiles(packed.files.map(({ path }) => path))
  install(packed)
  checkDeclarations()
  checkImports()
  checkGlobals()
  checkPinning()
  checkCommand()
  checkTypes('NodeNext', 'NodeNext')
  checkTypes('ESNext', 'Bundler')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function pack(): Packed {
  const [packed]: readonly Packed[] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], ROOT))
  if (packed === undefined) throw new Error('npm pack made nothing')
  const kib = (bytes: number): string => `${Math.round(bytes / 1024)} KiB`
  say(`${packed.filename}: ${kib(packed.size)} packed, ${kib(packed.unpackedSize)} unpacked, Node ${process.version}`)
  return packed
}

function checkFiles(paths: readonly string[]): void {
  const allowed = /^(dist\/[^/]+|README\.md|CHANGELOG\.md|SECURITY\.md|LICENSE|package\.json)$/
  for (const path of paths) if (!allowed.test(path)) problems.push(`the tarball holds ${path}`)
  for (const entry of [...entries.map((path) => path.split('/')[1] ?? 'index'), 'cli']) {
    if (!paths.includes(`dist/${entry}.js`)) problems.push(`the tarball lacks dist/${entry}.js`)
  }
}

function install({ filename }: Packed): void {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const tools = ['typescript', '@types/node', '@opentelemetry/api'].map((tool) => `${tool}@${devDependencies[tool]}`)
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', `./${filename}`, ...tools])
  say(`installs ${run('npm', ['ls', '--all', '--parseable', '--omit=dev']).trim().split('\n').length - 1} packages`)
}

/**
 * The types of a dependency must not become ours: its next major version would be ours too. But for what is handed out or taken:
 * `client.dispatcher` is a Dispatcher of undici, or of no use to it; `instrument` takes providers of OpenTelemetry, its optional peer.
 */
function checkDeclarations(): void {
  const dist = join(folder, 'node_modules', name, 'dist')
  for (const file of readdirSync(dist).filter((path) => path.endsWith('.d.ts'))) {
    const text = readFileSync(join(dist, file), 'utf8')
    const own = text
      .replaceAll(/^import (?:\{ Dispatcher \} from )?'undici';$/gm, '')
      .replaceAll(file === 'otel.d.ts' ? /^import \{ [\w, ]+ \} from '@opentelemetry\/api';$/gm : /^$/gm, '')
    for (const [, from = ''] of own.matchAll(/(?:from|import) '([^']+)'/g)) {
      if (!from.startsWith('.') && !from.startsWith('node:')) problems.push(`${file}: the types of ${from} are public`)
    }
  }
  for (const file of readdirSync(dist)) {
    if (readFileSync(join(dist, file), 'utf8').includes(ROOT))
      problems.push(`${file}: names a folder of the build machine`)
  }
}

function checkImports(): void {
  runModule(`
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
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
  `)
  run(process.execPath, ['--input-type=commonjs', '--eval', entries.map((entry) => `require('${entry}')`).join('\n')])
  say(`${entries.join(', ')}: import and require give the same classes`)
}

/** undici installs itself as the dispatcher of the whole process when it is loaded before Node's own fetch was. */
function checkGlobals(): void {
  for (const first of ['', 'void globalThis.fetch', 'await fetch("data:,")']) {
    runModule(`
      ${first}
      const names = () => [...Object.getOwnPropertyNames(globalThis), ...process.eventNames()].map(String)
      const key = Symbol.for('undici.globalDispatcher.1')
      const [before, dispatcher] = [names(), globalThis[key]]
      for (const entry of ${JSON.stringify(entries)}) await import(entry)
      const added = names().filter((name) => !before.includes(name) && !name.startsWith('__zod_')) // zod's registries
      if (added.length > 0) throw new Error('globals were added: ' + added)
      if (dispatcher !== undefined && globalThis[key] !== dispatcher) throw new Error('the dispatcher was replaced')
      const { createRequire } = await import('node:module')
      const undici = createRequire(import.meta.resolve('${name}'))('undici')
      if (globalThis[key] instanceof undici.Dispatcher) throw new Error('the process-wide dispatcher is the package undici')
      for (const name of ['fetch', 'FormData', 'Headers', 'Request', 'Response']) {
        if (globalThis[name] === undici[name]) throw new Error(name + ' was replaced')
      }
    `)
  }
  say('importing changes no global')
}

function checkPinning(): void {
  runModule(`
    import { createClient } from '${name}'
    import { TrustError } from '${name}/errors'
    import { startTlsServer, testCa } from '${name}/testing'
    const ca = testCa()
    const identity = ca.issue({ names: ['localhost'] })
    const server = await startTlsServer({ identity })
    const ask = async (pins) => {
      const client = createClient({ pins: { localhost: pins }, anchors: ca.anchorPem })
      const outcome = await client.fetch(server.origin).catch((error) => error)
      await client.close()
      return outcome
    }
    const { status } = await ask([identity.pin, ca.root.pin])
    if (status !== 200) throw new Error('a pinned server was refused')
    const [one, two] = [1, 2].map(() => ca.issue({ names: ['localhost'] }).pin)
    const refusal = await ask([one, two])
    if (!(refusal instanceof TrustError) || refusal.code !== 'ERR_TRUST_PIN_MISMATCH') throw refusal
    if (server.requests.length !== 1) throw new Error('a refused server got a request')
    await server.close()
  `)
  say('a pinned request passes, a wrong key is a TrustError')
}

function checkCommand(): void {
  const printed = run('npx', ['--no-install', name, '--version']).trim()
  if (printed !== version) problems.push(`npx ${name} --version prints ${printed}`)
  run('npx', ['--no-install', name, '--help'])
  say(`npx ${name} --version: ${printed}`)
}

/** `skipLibCheck` is off: what our declarations name must exist for whoever installs them. */
function checkTypes(module: string, moduleResolution: string): void {
  const target = { module, moduleResolution, target: 'ES2023', lib: ['ES2023'], types: ['node'] }
  const compilerOptions = {
    ...target,
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER)
  const output = run('npx', ['--no-install', 'tsc', '--pretty', 'false'], folder, true)
  const ours = output.split('\n').filter((line) => /^(consumer\.ts|node_modules\/pinfetch\/)/.test(line))
  problems.push(...ours.map((line) => `types under ${moduleResolution}: ${line}`))
  say(`types under ${moduleResolution}: ${ours.length} problems`)
}

function runModule(text: string): void {
  run(process.execPath, ['--input-type=module', '--eval', text])
}

function run(program: string, args: readonly string[], cwd = folder, tolerant = false): string {
  const options: ExecFileSyncOptions = { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }
  try {
    return String(execFileSync(program, args, options))
  } catch (error) {
    if (tolerant && error instanceof Error && 'stdout' in error) return String(error.stdout)
    throw error
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * What a user gets: the tarball, what is in it and what it weighs, its bill of materials; then installed from the registry into an
 * empty folder and run there. `npm run package` builds first; `consumers.ts` loads and compiles it in every way.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dependencies, entries, name, type Packed, pack, ROOT, run, say, version } from './npm.ts'
import type { Bill } from './sbom.ts'

/** What the tarball holds, and nothing else: entries, the chunks that they share or load late, what a reader wants beside them. */
const CONTENTS: readonly RegExp[] = [
  /^(README|CHANGELOG|SECURITY)\.md$/,
  /^(LICENSE|package\.json)$/,
  /^dist\/(index|testing|dangerous|errors|auth|signing|monitor|otel)\.(js|js\.map|d\.ts)$/,
  /^dist\/cli\.(js|js\.map|licenses\.txt)$/,
  /^dist\/config\.schema\.json$/,
  /^dist\/[a-z0-9-]+-[\w-]{8}\.(js|js\.map|d\.ts)$/,
]
/** In KiB: a fifth above what it was when the number was written. What grows past it is either worth a new number, or a mistake. */
const BUDGET_KIB = { packed: 2_300, unpacked: 8_300, 'code that the main entry loads': 1_400 }

const folder = mkdtempSync(join(tmpdir(), 'check-package-'))
const problems: string[] = []

try {
  const packed = pack(folder)
  checkFiles(packed.files.map(({ path }) => path))
  checkSizes(packed)
  install(packed)
  checkBill()
  checkDeclarations()
  checkGlobals()
  checkPinning()
  checkCommand()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function checkFiles(paths: readonly string[]): void {
  for (const path of paths) if (!CONTENTS.some((one) => one.test(path))) problems.push(`the tarball holds ${path}`)
  const expected = [...entries.map((path) => path.split('/')[1] ?? 'index'), 'cli'].map((entry) => `dist/${entry}.js`)
  for (const path of [...expected, 'dist/config.schema.json', 'README.md', 'SECURITY.md', 'CHANGELOG.md', 'LICENSE']) {
    if (!paths.includes(path)) problems.push(`the tarball lacks ${path}`)
  }
}

function checkSizes({ filename, size, unpackedSize }: Packed): void {
  const kib = (bytes: number): number => Math.round(bytes / 1024)
  const sizes = {
    packed: kib(size),
    unpacked: kib(unpackedSize),
    'code that the main entry loads': kib(loadedBy('index.js')),
  }
  for (const [what, budget] of Object.entries(BUDGET_KIB)) {
    const found = sizes[what as keyof typeof sizes]
    say(`${filename}, ${what}: ${found} of ${budget} KiB`)
    if (found > budget) problems.push(`${what}: ${found} KiB, where the budget is ${budget}`)
  }
}

/** The bytes of a file of dist/ and of all that it imports statically. */
function loadedBy(entry: string, seen = new Set<string>()): number {
  if (seen.has(entry)) return 0
  seen.add(entry)
  const text = readFileSync(join(ROOT, 'dist', entry), 'utf8')
  const imported = [...text.matchAll(/^(?:import|export|\})[^;]*?["']\.\/([\w.-]+\.js)["'];$/gm)].map(
    ([, path = '']) => path,
  )
  return imported.reduce((sum, path) => sum + loadedBy(path, seen), Buffer.byteLength(text))
}

/** The bill of materials names what npm has just installed for a user, no less and no more. The optional peer is the test's own. */
function checkBill(): void {
  const bill: Bill = JSON.parse(run('npm', ['run', '--silent', 'sbom'], ROOT))
  const listed = run('npm', ['query', '*'], folder)
  const installed = (JSON.parse(listed) as { readonly name: string; readonly location: string }[])
    .filter((one) => one.location.startsWith('node_modules/') && ![name, '@opentelemetry/api'].includes(one.name))
    .map((one) => one.name)
  const [named, wanted] = [bill.components.map((part) => part.name), installed].map((list) =>
    list.toSorted().join(', '),
  )
  if (named !== wanted) problems.push(`the bill of materials names ${named}; a user gets ${wanted}`)
  for (const one of Object.keys(dependencies)) {
    if (!bill.components.some((part) => part.name === one)) problems.push(`the bill of materials lacks ${one}`)
  }
  say(`bill of materials: ${named}`)
}

function install({ filename }: Packed): void {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const how = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  run('npm', ['install', ...how, `./${filename}`, '@opentelemetry/api'], folder)
  const listed = run('npm', ['ls', '--all', '--parseable', '--omit=dev'], folder)
  say(`installs ${listed.trim().split('\n').length - 1} packages`)
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
  const printed = run('npx', ['--no-install', name, '--version'], folder).trim()
  if (printed !== version) problems.push(`npx ${name} --version prints ${printed}`)
  run('npx', ['--no-install', name, '--help'], folder)
  say(`npx ${name} --version: ${printed}`)
}

function runModule(text: string): void {
  run(process.execPath, ['--input-type=module', '--eval', text], folder)
}

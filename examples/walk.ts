/**
 * A newcomer's first hour, typed by a script that checks each answer: pin a server of one's own, rotate its key, break it, read the
 * error, fix it. `npx tsx examples/walk.ts`; with `--clone`, the checkout is cloned first and README's first command typed there; with
 * `--built`, the command and the library are those of `npm run build`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startTlsServer, testCa } from 'pinfetch/testing'

const ROOT = join(import.meta.dirname, '..')
const isBuilt = process.argv.includes('--built')
const folder = mkdtempSync(join(tmpdir(), 'pinfetch-walk-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

if (process.argv.includes('--clone')) await clone()

// Your server, with its key and the one in reserve; and two keys that come later.
const ca = testCa()
const [current, reserve, next, forgotten] = ['current', 'reserve', 'next', 'forgotten'].map((name) => {
  const certificate = ca.issue({ names: ['localhost'] })
  writeFileSync(join(folder, `${name}.pem`), certificate.pem)
  return certificate
})
if (!current || !reserve || !next || !forgotten) throw new Error('no keys')
writeFileSync(join(folder, 'ca.pem'), ca.anchorPem)
const server = await startTlsServer({ identity: current })

// Your service: five lines.
const library = isBuilt ? 'pinfetch' : pathToFileURL(join(ROOT, 'src/index.ts')).href
writeFileSync(
  join(folder, 'app.mjs'),
  `import { readFileSync } from 'node:fs'
import { createClient } from '${library}'
const client = createClient({ manifest: { url: './public', root: './pins/root.json', memoryOnly: true }, anchors: readFileSync('ca.pem', 'utf8') })
console.log((await client.fetch('${server.origin}/')).status)
await client.close()
`,
)
if (isBuilt) {
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(ROOT, join(folder, 'node_modules/pinfetch'))
}

console.log('# pin a server')
await typed('npx pinfetch pin current.pem', { says: current.pin })
await typed('npx pinfetch init --profile solo ./pins', { says: 'root.json' })
await typed(`npx pinfetch manifest add-host localhost --dir ./pins --pin ${current.pin} --backup reserve.pem`, {
  says: current.pin,
})
await typed('npx pinfetch manifest publish --dir ./pins --to ./public', { says: 'running clients refuse' })
await typed('node app.mjs', { says: '200' })

console.log('# rotate its key')
const connect = `--connect localhost:${server.port} --ca ca.pem`
await typed(`npx pinfetch rotate localhost --dir ./pins --to ./public --backup next.pem ${connect}`, {
  says: 'not before',
})
server.setIdentity(next) // in earnest not before the time that it says
await typed('node app.mjs', { says: '200' })

console.log('# break it')
server.setIdentity(forgotten)
const error = await typed('node app.mjs', { exits: 1, says: 'ERR_TRUST_PIN_MISMATCH' })

console.log('# read the error')
await typed('npx pinfetch explain ERR_TRUST_PIN_MISMATCH', { says: 'pin' })
const verify = `npx pinfetch verify ${server.origin} --manifest ./public --root ./pins/root.json --ca ca.pem`
await typed(verify, { exits: 1, says: 'ERR_TRUST_PIN_MISMATCH' })
const seen = /(sha256\/\S+) +endEntity/.exec(error)?.[1] ?? 'no pin'

console.log('# fix it: the key is yours, as its own file says')
await typed('npx pinfetch pin forgotten.pem', { says: seen })
await typed(`npx pinfetch manifest add-pin localhost ${seen} --dir ./pins`, { says: seen })
await typed('npx pinfetch manifest publish --dir ./pins --to ./public', { says: 'running clients refuse' })
await typed('node app.mjs', { says: '200' })
await typed(verify, { says: 'trusted' })
await server.close()
console.log('Every answer was the one that was expected.')

/** Runs a line in the folder. @throws Error where it does not say so, or exits otherwise. */
async function typed(line: string, { exits = 0, says }: { exits?: number; says: string }): Promise<string> {
  const words = line.split(' ')
  const cli = isBuilt ? [join(ROOT, 'dist/cli.js')] : [join(ROOT, 'src/cli/main.ts')]
  const tsx = isBuilt ? [] : ['--import', import.meta.resolve('tsx')]
  const args = words[0] === 'node' ? [...tsx, ...words.slice(1)] : [...tsx, ...cli, ...words.slice(2)]
  const env = { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', VITEST: undefined }
  const { code, output } = await run(process.execPath, args, folder, env)
  if (code !== exits || !output.includes(says))
    throw new Error(`${line}\nexit code ${code}, expected ${exits}; expected “${says}” in:\n${output}`)
  console.log(`$ ${line}`)
  return output
}

/** What is committed, as everybody gets it, and the first of README's two commands; the second takes as long as all of CI. */
async function clone(): Promise<void> {
  console.log('# clone it, and see it')
  const git = spawnSync('git', ['--version']).status === 0
  if (!git || !existsSync(join(ROOT, '.git'))) {
    console.log(`skipped: ${git ? 'this is no checkout of git' : 'git is not installed'}`)
    return
  }
  const to = join(folder, 'pinfetch')
  const env = { ...process.env, npm_config_prefer_offline: 'true' } // what npm has already is not fetched again
  const lines = [
    ['git', 'clone', '--quiet', '--depth=1', pathToFileURL(ROOT).href, to],
    ['npm', 'ci', '--no-audit', '--no-fund'],
    ['npm', 'run', 'demo'],
  ] as const
  for (const [program, ...args] of lines) {
    const { code, output } = await run(program, args, program === 'git' ? folder : to, env)
    const line = [program, ...args].join(' ')
    if (code !== 0) throw new Error(`${line}\nexit code ${code}:\n${output}`)
    console.log(`$ ${line}`)
  }
  rmSync(to, { recursive: true, force: true })
}

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, output }
}

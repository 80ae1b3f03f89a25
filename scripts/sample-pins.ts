/**
 * Makes pins/sample anew, by the commands that an operator types, as of one instant: `npx tsx scripts/sample-pins.ts [folder]`.
 * The keys are made, used and thrown away with the temporary folder that they are in.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { runCli } from '../src/cli/program.ts'

const NOW = Date.UTC(2026, 10, 22, 11)
const PINS = [
  'sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  'sha256/n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=',
]
const NEXT = 'sha256/ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='

const target = resolve(process.argv[2] ?? join(import.meta.dirname, '../pins/sample'))
const around = await mkdtemp(join(tmpdir(), 'pinfetch-sample-'))
const dir = join(around, 'pins')
const to = join(around, 'public')

const HOUR_MS = 3_600_000
await type(0, 'init', dir, '--repo', 'acme/pins', '--profile', 'team')
await type(0, 'manifest', 'add-host', 'api.bank.com', '--dir', dir, '--pin', ...PINS)
await type(0, 'manifest', 'publish', '--dir', dir, '--to', to)
await type(1, 'manifest', 'add-pin', 'api.bank.com', NEXT, '--label', 'from 2027 on', '--dir', dir)
await type(1, 'manifest', 'publish', '--dir', dir, '--to', to)
await type(1, 'monitor', '--dir', to, '--root', join(dir, 'root.json'), '--fail-on', 'warn')

for (const name of await readdir(join(dir, 'jobs'))) {
  const path = join(dir, 'jobs', name)
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll(around, '/srv/acme')) // where an operator has it
}
await rm(target, { recursive: true, force: true })
await cp(dir, target, { recursive: true })
await rm(around, { recursive: true })

async function type(hours: number, ...argv: readonly string[]): Promise<void> {
  let said = ''
  const output = {
    write: (text: string) => {
      said += text
    },
  }
  const io = { stdin: Object.assign(nothing(), { isTTY: false }), stdout: output, stderr: output, env: {} }
  const exitCode = await runCli(argv, { ...io, now: () => NOW + hours * HOUR_MS })
  if (exitCode !== 0) throw new Error(`pinfetch ${argv.join(' ')}: exit ${exitCode}\n${said}`)
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

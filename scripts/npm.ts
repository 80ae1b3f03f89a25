/** What the scripts about the package share: what it says of itself, programs that are run, and the tarball. */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string; readonly size: number }[]
}

export const ROOT = resolve(import.meta.dirname, '..')
export const { name, version, exports, dependencies, devDependencies } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
)

/** `pinfetch`, `pinfetch/testing` and so on: what has code behind it. */
export const entries = Object.keys(exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => join(name, path))

/** Into `folder`, as `npm publish` would send it. */
export function pack(folder: string): Packed {
  const [packed]: readonly Packed[] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], ROOT))
  if (packed === undefined) throw new Error('npm pack made nothing')
  return packed
}

/** What it prints; a status other than 0 is thrown, or taken where the caller is `tolerant`. */
export function run(program: string, args: readonly string[], cwd: string, tolerant = false): string {
  const options: ExecFileSyncOptions = { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }
  try {
    return String(execFileSync(program, args, options))
  } catch (error) {
    if (tolerant && error instanceof Error && 'stdout' in error) return String(error.stdout)
    throw error
  }
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

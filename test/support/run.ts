import { spawn } from 'node:child_process'

export interface Run {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program in a process of its own, for what a process decides once: its environment, flags, globals, exit. */
export function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ''): Promise<Run> {
  return new Promise((resolve, reject) => {
    const inherited = { ...process.env, NODE_OPTIONS: '', VITEST: undefined }
    const child = spawn(process.execPath, args, { env: { ...inherited, ...env }, stdio: 'pipe' })
    child.stdin.on('error', () => undefined).end(input) // a program that ends early does not read it
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => (output.stdout += String(chunk)))
    child.stderr.on('data', (chunk) => (output.stderr += String(chunk)))
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, ...output }))
  })
}

/** Runs a module text that may import the sources: `import { createClient } from './src/index.ts'`. */
export function runModule(
  text: string,
  env?: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<Run> {
  return run([...flags, '--import', 'tsx', '--input-type=module', '--eval', text], env)
}

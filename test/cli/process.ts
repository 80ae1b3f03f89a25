import { spawn } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface Typed {
  readonly exitCode: number | null
  /** Both streams, as a terminal shows them. */
  readonly output: string
  readonly ms: number
}

export interface Terminal {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** What a person types when the last question shows this text; without any, both streams are pipes. */
  readonly answers?: readonly (readonly [question: string, answer: string])[]
}

/** Runs `npx pinfetch …` as typed, from the sources. With answers it runs in a pseudo-terminal, made by script(1). */
export function type(line: string, { cwd, env = {}, answers }: Terminal): Promise<Typed> {
  const words = line.replace(/\s+#.*$/, '').match(/"[^"]*"|\S+/g) ?? []
  const [npx, pinfetch, ...args] = words.map((word) => word.replace(/^"(.*)"$/, '$1'))
  if (npx !== 'npx' || pinfetch !== 'pinfetch') throw new Error(`not a command of ours: ${line}`)
  const command = [
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    '--import',
    join(ROOT, 'test/cli/reroute.ts'),
  ]
  const all = [...command, join(ROOT, 'src/cli/main.ts'), ...args]
  const started = performance.now()
  const inherited = { ...process.env, NODE_OPTIONS: '', VITEST: undefined, NO_COLOR: '1', ...env }
  const child =
    answers === undefined
      ? spawn(all[0] ?? '', all.slice(1), { cwd, env: inherited })
      : spawn('script', ['-qec', all.map(quoted).join(' '), '/dev/null'], { cwd, env: inherited })
  const waiting = [...(answers ?? [])]
  let output = ''
  let since = 0
  const onData = (chunk: Buffer): void => {
    output += String(chunk)
    const [next] = waiting
    if (next === undefined || !output.slice(since).includes(next[0])) return
    since = output.length
    waiting.shift()
    child.stdin.write(`${next[1]}\r`)
  }
  child.stdout.on('data', onData)
  child.stderr.on('data', onData)
  if (answers === undefined) child.stdin.end()
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, output, ms: performance.now() - started }))
  })
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

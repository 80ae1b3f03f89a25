import { spawn } from 'node:child_process'

export interface CommandAnswer {
  /** `null` when it could not be started, or was ended by a signal. */
  readonly exitCode: number | null
  readonly stdout: Uint8Array
  /** What it says about itself: its error output, or why it did not start. One line. */
  readonly complaint: string
}

/** Runs a program without a shell, so that no file name can become a command. */
export function runCommand(words: readonly string[], stdin: Uint8Array, signal?: AbortSignal): Promise<CommandAnswer> {
  const [program = '', ...args] = words
  return new Promise((resolve) => {
    const { PINFETCH_PASSPHRASE: _, ...env } = process.env // the keys in files are no business of another program
    const child = spawn(program, args, { env, timeout: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) })
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    let failure: string | undefined
    child.stdout.on('data', (chunk: Buffer) => output.stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.stderr.push(chunk))
    child.stdin.on('error', () => {}) // a program that does not read is judged by what it answers
    child.on('error', (error) => {
      failure = error.message
    })
    child.on('close', (exitCode) => {
      const said = Buffer.concat(output.stderr).toString('utf8').trim().split('\n').at(-1) ?? ''
      const complaint = failure ?? (said === '' ? `ended with ${exitCode ?? 'a signal'}` : said)
      const stdout = new Uint8Array(Buffer.concat(output.stdout))
      resolve({ exitCode: failure === undefined ? exitCode : null, stdout, complaint: printable(complaint) })
    })
    child.stdin.end(stdin)
  })
}

/** Words as a shell would split them, quotes included; nothing is expanded. `undefined` for an open quote. */
export function wordsOf(text: string): readonly string[] | undefined {
  const words: string[] = []
  let rest = text.trim()
  while (rest !== '') {
    const [whole, word] = WORD.exec(rest) ?? []
    if (whole === undefined || word === undefined) return undefined
    words.push(word.replace(PIECE, (piece, double?: string, single?: string) => double ?? single ?? piece))
    rest = rest.slice(whole.length)
  }
  return words
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)

const WORD = /^((?:"[^"]*"|'[^']*'|[^\s"'])+)\s*/
const PIECE = /"([^"]*)"|'([^']*)'/g
const TIMEOUT_MS = 120_000 // a token may wait for a finger

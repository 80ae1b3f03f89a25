import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Questions to a person. Exists only where both ends are a terminal: a pipe never waits. */
export interface Prompts {
  readonly confirm: (question: string) => Promise<boolean>
  /** What is typed is not shown. */
  readonly secret: (question: string) => Promise<string>
}

export function terminalPrompts(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Prompts {
  const ask = async (question: string, isSecret: boolean): Promise<string> => {
    let isMuted = false
    const echo = new Writable({
      write: (chunk, _, done) => {
        if (!isMuted) output.write(chunk)
        done()
      },
    })
    const lines = createInterface({ input, output: echo, terminal: true })
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
    try {
      const answer = lines.question(question)
      isMuted = isSecret
      return await Promise.race([answer, ended])
    } finally {
      lines.close()
      if (isSecret) output.write('\n')
    }
  }
  return {
    confirm: async (question) => /^y(es)?$/i.test((await ask(`${question} [y/N] `, false)).trim()),
    secret: (question) => ask(`${question} `, true),
  }
}

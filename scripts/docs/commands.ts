/**
 * Every command with its arguments, options and examples, as a page of the reference: `.reference/commands.markdown`, which `typedoc` takes
 * along. Made from the program itself, so that there is no option that it lacks.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'

const FOLDER = join(import.meta.dirname, '../../.reference')

/** The page. @throws Error for a command, an argument or an option that says nothing of itself. */
export function commandPage(): string {
  const silent: string[] = []
  const sections = leavesOf(programToRead()).map(({ path, command }) => section(path, command, silent))
  if (silent.length > 0) throw new Error(`these say nothing of themselves: ${silent.join(', ')}`)
  return ['---', 'title: Commands', '---', '', '# Commands', '', ...sections, ''].join('\n')
}

interface Leaf {
  readonly path: string
  readonly command: Command
}

function leavesOf(command: Command, path: readonly string[] = []): readonly Leaf[] {
  const words = [...path, command.name()]
  if (command.commands.length === 0) return [{ path: words.join(' '), command }]
  return command.commands.flatMap((one) => leavesOf(one, words))
}

function section(path: string, command: Command, silent: string[]): string {
  const about = command.summary() || command.description()
  if (about === '') silent.push(path)
  const arguments_ = command.registeredArguments.map((one) => ({ name: one.name(), about: one.description }))
  const options = command.options.map((one) => ({ name: one.flags, about: one.description }))
  const rows = [...arguments_, ...options].map(({ name, about: said }) => {
    if (said === '') silent.push(`${path} ${name}`)
    return `| \`${name.replaceAll('|', '\\|')}\` | ${escaped(said)} |`
  })
  return [
    `## ${path} ${command.usage().replace('[options] ', '')}`,
    '',
    about,
    '',
    '| | |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n')
}

const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

/** The program, for reading alone: nothing of it is run. */
export function programToRead(): Command {
  const refuse = (): never => {
    throw new Error('nothing is run here')
  }
  const io = { stdout: { write: refuse }, stderr: { write: refuse } } as unknown as Parameters<typeof createProgram>[0]
  return createProgram(io, refuse)
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'commands.markdown'), commandPage())
}

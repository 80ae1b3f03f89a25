import type { Argument, Command, Option } from 'commander'
import { CODES } from '../errors/codes.ts'
import { LINT_RULES } from '../publisher/lint-rules.ts'

/** What may stand after a command. */
export interface CompletedCommand {
  /** After `pinfetch`: `['manifest', 'sign']`; none for `pinfetch` itself. */
  readonly path: readonly string[]
  readonly commands: readonly { readonly name: string; readonly about: string }[]
  readonly options: readonly CompletedOption[]
  readonly arguments: readonly { readonly name: string; readonly values: Values; readonly isVariadic: boolean }[]
}

export interface CompletedOption {
  readonly flag: string
  readonly about: string
  /** Absent for one that takes nothing. */
  readonly value?: { readonly name: string; readonly values: Values; readonly isVariadic: boolean }
}

/** `'unknown'` is a host, a time, a pin: what no shell can guess. */
export type Values = 'files' | 'folders' | 'unknown' | readonly string[]

/** Every command of the program, itself included; a command before those below it. */
export function commandsOf(command: Command, path: readonly string[] = []): readonly CompletedCommand[] {
  const { commands, registeredArguments } = command
  const one: CompletedCommand = {
    path,
    commands: commands.map((below) => ({ name: below.name(), about: below.summary() })),
    options: command.createHelp().visibleOptions(command).map(completedOption),
    arguments: registeredArguments.map((argument) => ({
      name: argument.name(),
      values: valuesOf(argument.name(), argument),
      isVariadic: argument.variadic,
    })),
  }
  return [one, ...commands.flatMap((below) => commandsOf(below, [...path, below.name()]))]
}

function completedOption(option: Option): CompletedOption {
  const { long, flags, description: about, required, optional, variadic: isVariadic } = option
  const flag = long ?? flags
  if (!required && !optional) return { flag, about }
  const name = /[<[]([\w:]+)/.exec(flags)?.[1] ?? ''
  return { flag, about, value: { name, values: valuesOf(name, option), isVariadic } }
}

/** The choices that the program knows, or else what the name says. */
function valuesOf(name: string, { argChoices }: Pick<Option | Argument, 'argChoices'>): Values {
  return argChoices ?? NAMED[name] ?? 'unknown'
}

const NAMED: Readonly<Record<string, Values>> = {
  dir: 'folders',
  code: Object.keys(CODES),
  finding: Object.keys(LINT_RULES),
  ...Object.fromEntries(
    [
      ...['a', 'b', 'config', 'document', 'documents', 'file', 'json', 'key', 'list', 'module', 'path', 'pem'],
      ...['place', 'source', 'sources'],
    ].map((name) => [name, 'files'] as const),
  ),
}

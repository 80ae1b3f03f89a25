import type { CompletedCommand, CompletedOption, Values } from './completion-tree.ts'
import { versionOfPackage } from './version.ts'

export type Shell = 'bash' | 'zsh' | 'fish'

/** What the shell evaluates. Pure. */
export function scriptFor(shell: Shell, commands: readonly CompletedCommand[]): string {
  const made = `# Made by pinfetch ${versionOfPackage()}: pinfetch completion ${shell}`
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands, made)
}

/** A table of what may stand where, and a walk over the words so far. Bash 3.2, which macOS has, knows no `compopt`. */
function bashScript(commands: readonly CompletedCommand[], made: string): string {
  return `${made}
_pinfetch_at() {
  takes=one offers=
  case $1 in
${commands.flatMap(bashRows).join('\n')}
  *) return 1 ;;
  esac
}

_pinfetch() {
  local current=\${COMP_WORDS[COMP_CWORD]} command= option= position=1 closed= takes offers word
  [[ $current == = ]] && current=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == = ]]; then continue # bash takes --option=value for three words
    elif [[ -z $closed && $word == -- ]]; then closed=yes option=
    elif [[ -z $closed && $word == -?* ]]; then option= && _pinfetch_at "$command $word" && option=$word
    elif [[ -n $option ]]; then _pinfetch_at "$command $option" && [[ $takes == many ]] || option=
    elif [[ $position == 1 ]] && _pinfetch_at "$command $word:"; then command="$command $word"
    else position=$((position + 1))
    fi
  done
  [[ -n $option ]] && _pinfetch_at "$command $option"
  if [[ -z $closed && $current == -* && ( -z $option || $takes == many ) ]]; then _pinfetch_at "$command -"
  elif [[ -z $option ]]; then
    _pinfetch_at "$command:" && [[ -n $offers ]] || _pinfetch_at "$command $position" ||
      _pinfetch_at "$command *" || _pinfetch_at "$command -"
  fi
  case $offers in
  @files) set -- -f ;;
  @folders) set -- -d ;;
  *) set -- -W "$offers" ;;
  esac
  [[ $offers == @* ]] && compopt -o filenames 2>/dev/null
  COMPREPLY=()
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$@" -- "$current")
}
complete -F _pinfetch pinfetch`
}

/** Keys: ` manifest sign:` the command, ` manifest sign -` its options, ` manifest sign --type` one of them, ` manifest sign 1` an argument. */
function bashRows({ path, commands, options, arguments: given }: CompletedCommand): readonly string[] {
  const at = path.map((word) => ` ${word}`).join('')
  const row = (key: string, offers: string, isVariadic = false): string =>
    `  ${quoted(at + key)}) ${isVariadic ? 'takes=many ' : ''}offers=${quoted(offers)} ;;`
  return [
    row(':', commands.map(({ name }) => name).join(' ')),
    row(' -', options.map(({ flag }) => flag).join(' ')),
    ...options.flatMap(({ flag, value }) =>
      value === undefined ? [] : [row(` ${flag}`, bashOffers(value.values), value.isVariadic)],
    ),
    ...given.map(({ values, isVariadic }, index) => row(isVariadic ? ' *' : ` ${index + 1}`, bashOffers(values))),
  ]
}

function bashOffers(values: Values): string {
  if (values === 'unknown') return ''
  return typeof values === 'string' ? `@${values}` : values.join(' ')
}

/** `_arguments` and `_describe` do the rest. As a file of `fpath` the function is called at the first use, or else registered. */
function zshScript(commands: readonly CompletedCommand[], made: string): string {
  const deepestFirst = [...commands].sort((a, b) => b.path.length - a.path.length)
  return `#compdef pinfetch
${made}
compdef _pinfetch pinfetch

_pinfetch() {
  local -a commands
  case "\${(j: :)words[2,CURRENT-1]} " in
${deepestFirst.map(zshCase).join('\n')}
  esac
}

if [[ $funcstack[1] == _pinfetch ]]; then _pinfetch "$@"; fi`
}

function zshCase({ path, commands, options, arguments: given }: CompletedCommand): string {
  const known = path.map((word) => `${word} `).join('')
  const specs = [
    ...options.map(zshOption),
    ...given.map(
      ({ name, values, isVariadic }, index) => `${isVariadic ? '*' : index + 1}:${name}:${zshAction(values)}`,
    ),
  ].map(quoted)
  const names = commands.map(({ name, about }) => quoted(`${name}:${about}`))
  return [
    `  ${quoted(known)}*)`,
    `    shift ${path.length} words`,
    `    (( CURRENT -= ${path.length} ))`,
    ...(names.length === 0
      ? [`    _arguments ${specs.join(' \\\n      ')} ;;`]
      : [
          `    commands=(${names.join('\n      ')})`,
          `    [[ $words[CURRENT] == -* ]] && _arguments ${specs.join(' ')} || _describe command commands ;;`,
        ]),
  ].join('\n')
}

function zshOption({ flag, about, value }: CompletedOption): string {
  const said = `[${about.replace(/[\\\]]/g, '\\$&')}]`
  if (value === undefined) return `${flag}${said}`
  const { name, values, isVariadic } = value
  return `${isVariadic ? '*' : ''}${flag}=${said}:${name.replaceAll(':', '\\:')}:${zshAction(values)}`
}

function zshAction(values: Values): string {
  if (values === 'files') return '_files'
  if (values === 'folders') return '_directories'
  return values === 'unknown' ? ' ' : `(${values.join(' ')})`
}

function fishScript(commands: readonly CompletedCommand[], made: string): string {
  return `${made}
function __pinfetch_words
  commandline -opc | string match -v -- '-*'
end
function __pinfetch_at
  set -l words (__pinfetch_words)
  test "$words[2..]" = "$argv"
end
function __pinfetch_in
  set -l words (__pinfetch_words)
  test "$words[2..$(math 1 + (count $argv))]" = "$argv"
end
complete -c pinfetch -f
${commands.flatMap(fishLines).join('\n')}`
}

function fishLines({ path, commands, options, arguments: given }: CompletedCommand): readonly string[] {
  const [at, within] = ['at', 'in'].map((where) => `complete -c pinfetch -n '__pinfetch_${where} ${path.join(' ')}'`)
  const condition = commands.length === 0 ? within : at
  return [
    ...commands.map(({ name, about }) => `${at} -a ${name} -d ${fishQuoted(about)}`),
    ...given.flatMap(({ values }) => (values === 'unknown' ? [] : [`${within} ${fishValues(values)}`])),
    ...options.map(({ flag, about, value }) => {
      const takes =
        value === undefined ? '' : ` ${value.values === 'unknown' ? '-x' : `-r ${fishValues(value.values)}`}`
      return `${condition} -l ${flag.slice(2)}${takes} -d ${fishQuoted(about)}`
    }),
  ]
}

function fishValues(values: readonly string[] | 'files' | 'folders'): string {
  if (values === 'files') return '-F'
  return `-f -a ${fishQuoted(values === 'folders' ? '(__fish_complete_directories)' : values.join(' '))}`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`

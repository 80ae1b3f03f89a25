import { execFileSync } from 'node:child_process'
import type { Command } from 'commander'
import { describe, expect, type TestContext, test } from 'vitest'
import { programToRead } from '../../scripts/docs/commands.ts'
import { CODES } from '../../src/errors/codes.ts'
import { cli, cliJson, workplace } from './support.ts'

type Shell = 'bash' | 'zsh' | 'fish'

const script = async (shell: Shell): Promise<string> => (await cli(['completion', shell])).stdout

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])(
    'for %s is the script and nothing else: it runs at the start of every shell',
    async (shell) => {
      const { exitCode, stdout, stderr } = await cli(['completion', shell])
      expect([exitCode, stderr]).toEqual([0, ''])
      expect((await cliJson(['completion', shell])).answer.data).toEqual({ shell, script: stdout.trimEnd() })
    },
  )

  test('for another shell exits with 2 and names the three', async () => {
    const { exitCode, answer } = await cliJson(['completion', 'tcsh'])
    expect(exitCode).toBe(2)
    expect(answer.error?.message).toContain('bash, zsh, fish')
  })

  test('says how it is installed', async () => {
    const { stdout } = await cli(['completion', '--help'])
    expect(stdout).toContain(`echo 'eval "$(pinfetch completion bash)"' >> ~/.bashrc`)
    expect(stdout).toContain('~/.zshrc')
    expect(stdout).toContain('pinfetch completion fish > ~/.config/fish/completions/pinfetch.fish')
  })
})

describe('bash', () => {
  test('offers every command and every option of the program, each where it may stand', async () => {
    const commands = commandsBelow(programToRead())
    const offered = await offeredByBash(
      commands.flatMap(({ path }) => [
        [...path, ''],
        [...path, '-'],
      ]),
    )
    expect(commands.length).toBeGreaterThan(40)
    for (const [index, { path, command }] of commands.entries()) {
      const [next, options] = offered.slice(2 * index)
      if (command.commands.length > 0)
        expect([path, next]).toEqual([path, command.commands.map((below) => below.name())])
      expect([path, options]).toEqual([path, flagsOf(command)])
    }
  })

  test.each([
    ['the choices of an option', ['manifest', 'sign', '--type', ''], ['manifest', 'root', 'status']],
    ['those that begin so', ['manifest', 'sign', '--type', 'ro'], ['root']],
    ['the same behind an equals sign', ['manifest', 'sign', '--type', '=', 'ro'], ['root']],
    ['all of them directly behind it', ['manifest', 'sign', '--type', '='], ['manifest', 'root', 'status']],
    [
      'one more of what an option takes several of',
      ['manifest', 'lint', '--allow', 'drops-deny', 'undeny'],
      ['undeny-cancels-deny'],
    ],
    ['options after several', ['manifest', 'lint', '--allow', 'drops-deny', '--pro'], ['--probe']],
    ['the choices of an argument', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['codes of errors', ['explain', 'ERR_TRUST_PIN_M'], ['ERR_TRUST_PIN_MISMATCH']],
    ['files where an argument is one', ['manifest', 'diff', 'old.json', ''], ['cert.pem', 'old.json', 'two words']],
    ['files where an option takes one', ['verify', '--ca', 'c'], ['cert.pem']],
    ['folders alone where an option takes one', ['monitor', '--dir', ''], ['two words']],
    ['nothing that it cannot know: a host', ['verify', ''], []],
    ['nothing behind two dashes but arguments', ['pin', '--', '--'], []],
    ['an argument, behind what an option took', ['manifest', 'sign', '--keys', 'keys', 'o'], ['old.json']],
  ])('offers %s', async (_, words, expected) => {
    const [offered] = await offeredByBash([words])
    expect(offered?.toSorted()).toEqual(expected.toSorted())
  })

  test('offers the options where no argument is left', async () => {
    const [offered] = await offeredByBash([['keys', 'list', '']])
    expect(offered).toContain('--dir')
  })
})

test('what takes a value is a file, a folder, one of some words, or nothing that a shell could know', async () => {
  const commands = commandsBelow(programToRead())
  const slots = commands.flatMap(({ path, command }) =>
    command.options.flatMap(({ flags, long, required }) => {
      const name = /<([^>]+)>/.exec(flags)?.[1]
      return required && name !== undefined ? [{ name, words: [...path, long ?? '', ''] }] : []
    }),
  )
  const offered = await offeredByBash(slots.map(({ words }) => words))
  const free = slots.filter((_, index) => offered[index]?.length === 0).map(({ name }) => name.replace('...', ''))
  expect([...new Set(free)].toSorted()).toEqual(
    [
      ...[
        'columns',
        'command',
        'digest',
        'host[:port]',
        'https',
        'ids',
        'index',
        'kid',
        'line',
        'minutes',
        'name',
        'number',
      ],
      ...['origin', 'pattern', 'pin', 'role:file', 'role:number', 'seconds', 'server', 'text', 'time'],
    ].toSorted(),
  )
})

describe('zsh', () => {
  test('the script has every command with its options', async () => {
    const text = await script('zsh')
    for (const { path, command } of commandsBelow(programToRead())) {
      const section = text.split(`\n  '${path.map((word) => `${word} `).join('')}'*)\n`)[1]?.split(' ;;\n')[0] ?? ''
      expect([path, section.match(/(?<='\*?)--[a-z-]+/g) ?? []]).toEqual([path, flagsOf(command)])
      for (const below of command.commands) expect(section).toContain(`'${below.name()}:`)
    }
  })

  test('hands to zsh what may stand there', async (context) => {
    const ask = await inShell('zsh', context)
    const STUBS =
      'compdef() {}; _arguments() { print -rl -- "$CURRENT" "$words" "$@" }; _describe() { print -rl -- $commands }'
    const say = (words: string): readonly string[] =>
      ask(`${STUBS}; eval "$(cat)"; words=(pinfetch ${words}); CURRENT=$#words; _pinfetch`)
    expect(say('"man"')).toContain('manifest:make, sign, publish and verify a repository of pins')
    expect(say('manifest ct ""')).toEqual(expect.arrayContaining([expect.stringMatching(/^import:/)]))
    const options = say('manifest sign --type ro')
    expect(options.slice(0, 2)).toEqual(['3', 'sign --type ro'])
    expect(options).toContain('--type=[what the document is (default: manifest)]:type:(manifest root status)')
    expect(options).toContain('1:document:_files')
    expect(say('manifest undeny ""')).toContain('--dir=[the repository]:dir:_directories')
  })
})

describe('fish', () => {
  test('the script has every command with its options', async () => {
    const lines = (await script('fish')).split('\n')
    for (const { path, command } of commandsBelow(programToRead())) {
      const own = lines.filter((line) => new RegExp(`'__pinfetch_(?:at|in) ${path.join(' ')}'`).test(line)).join('\n')
      expect([path, (own.match(/ -l [a-z-]+/g) ?? []).map((found) => found.replace(' -l ', '--'))]).toEqual([
        path,
        flagsOf(command),
      ])
      for (const below of command.commands) expect(own).toContain(`-a ${below.name()} `)
    }
  })

  test('fish offers what may stand there', async (context) => {
    const ask = await inShell('fish', context)
    const say = (words: string): readonly string[] =>
      ask(`cat | source; complete -C 'pinfetch ${words}'`).map((line) => line.split('\t')[0] ?? '')
    expect(say('man')).toEqual(['manifest'])
    expect(say('manifest ct ').toSorted()).toEqual(['import', 'remove', 'show'])
    expect(say('manifest sign --type ').toSorted()).toEqual(['manifest', 'root', 'status'])
    expect(say('manifest sign --ty')).toEqual(['--type'])
    expect(say('verify --ex')).toEqual(['--explain'])
    expect(say('manifest verify --ex')).toEqual([])
    expect(say('explain ').length).toBe(Object.keys(CODES).length)
    expect(say('verify --ca cer')).toEqual(['cert.pem'])
    expect(say('verify ')).toEqual([])
  })
})

interface Placed {
  readonly path: readonly string[]
  readonly command: Command
}

function commandsBelow(command: Command, path: readonly string[] = []): readonly Placed[] {
  return [{ path, command }, ...command.commands.flatMap((below) => commandsBelow(below, [...path, below.name()]))]
}

function flagsOf({ options }: Command): readonly string[] {
  return [...options.map(({ long }) => long ?? ''), '--help']
}

/** What bash would show for each line, its last word being the one that is typed: in a folder with two files and a folder. */
async function offeredByBash(lines: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
  const { cwd } = await files()
  const asks = lines.map((words) => {
    const typed = ['pinfetch', ...words].map((word) => `'${word}'`).join(' ')
    return `COMP_WORDS=(${typed}) COMP_CWORD=${words.length} COMPREPLY=(); _pinfetch; printf '%s\\n' "\${COMPREPLY[@]}" END`
  })
  const program = [await script('bash'), 'complete -p pinfetch >/dev/null || exit 1', ...asks].join('\n')
  const output = execFileSync('bash', ['--noprofile', '--norc'], {
    input: program,
    cwd,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  return output
    .split('END\n')
    .slice(0, -1)
    .map((block) => block.split('\n').filter((word) => word !== ''))
}

/** Runs lines of a shell with the script on standard input. A shell that is not here skips the test, and says so. */
async function inShell(shell: 'zsh' | 'fish', { skip }: TestContext): Promise<(line: string) => readonly string[]> {
  try {
    execFileSync(shell, ['-c', 'true'], { stdio: 'ignore' })
  } catch {
    if (process.env['CI'] === 'true') throw new Error(`${shell} is missing: install the Debian package of that name`)
    skip(`${shell} is not installed`)
  }
  const { cwd } = await files()
  const input = await script(shell)
  const bare = shell === 'zsh' ? ['-f'] : ['--no-config']
  return (line) =>
    execFileSync(shell, [...bare, '-c', line], { input, cwd, encoding: 'utf8' })
      .split('\n')
      .filter((one) => one !== '')
}

async function files(): Promise<{ readonly cwd: string }> {
  const { path, file } = await workplace()
  await file('cert.pem', '')
  await file('old.json', '')
  execFileSync('mkdir', [path('two words')])
  return { cwd: path('.') }
}

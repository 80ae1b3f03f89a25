import { createServer } from 'node:net'
import { selfSigned } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { commandPage } from '../../scripts/docs/commands.ts'
import { CODES } from '../../src/errors/codes.ts'
import * as classes from '../../src/errors/errors.ts'
import { cli, cliJson, workplace } from './support.ts'

const ESCAPE = '\u001b['
const COMMANDS = [
  ['pin'],
  ['inspect'],
  ['explain'],
  ['doctor'],
  ['drill'],
  ['init'],
  ['verify'],
  ['watch'],
  ['completion'],
  ...['init', 'add-host', 'add-pin', 'remove-pin', 'deny', 'undeny', 'sign', 'merge', 'publish', 'heartbeat'].map(
    (verb) => ['manifest', verb],
  ),
  ...['verify', 'lint', 'diff', 'simulate'].map((verb) => ['manifest', verb]),
  ...['import', 'show', 'remove'].map((verb) => ['manifest', 'ct', verb]),
  ...['new', 'list', 'rotate-root'].map((verb) => ['keys', verb]),
]

describe('help', () => {
  test.each([[[]], [['manifest']], [['keys']], ...COMMANDS.map((command) => [command])])(
    'of %s starts with an example',
    async (command) => {
      const { exitCode, stdout } = await cli([...command, '--help'])
      expect(stdout).toMatch(new RegExp(`^Example:\n {2}pinfetch ${command.join(' ')}`))
      expect(exitCode).toBe(0)
    },
  )

  test('of every command starts with an example, and has --json among its options', async () => {
    const commands = [...commandPage().matchAll(/^## pinfetch ((?:[a-z][a-z-]* ?)+)/gm)].map(([, words = '']) =>
      words.trim(),
    )
    expect(commands.length).toBeGreaterThan(COMMANDS.length)
    for (const command of commands) {
      const { exitCode, stdout } = await cli([...command.split(' '), '--help'])
      expect([command, exitCode]).toEqual([command, 0])
      expect(stdout).toMatch(new RegExp(`^Example:\\n {2}pinfetch ${command}[\\s\\S]*^ +--json `, 'm'))
    }
  })

  test('names the exit codes, and --version the package’s', async () => {
    expect((await cli(['--help'])).stdout).toMatch(/Exit codes:\n {2}0 /)
    expect(await cli(['--version'])).toEqual({ exitCode: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })
})

describe('wrong usage exits with 2 and says what to do', () => {
  test.each([
    [[], 'a command is missing'],
    [['pni'], "unknown command 'pni'"],
    [['manifest'], 'a command is missing'],
    [['manifest', 'publsh'], "unknown command 'publsh'"],
    [['pin'], "missing required argument 'source'"],
    [['pin', 'a', 'b'], 'too many arguments'],
    [['pin', '-', '--hsah', '512'], "unknown option '--hsah' (Did you mean --hash?)"],
    [['pin', '-', '--hash', 'md5'], "argument 'md5' is invalid"],
    [['pin', 'localhost', '--sni', '192.0.2.1'], 'not a DNS name'],
    [['pin', 'http://example.com/'], 'not an https URL'],
    [['manifest', 'add-host', 'a.example.com'], "required option '--dir <dir>' not specified"],
    [['manifest', 'sign'], '--dir is missing'],
    [['init', 'a', '--dir', 'b'], 'two folders are given'],
    [['manifest', 'lint', '--dir', 'x', '--allow', 'everything'], 'no such finding'],
    [['manifest', 'heartbeat', '--dir', 'x', '--to', 'y', '--poll-interval', '1'], 'not seconds'],
    [['manifest', 'verify'], 'either a URL or --dir'],
    [['manifest', 'verify', 'https://pins.example.com/'], '--root is missing'],
  ])('%j: %s', async (argv, message) => {
    const { exitCode, stdout, stderr } = await cli(argv)
    expect(exitCode).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(`error  ERR_CONFIG_USAGE  `)
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/\nhint {2}.+\nmore {2}pinfetch explain ERR_CONFIG_USAGE\n$/)
    const { answer } = await cliJson(argv)
    expect(answer).toMatchObject({ ok: false, data: null, error: { code: 'ERR_CONFIG_USAGE' } })
  })
})

describe('JSON', () => {
  test('is one object with its members in one order, and text goes to stderr', async () => {
    const { pem } = selfSigned()
    const { stdout, stderr, answer } = await cliJson(['pin', '-'], { stdin: pem })
    expect(Object.keys(answer)).toEqual(['schema', 'ok', 'command', 'data', 'warnings', 'error'])
    expect(stdout.endsWith('}\n')).toBe(true)
    expect(stderr).toContain('sha256/')
    const { answer: refused } = await cliJson(['explain', 'ERR_NOTHING'])
    expect(Object.keys(refused.error ?? {})).toEqual(['code', 'message', 'hint', 'docs'])
  })

  test.each([
    ['a command line that is wrong', ['explain', 'ERR_NOTHING'], 'ERR_CONFIG_USAGE'],
    ['a check that did not pass', ['inspect', '-', '--sni', 'api.example.com'], 'ERR_TRUST_UNKNOWN_ISSUER'],
  ])('names the command that explains the error: %s', async (_, argv, code) => {
    const { answer, stderr } = await cliJson(argv, { stdin: selfSigned().pem })
    const docs = answer.error?.docs ?? ''
    expect(stderr).toContain(`\nmore  ${docs}\n`)
    const [program, ...words] = docs.split(' ')
    expect(program).toBe('pinfetch')
    expect((await cliJson(words)).answer.data).toMatchObject({ code })
  })

  test('is the same for the same input', async () => {
    const { pem } = selfSigned()
    const ask = () => cli(['inspect', '-', '--json'], { stdin: pem, now: 0 })
    expect((await ask()).stdout).toBe((await ask()).stdout)
  })

  test('has no colour whatever is forced', async () => {
    const { stdout, stderr } = await cliJson(['inspect', '-'], {
      stdin: selfSigned().pem,
      env: { FORCE_COLOR: '3' },
      isTTY: true,
    })
    expect(stdout).not.toContain(ESCAPE)
    expect(stderr).toContain(ESCAPE)
  })
})

describe('colour', () => {
  const TTY = { isTTY: true, stdin: selfSigned().pem }
  test.each([
    ['a terminal', { ...TTY }, [], true],
    ['a pipe', { ...TTY, isTTY: false }, [], false],
    ['a pipe under FORCE_COLOR', { ...TTY, isTTY: false, env: { FORCE_COLOR: '1' } }, [], true],
    ['FORCE_COLOR=0', { ...TTY, env: { FORCE_COLOR: '0' } }, [], false],
    ['NO_COLOR', { ...TTY, env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, [], false],
    ['an empty NO_COLOR', { ...TTY, env: { NO_COLOR: '' } }, [], true],
    ['--no-color', { ...TTY, env: { FORCE_COLOR: '1' } }, ['--no-color'], false],
    ['a dumb terminal', { ...TTY, env: { TERM: 'dumb' } }, [], false],
  ])('%s', async (_, world, more, expected) => {
    const { stdout } = await cli(['inspect', '-', ...more], world)
    expect(stdout.includes(ESCAPE)).toBe(expected)
  })
})

describe('explain', () => {
  test('says what a code means', async () => {
    const { exitCode, stdout } = await cli(['explain', 'ERR_MANIFEST_SIG_THRESHOLD'])
    const { about, fix } = CODES.ERR_MANIFEST_SIG_THRESHOLD
    expect(stdout).toMatch(/^ERR_MANIFEST_SIG_THRESHOLD\n {2}about {6}\S/)
    expect(stdout.replace(/\n {13}/g, ' ')).toContain(
      `  about      ${about}\n  class      ManifestError\n  retryable  no: somebody has to act\n`,
    )
    expect(stdout.replace(/\n {13}/g, ' ')).toContain(`  fix        ${fix}\n`)
    expect(exitCode).toBe(0)
  })

  test.each(Object.keys(CODES))('%s', async (code) => {
    const { answer } = await cliJson(['explain', code])
    expect(answer.data).toMatchObject({ code, exitCode: expect.any(Number) })
    expect(classes).toHaveProperty(String(answer.data?.['class']))
  })

  test('an unknown code gets the nearest ones', async () => {
    const { exitCode, answer } = await cliJson(['explain', 'ERR_TRUST_PIN_MISMACH'])
    expect(answer.error?.hint).toMatch(/^Nearest: ERR_TRUST_PIN_MISMATCH, /)
    expect(exitCode).toBe(2)
    expect((await cliJson(['explain', 'pin_denied'])).answer.error?.hint).toMatch(/^Nearest: ERR_TRUST_PIN_DENIED/)
  })
})

test('an interrupted probe exits with 130', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void silent.close())
  const interrupted = new AbortController()
  silent.once('connection', (socket) => {
    socket.on('error', () => socket.destroy())
    interrupted.abort()
  })
  const { port } = silent.address() as { port: number }
  const ran = await cli(['pin', `127.0.0.1:${port}`], { signal: interrupted.signal })
  expect(ran).toEqual({ exitCode: 130, stdout: '', stderr: 'interrupted\n' })
})

test('a file named like a host is read, unless a port is given', async () => {
  const { file, path } = await workplace()
  await file('localhost', selfSigned().pem)
  expect(await cliJson(['pin', path('localhost')])).toMatchObject({ answer: { data: { source: { kind: 'file' } } } })
  expect(await cliJson(['pin', 'localhost:1'])).toMatchObject({ exitCode: 3 })
})

import { readFile } from 'node:fs/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { cli, cliJson, workplace } from './support.ts'

const BARE = 'export const createClient = () => ({ fetch: (...request) => fetch(...request) })\n'

test('pinfetch withstands what fetch falls for: exit 0, a row an attack and a column a client', async () => {
  const { exitCode, stdout, stderr } = await cli(['lab', '--attack', 'L01,L02'])
  expect(stdout).toMatch(/^attack +pinfetch +fetch +undici +what the attacker does\nL01 +refused +LOST +refused /)
  expect(stdout).toMatch(/\nL02 +refused +refused +refused /)
  expect(stdout).toContain('pinfetch: withstood 2 of 2')
  expect(stdout).toContain('fetch: withstood 1 of 2')
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('attacked  L02\n')])
})

test('a client without pins loses: ERR_POLICY_LAB and exit 1, and the page says so', async () => {
  const { file, path } = await workplace()
  const client = await file('client.mjs', BARE)
  const page = path('report.html')
  const { exitCode, answer } = await cliJson(['lab', '--client', client, '--attack', 'L01', '--html', page])
  expect([exitCode, answer.ok, answer.error?.code]).toEqual([1, false, 'ERR_POLICY_LAB'])
  expect(answer.data).toMatchObject({
    contenders: ['pinfetch', 'fetch', 'undici', 'yours'],
    attacks: [{ id: 'L01', results: [{ outcome: 'refused' }, { outcome: 'lost' }, {}, { outcome: 'lost' }] }],
  })
  const html = await readFile(page, 'utf8')
  expect(html).toContain("default-src 'none'")
  expect(html).not.toMatch(/<script|https?:\/\//)
  expect(html).toContain('lost: the attacker was taken for the genuine server')
})

test('a client that withstands passes: exit 0', async () => {
  const { file } = await workplace()
  const client = await file('client.mjs', BARE)
  const { exitCode, stdout } = await cli(['lab', '--client', client, '--attack', 'L02'])
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('yours: withstood 1 of 1')])
})

test('a client that refuses everything loses: exit 1', async () => {
  const { file } = await workplace()
  const client = await file('client.mjs', "export default () => ({ fetch: () => Promise.reject(new Error('no')) })\n")
  const { exitCode, stdout } = await cli(['lab', '--client', client, '--attack', 'L02'])
  expect([exitCode, stdout]).toEqual([1, expect.stringContaining('the genuine server was refused too')])
})

test('what needs a program that is not installed is not run, counts for nobody, and is told: exit 0', async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { exitCode, stdout, stderr } = await cli(['lab', '--attack', 'L02,T01'])
  expect(stdout).toMatch(/\nT01 +not run +not run +not run /)
  for (const name of ['pinfetch', 'fetch', 'undici']) expect(stdout).toContain(`${name}: withstood 1 of 1, 1 not run\n`)
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('not run without mitmdump: T01')])
  const alone = await cliJson(['lab', '--attack', 'T01'])
  expect(alone).toMatchObject({
    exitCode: 0,
    answer: {
      ok: true,
      data: {
        attacks: [{ results: [{ missing: 'mitmdump', reason: 'not installed: apt-get install mitmproxy' }, {}, {}] }],
      },
    },
  })
})

test('a module that is no client cannot be attacked: ERR_POLICY_LAB_NOT_RUN and exit 3', async () => {
  const { file } = await workplace()
  const client = await file('client.mjs', 'export const answer = 42\n')
  const { exitCode, answer } = await cliJson(['lab', '--client', client, '--attack', 'L02'])
  expect([exitCode, answer.error]).toMatchObject([
    3,
    { code: 'ERR_POLICY_LAB_NOT_RUN', message: expect.stringContaining('exports no function createClient or default') },
  ])
})

test.each([
  ['an attack that does not exist', ['--attack', 'L01,L99'], 'no attack L99'],
  ['a module that does not exist', ['--client', './missing.mjs'], './missing.mjs: no such file'],
  ['an unknown option', ['--attacks', 'L01'], "unknown option '--attacks'"],
])('%s is a mistake of the command line: ERR_CONFIG_USAGE and exit 2', async (_, options, message) => {
  const { exitCode, stderr } = await cli(['lab', ...options])
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
  expect(stderr).toContain('ERR_CONFIG_USAGE')
})

test('--list names every attack and starts none', async () => {
  const { exitCode, answer } = await cliJson(['lab', '--list'])
  const attacks = answer.data?.['attacks'] as readonly { id: string; codes: readonly string[] }[]
  expect(exitCode).toBe(0)
  expect(attacks.map(({ id }) => id)).toEqual(expect.arrayContaining(['A01', 'A04', 'L01', 'L48']))
  expect(attacks.find(({ id }) => id === 'L01')?.codes).toEqual(['ERR_TRUST_PIN_MISMATCH'])
})

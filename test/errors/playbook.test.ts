import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CODES, type ErrorCode } from '../../src/errors/codes.ts'
import { playbookPage } from '../../src/errors/playbook/page.ts'
import { SITUATIONS } from '../../src/errors/playbook/situations.ts'
import { cli, cliJson } from '../cli/support.ts'

const codes = Object.keys(CODES) as ErrorCode[]
const events = eventTypes()
const commands = ['doctor', 'drill', 'evidence', 'inspect', 'manifest', 'monitor', 'rotate', 'ct', 'explain', 'pin']

describe.each(codes)('%s', (code) => {
  const page = playbookPage(code)

  test('says what it means for data, whether it is an attack, what to do first, whom to call and how to prevent it', () => {
    expect(page).toMatchObject({ code, happened: CODES[code].about, fix: CODES[code].fix })
    for (const text of [page.data, page.tell, page.call, page.prevent, ...page.firstMinutes]) {
      expect(text).toMatch(/^\S.{14,398}[.?]$/)
      expect(text).not.toMatch(/\n| {2}|TODO/)
    }
    expect(page.firstMinutes.length).toBeGreaterThanOrEqual(3)
    expect(page.call).toContain('Ask')
  })

  test('leads on to other codes, to events that exist and to commands that exist', () => {
    expect(page.related.length).toBeGreaterThan(0)
    expect(page.related.filter((other) => !codes.includes(other) || other === code)).toEqual([])
    expect(page.events.filter((event) => !events.has(event))).toEqual([])
    const named = JSON.stringify(page).matchAll(/pinfetch (\w+)/g)
    expect([...named].map(([, command = '']) => command).filter((command) => !commands.includes(command))).toEqual([])
  })

  test('fits on a screen and a half', async () => {
    const { stdout, exitCode } = await cli(['explain', code])
    const lines = stdout.trimEnd().split('\n')
    expect(exitCode).toBe(0)
    expect(lines[0]).toBe(code)
    expect(lines.length).toBeLessThanOrEqual(60)
    expect(lines.filter((line) => line.length > 100)).toEqual([])
    for (const title of TITLES) expect(lines.some((line) => line.startsWith(`  ${title}  `))).toBe(true)
  })
})

test('no two codes tell attack from mistake in the same words', () => {
  const tells = codes.map((code) => playbookPage(code).tell)
  const twice = codes.filter((_, index) => tells.indexOf(tells[index] ?? '') !== index)
  expect(twice).toEqual(['ERR_MANIFEST_PAYLOAD_JSON']) // not UTF-8 and not JSON: signed like this, both
})

test('every situation is one that some code is in', () => {
  const used = new Set(codes.map((code) => playbookPage(code).data))
  expect(Object.entries(SITUATIONS).filter(([, { data }]) => !used.has(data))).toEqual([])
})

test('the whole of it is printed as Markdown, with links that lead to a page', async () => {
  const { stdout, exitCode } = await cli(['explain', '--all', '--markdown'])
  const titles = [...stdout.matchAll(/^## (ERR_\w+)$/gm)].map(([, code]) => code)
  expect(exitCode).toBe(0)
  expect(titles).toEqual(codes)
  const links = [...stdout.matchAll(/\]\(#(\w+)\)/g)].map(([, anchor = '']) => anchor.toUpperCase())
  expect(links.length).toBeGreaterThan(codes.length)
  expect(links.filter((code) => !titles.includes(code))).toEqual([])
})

test('as JSON, a code has its page, and --all has all of them', async () => {
  const { answer } = await cliJson(['explain', 'err_trust_pin_mismatch'])
  expect(answer.data).toMatchObject({ code: 'ERR_TRUST_PIN_MISMATCH', tell: expect.stringContaining('attack') })
  const all = (await cliJson(['explain', '--all'])).answer.data as { readonly pages: readonly unknown[] }
  expect(all.pages.length).toBe(codes.length)
})

test.each([[[]], [['ERR_TRUST_PIN_MISMATCH', '--all']]])('explain %j: ERR_CONFIG_USAGE', async (argv) => {
  const { exitCode, answer } = await cliJson(['explain', ...argv])
  expect([exitCode, answer.error?.code]).toEqual([2, 'ERR_CONFIG_USAGE'])
})

const TITLES = ['about', 'class', 'retryable', 'your data', 'attack?', 'do now', 'call', 'fix', 'prevent', 'related']

function eventTypes(): ReadonlySet<string> {
  const folder = join(import.meta.dirname, '../../src/events')
  const text = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
  return new Set([...text.matchAll(/'([a-z]+(?:\.[a-zA-Z_]+)?)'/g)].map(([, type = '']) => type))
}

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const GUIDES = readdirSync(join(ROOT, 'pins')).filter((name) => name.endsWith('.md'))
const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...GUIDES.map((name) => `pins/${name}`),
]

test.each(DOCUMENTS)('every link of %s leads to a file, and to a heading of it', (path) => {
  expect(brokenLinks(path, read(path))).toEqual([])
})

test.each(DOCUMENTS)('every test that %s names exists under that title', (path) => {
  expect(brokenCitations(read(path))).toEqual([])
})

test('SECURITY.md says of every guarantee what it rests on, and which test shows it', () => {
  const [, table = ''] = read('SECURITY.md').split(
    '| attacker | can | cannot | rests on | shown by |\n|---|---|---|---|---|\n',
  )
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n')
  expect(rows.length).toBeGreaterThan(10)
  const incomplete = rows.filter((row) => {
    const [, , , restsOn = '', shownBy = '', ...more] = row.replace(/^\| /, '').split(' | ')
    return restsOn.length < 20 || !/\[`test\/|nothing in the client helps/.test(shownBy) || more.length > 0
  })
  expect(incomplete).toEqual([])
})

test('control: what leads nowhere is found', () => {
  const planted =
    '## Über `a` & b\n[x](#über-a--b) [y](#none) [z](none.txt) [u](README.md#pin-an-api) [v](README.md#none) [w](https://x/)'
  expect(brokenLinks('README.md', planted)).toEqual(['#none', 'none.txt', 'README.md#none'])
  const here = 'test/static/tables.test.ts'
  const cited = `[\`${here}\`](${here}): “control: a row more is seen, and written”, “nobody wrote this”.\n[\`${here}\`](${here}) runs.`
  expect(brokenCitations(cited)).toEqual([`${here}: nobody wrote this`])
})

function brokenLinks(path: string, text: string): readonly string[] {
  const prose = withoutCode(text)
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^\w+:/.test(link))
  return links.filter((link) => {
    const [file = '', anchor] = link.split('#')
    const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file))
    if (file !== '' && !existsSync(join(ROOT, target))) return true
    if (anchor === undefined) return false
    return !anchorsOf(file === '' ? text : read(target)).has(decodeURIComponent(anchor))
  })
}

/** A path in backticks or a link, a colon, and titles in quotes: each must be the text of a test in that file. */
function brokenCitations(text: string): readonly string[] {
  const flat = withoutCode(text).replaceAll(/\s*\n\s*/g, ' ')
  const cited = /(?:\[`(test\/[^`]+)`\]\([^)]+\)|`(test\/[^`]+)`): ((?:“[^”]+”(?:, (?:and )?)?)+)/g
  return [...flat.matchAll(cited)].flatMap(([, linked, plain, titles = '']) => {
    const path = linked ?? plain ?? ''
    const source = existsSync(join(ROOT, path)) ? read(path) : ''
    return [...titles.matchAll(/“([^”]+)”/g)].flatMap(([, title = '']) =>
      source.includes(title) || source.includes(title.replaceAll("'", "\\'")) ? [] : [`${path}: ${title}`],
    )
  })
}

/** Headings as code hosts turn them into anchors. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...withoutCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading)
  const slugs = headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )
  return new Set(slugs)
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

function read(path: string): string {
  const file = join(ROOT, path)
  return statSync(file).isFile() ? readFileSync(file, 'utf8') : ''
}

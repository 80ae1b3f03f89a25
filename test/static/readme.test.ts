/**
 * No sentence of README without a test that shows it: readme-claims.ts says which. Headings, samples and tables that are made from files or
 * runs are left out: other tests run or compare them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { commandPage } from '../../scripts/docs/commands.ts'
import { CLAIMS } from './readme-claims.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Tables between markers, and who compares them. */
const COMPARED: Readonly<Record<string, string>> = {
  nodes: 'test/static/tables.test.ts',
  examples: 'test/static/tables.test.ts',
  lab: 'scripts/docs/tables.ts',
  channels: 'test/monitor/channels.test.ts',
  clients: 'test/clients/clients.test.ts',
}

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const sections = sectionsOf(README)

test('a heading stands in README once, so that claims are of one section', () => {
  const titles = sections.map(({ title }) => title)
  expect([...new Set(titles)]).toEqual(titles)
  expect(Object.keys(CLAIMS).filter((title) => !titles.includes(title))).toEqual([])
})

test.each(sections)('$title: every sentence is carried by a test', (section) => {
  expect(uncarried(section, claimsOf(section)), 'sentences that no claim of readme-claims.ts has').toEqual([])
})

test.each(sections)('$title: no claim is of a sentence that is not there any more', (section) => {
  expect(outdated(section, claimsOf(section)), 'claims of readme-claims.ts whose sentence README has not').toEqual([])
})

test('every claim names a test that is there, by its title', () => {
  const carriers = new Set(Object.values(CLAIMS).flatMap((claims) => Object.keys(claims)))
  expect([...carriers].filter(isLost), 'tests of readme-claims.ts that are not there').toEqual([])
})

test.each(sections)('$title: what a sentence names, a test of it names', (section) => {
  expect(unnamed(section, claimsOf(section)), 'names that no file of those that carry the sentence has').toEqual([])
})

test('no table is left out but those that are made or compared elsewhere', () => {
  const names = [...README.matchAll(/<!-- table: (.*) -->/g)].map(([, name = '']) => name)
  expect(names.length).toBeGreaterThan(3)
  expect(names.filter((name) => !(name in COMPARED))).toEqual([])
  expect(Object.values(COMPARED).filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('every `npm run` of README is a script', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  const asked = [...README.matchAll(/npm (?:run )?((?!run|ci|install)[a-z:]+)/g)].map(([, name = '']) => name)
  expect(asked.length).toBeGreaterThan(4)
  expect(asked.filter((name) => !(name in scripts))).toEqual([])
})

test('README names every command, and the reference has every option of each with what it does', () => {
  const page = commandPage() // throws where one says nothing of itself
  const commands = [...page.matchAll(/^## pinfetch ([a-z-]+)/gm)].map(([, name = '']) => name)
  expect(new Set(commands).size).toBeGreaterThan(14)
  expect([...new Set(commands)].filter((name) => !README.includes(`pinfetch ${name}`))).toEqual([])
  expect(page).toContain('| `--timeline <file>` |')
})

test('control: what nothing carries is found, and what is carried is not', () => {
  const [section = NONE] = sectionsOf(
    '# Title\n\nOne `a.b` is [two](three). **Four**: *five*\nsix\n\n```sh\n# Seven.\n```\n- Eight · nine\n\n| head | head |\n|---|---|\n| `*` | it. Ten! |\n\n<!-- table: x -->\n| made |\n<!-- end -->\n',
  )
  const sentences = ['One a.b is two.', 'Four: five six', 'Eight', 'nine', '* | it.', 'Ten!']
  expect(section.sentences.map(({ text }) => text)).toEqual(sentences)
  const claims = { 'a#b': sentences.slice(1), 'c#d': ['Eleven.'] }
  expect(uncarried(section, claims)).toEqual(['One a.b is two.'])
  expect(outdated(section, claims)).toEqual(['Eleven.'])
})

test('control: a test that is not there is lost, and the one beside it is not', () => {
  const here = 'static/readme#control: a test that is not there is lost, and the one beside it is not'
  expect(
    [here, 'static/readme#$title: every sentence is carried by a test', 'examples/demo.ts'].filter(isLost),
  ).toEqual([])
  const lost = ['static/readme#control', 'static/none#control', 'static/readme', 'examples/none.ts']
  expect(lost.filter(isLost)).toEqual(lost)
})

test('control: a name that no test has is found, and the one beside it is not', () => {
  const [section = NONE] = sectionsOf(
    '# Title\nWith `noSuchOption` comes `ERR_TRUST_PIN_MISMATCH`, told by `no.event`.',
  )
  const claims = { 'integration/pinning#any': section.sentences.map(({ text }) => text) }
  expect(unnamed(section, claims)).toEqual(['noSuchOption', 'no.event'])
})

interface Section {
  readonly title: string
  readonly sentences: readonly Sentence[]
}

interface Sentence {
  readonly raw: string
  /** Without the marks of links, code and emphasis. */
  readonly text: string
}

type Claims = Readonly<Record<string, readonly string[]>>

function claimsOf({ title }: Section): Claims {
  return CLAIMS[title] ?? {}
}

function uncarried({ sentences }: Section, claims: Claims): readonly string[] {
  const carried = new Set(Object.values(claims).flat())
  return sentences.map(({ text }) => text).filter((text) => !carried.has(text))
}

function outdated({ sentences }: Section, claims: Claims): readonly string[] {
  const present = new Set(sentences.map(({ text }) => text))
  return Object.values(claims)
    .flat()
    .filter((text) => !present.has(text))
}

/** `path/below/test#title`, or an example, which is run as it stands. */
function isLost(carrier: string): boolean {
  const [path = '', ...title] = carrier.split('#')
  return !existsSync(fileOf(carrier)) || (!path.startsWith('examples/') && !titlesIn(path).has(title.join('#')))
}

function unnamed({ sentences }: Section, claims: Claims): readonly string[] {
  return sentences.flatMap(({ raw, text }) => {
    const carriers = Object.keys(claims).filter((carrier) => claims[carrier]?.includes(text))
    if (carriers.length === 0) return [] // told above
    const tests = carriers.map(readCarrier).join('\n')
    const spans = [...raw.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)
    const named = new Set(spans.flatMap((span) => span.match(NAME) ?? []))
    return [...named].filter((name) => !tests.includes(name.replace(/^(?:client|error|monitor)\./, '')))
  })
}

function sectionsOf(text: string): readonly Section[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '\n').replaceAll(/<!-- table[\s\S]*?<!-- end -->/g, '\n')
  return prose
    .split(/^#{1,3} /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...lines] = part.split('\n')
      return { title, sentences: blocksOf(lines.join('\n')).flatMap(sentencesOf) }
    })
}

/** Paragraphs, items of lists, and rows of tables below their head. */
function blocksOf(prose: string): readonly string[] {
  return prose
    .replaceAll(/^\|.*\n\|[-|]+\|$/gm, '')
    .split(/\n{2,}|\n(?=- |\d+\. |\| )/)
    .map((block) =>
      block
        .trim()
        .replace(/^(?:- |\d+\. |\| )/, '')
        .replace(/ \|$/, '')
        .replaceAll(/\s+/g, ' '),
    )
}

function sentencesOf(block: string): readonly Sentence[] {
  const sentences = block.split(/(?<=[.!?]\)?) | · /).filter((raw) => raw !== '')
  return sentences.map((raw) => ({ raw, text: plain(raw) }))
}

function plain(raw: string): string {
  const unlinked = raw.replaceAll(/\[([^\]]+)\]\([^)\s]+\)/g, '$1')
  return unlinked.replaceAll(/`([^`]*)`|\*+/g, '$1')
}

const texts = new Map<string, string>()

function readCarrier(carrier: string): string {
  const path = fileOf(carrier)
  const text = texts.get(path) ?? (existsSync(path) ? readFileSync(path, 'utf8') : '')
  texts.set(path, text)
  return text
}

function fileOf(carrier: string): string {
  const [path = ''] = carrier.split('#')
  return path.startsWith('examples/') ? join(ROOT, path) : join(ROOT, 'test', `${path}.test.ts`)
}

const titles = new Map<string, ReadonlySet<string>>()

/** What is given to `test`, `test.each` and their like first, as it stands in the file. */
function titlesIn(path: string): ReadonlySet<string> {
  const known = titles.get(path)
  if (known !== undefined) return known
  const file = ts.createSourceFile(path, readCarrier(path), ts.ScriptTarget.Latest, true)
  const found = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^test\b/.test(node.expression.getText(file))) {
      const [title] = node.arguments
      if (title !== undefined && ts.isStringLiteralLike(title)) found.add(title.text)
      else if (title !== undefined && ts.isTemplateExpression(title)) found.add(title.getText(file).slice(1, -1))
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  titles.set(path, found)
  return found
}

const NONE: Section = { title: '', sentences: [] }

/** Codes, names of several words, and members: what a reader may type. File names are none. */
const NAME =
  /ERR_[A-Z0-9_]+(?<!_)|\b[a-z]+[A-Z]\w*|(?<![/.\w-])[a-z]+\.[a-z][A-Za-z]+\b(?!\/|\.(?:json|pem|ts|md|com))(?<!\.(?:json|pem|ts|md|com))/g

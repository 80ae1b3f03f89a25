import { expect, test } from 'vitest'
import { describe, exists, linesOf, type Source, sourcesIn, textOf } from './sources.ts'

const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']
const sources = ['src', 'scripts', 'examples', 'test'].flatMap(sourcesIn)

test('comments cite what a reader can open: standards, or documents of this repository', () => {
  expect(sources.flatMap(unknownDocuments)).toEqual([])
})

test('no file names a folder of one machine', () => {
  expect(sources.flatMap((source) => linesOf(source, MACHINE)).map(describe)).toEqual([])
  expect(DOCUMENTS.flatMap((path) => linesOf({ path, text: textOf(path) }, MACHINE)).map(describe)).toEqual([])
})

test('both rules find a planted line', () => {
  const [design, home] = [['INTERNAL', 'md'].join('.'), ['', 'home', 'me'].join('/')] // not to be found in this file
  const planted: Source = { path: 'src/planted.ts', text: `// see ${design}\n// see README.md\n// ${home}/x` }
  expect(unknownDocuments(planted)).toEqual([`src/planted.ts:1: ${design}`])
  expect(linesOf(planted, MACHINE).map(describe)).toEqual([`src/planted.ts:3: ${home.slice(0, -1)}`])
})

test('every test that a document points to exists under that title', () => {
  const pointers = DOCUMENTS.flatMap((path) => [...textOf(path).matchAll(POINTER)])
  expect(pointers.length).toBeGreaterThan(10)
  const lost = pointers.filter(([, file = '', titles = '']) => {
    return !exists(file) || [...titles.matchAll(/“([^”]+)”/g)].some(([, title = '']) => !textOf(file).includes(title))
  })
  expect(lost.map(([pointer]) => pointer)).toEqual([])
})

function unknownDocuments(source: Source): readonly string[] {
  return linesOf(source, /[\w-]+\.md\b/g)
    .filter(({ what }) => !DOCUMENTS.includes(what))
    .map(describe)
}

const MACHINE = /\/(work|home|root|Users)\/\w/g
const POINTER = /`(test\/[\w/.-]+\.ts)`(?:: ((?:“[^”]+”(?:,\s+)?)+))?/g // `test/trust/pins.test.ts`: “a title”, “another”

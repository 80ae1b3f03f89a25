import { expect, test } from 'vitest'
import { CODES } from '../../src/errors/codes.ts'
import { type Source, sourcesIn, stringsOf, textOf } from './sources.ts'

const codes = Object.keys(CODES)
const raisers = sourcesIn('src').filter(({ path }) => !path.startsWith('src/errors/'))
const tests = sourcesIn('test').filter(({ path }) => !/^test\/(static|errors)\//.test(path))

test('every code is raised somewhere', () => {
  const raised = codesIn(raisers)
  expect(codes.filter((code) => !raised.has(code))).toEqual([])
})

test('nothing is raised that the table does not know', () => {
  const known =
    /^ERR_(CONFIG|TRUST|TLS|TRANSPORT|POLICY|MANIFEST|STORE|AUTH|KEY|APPROVAL|VERIFY|SIGN|RATE|MONITOR)_[A-Z0-9_]+$/
  expect([...codesIn(raisers)].filter((code) => known.test(code) && !codes.includes(code))).toEqual([])
})

test('a test expects every code by name', () => {
  const expected = codesIn(tests)
  expect(codes.filter((code) => !expected.has(code))).toEqual([])
})

test('a code in a comment counts as neither raised nor expected', () => {
  const planted = { path: 'test/planted.ts', text: "// ERR_TLS_HANDSHAKE\nexpect('ERR_TLS_RESUMED')" }
  expect([...codesIn([planted])]).toEqual(['ERR_TLS_RESUMED'])
})

test.each(['README.md', 'CHANGELOG.md', 'SECURITY.md'])('%s names codes of the table only', (path) => {
  const named = [...textOf(path).matchAll(/\bERR_[A-Z0-9_]*[A-Z0-9](?!_?…|\w)/g)].map(([code]) => code)
  expect(named.filter((code) => !codes.includes(code))).toEqual([])
})

test('CONTRIBUTING.md maps older names to codes of the table', () => {
  const rows = [...textOf('CONTRIBUTING.md').matchAll(/^\| `[^|]+ \| (.+) \|$/gm)].map(([, ours = '']) => ours)
  const named = rows.flatMap((ours) => [...ours.matchAll(/`(ERR_\w+)`/g)].map(([, code = '']) => code))
  expect(named.length).toBeGreaterThan(2)
  expect(named.filter((code) => !codes.includes(code))).toEqual([])
})

function codesIn(sources: readonly Source[]): ReadonlySet<string> {
  return new Set(sources.flatMap(stringsOf).flatMap((text) => text.match(/\bERR_[A-Z0-9_]+/g) ?? []))
}

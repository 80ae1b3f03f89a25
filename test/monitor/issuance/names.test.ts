import { describe, expect, test } from 'vitest'
import { createNameMatcher } from '../../../src/monitor/issuance/names.ts'

const below = createNameMatcher({ domains: ['example.com'], includeSubdomains: true })
const alone = createNameMatcher({ domains: ['www.example.com'], includeSubdomains: false })

describe('names that are watched (case 618)', () => {
  test.each([
    ['the domain', 'example.com'],
    ['a name below it', 'a.b.example.com'],
    ['a wildcard', '*.example.com'],
    ['a wildcard below', '*.a.example.com'],
    ['capitals', 'WWW.Example.COM'],
    ['a final dot', 'www.example.com.'],
    ['space around it', ' www.example.com\t'],
    ['a URL', 'https://www.example.com/login'],
    ['a path', 'www.example.com/login'],
    ['part of a label as wildcard', 'w*.example.com'],
    ['a wildcard over the registered domain', '*.com'],
    ['the part before a NUL', 'www.example.com\0.attacker.org'],
    ['the whole around a NUL', 'attacker.org\0.example.com'],
    ['a NUL within', 'www.exa\0mple.com'],
    ['a NUL in front', '\0www.example.com'],
    ['a label that cannot be read', 'www.\x01\x02.com'],
  ])('%s: %j', (_what, name) => {
    expect(below(name)).toBe(true)
  })

  test.each([
    ['another domain', 'example.org'],
    ['one that ends the same', 'notexample.com'],
    ['one that begins the same', 'example.com.attacker.org'],
    ['a wildcard elsewhere', '*.example.org'],
    ['an address for mail', 'user@example.com'],
    ['a NUL elsewhere', 'a.example.org\0.attacker.org'],
    ['nothing', ''],
  ])('not %s: %j', (_what, name) => {
    expect(below(name)).toBe(false)
  })

  test('a wildcard covers one label, of the name that is watched alone', () => {
    expect(['www.example.com', '*.example.com', 'w*.example.com'].map(alone)).toEqual([true, true, true])
    expect(['example.com', 'a.www.example.com', '*.www.example.com', '*.*.example.com'].map(alone)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test('international names match in each encoding that certificates have', () => {
    const matches = createNameMatcher({ domains: ['xn--bcher-kva.example'], includeSubdomains: true })
    const utf8 = Buffer.from('bücher.example').toString('latin1')
    expect(['xn--bcher-kva.example', 'bücher.example', 'BÜCHER.example', utf8].map(matches)).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(matches('bocher.example')).toBe(false)
  })
})

import { createTestRuntime, type TestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createHsts, parseHsts } from '../../src/client/hsts.ts'
import type { CanonicalHost } from '../../src/encoding/host.ts'
import { StoreError } from '../../src/errors/errors.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { originOf } from '../support/policy.ts'

describe('Strict-Transport-Security (RFC 6797 §6.1)', () => {
  test.each<[string, number, boolean]>([
    ['max-age=31536000', 31_536_000, false],
    ['max-age=15768000 ; includeSubDomains', 15_768_000, true],
    ['MAX-AGE="31536000"; INCLUDESUBDOMAINS', 31_536_000, true],
    ['includeSubDomains; max-age=1', 1, true],
    ['max-age=0', 0, false],
    ['max-age = 7', 7, false],
    [';; max-age=1 ;;', 1, false],
    ['max-age=1; preload; unknown="a;b\\"c"; other=x', 1, false],
    ['max-age="\\7"', 7, false],
    ['max-age=99999999999999999999', 315_360_000, false],
  ])('%s', (field, maxAgeSeconds, includeSubDomains) => {
    expect(parseHsts(field)).toEqual({ maxAgeSeconds, includeSubDomains })
  })

  test.each([
    '',
    ';',
    'includeSubDomains',
    'max-age',
    'max-age=',
    'max-age=""',
    'max-age=-1',
    'max-age=1.5',
    'max-age=1e3',
    'max-age=1; max-age=1',
    'max-age=1; MAX-AGE=2',
    'max-age=1; includeSubDomains; includesubdomains',
    'max-age=1; includeSubDomains=1',
    'max-age=1; unknown; unknown',
    'max-age=1 2',
    'max-age=1, max-age=1',
    'max-age="1',
    'max-age=1; =x',
    'max-age=1; (x)',
    `max-age=1; x="${'a'.repeat(1_024)}"`,
  ])('%j is ignored', (field) => {
    expect(parseHsts(field)).toBeUndefined()
  })
})

const host = (text: string) => text as CanonicalHost
const API = originOf('https://example.com')

describe('what hosts said', () => {
  function start(runtime: TestRuntime = createTestRuntime(), store?: Store) {
    const { note, ...rest } = createHsts({ runtime, store })
    return { runtime, note: (field: string, origin = API) => note(origin, field), ...rest }
  }

  test('holds for the host, and for those below it where it said so', () => {
    const { note, knows } = start()
    note('max-age=60')
    expect(['example.com', 'api.example.com', 'com', 'notexample.com'].map((name) => knows(host(name)))).toEqual([
      true,
      false,
      false,
      false,
    ])
    note('max-age=60; includeSubDomains')
    expect(['a.b.example.com', 'com', 'notexample.com'].map((name) => knows(host(name)))).toEqual([true, false, false])
  })

  test('whatever the port', () => {
    const { note, knows } = start()
    note('max-age=60', originOf('https://example.com:8443'))
    expect(knows(host('example.com'))).toBe(true)
  })

  test('ends after max-age, and each response begins it anew', async () => {
    const { note, knows, runtime } = start()
    note('max-age=60')
    await runtime.advance(59_999)
    expect(knows(host('example.com'))).toBe(true)
    note('max-age=60')
    await runtime.advance(59_999)
    expect(knows(host('example.com'))).toBe(true)
    await runtime.advance(1)
    expect(knows(host('example.com'))).toBe(false)
  })

  test('ends at once with max-age=0', () => {
    const { note, knows } = start()
    note('max-age=60; includeSubDomains')
    note('max-age=0')
    expect([knows(host('example.com')), knows(host('api.example.com'))]).toEqual([false, false])
  })

  test('a field that is ignored changes nothing; neither does one of an address', () => {
    const { note, knows } = start()
    note('max-age=60')
    note('max-age=0; max-age=0')
    expect(knows(host('example.com'))).toBe(true)
    note('max-age=60', originOf('https://10.0.0.1'))
    expect(knows(host('10.0.0.1'))).toBe(false)
  })

  test('of 1,001 hosts one is forgotten', () => {
    const { note, knows } = start()
    for (let at = 0; at <= 1_000; at += 1) note('max-age=60', originOf(`https://n${at}.example.com`))
    expect([knows(host('n0.example.com')), knows(host('n1.example.com'))]).toEqual([false, true])
  })

  test('is kept: a later process knows it, and knows what was taken back', async () => {
    const store = memoryStore()
    const one = start(createTestRuntime(), store)
    one.note('max-age=60; includeSubDomains')
    one.note('max-age=60', originOf('https://other.example'))
    await one.close()
    expect(one.runtime.pendingTimers).toBe(0)
    const two = start(createTestRuntime(), store)
    expect(two.knows(host('example.com'))).toBe(false)
    await two.loaded
    expect([two.knows(host('api.example.com')), two.knows(host('other.example'))]).toEqual([true, true])
    two.note('max-age=0')
    await two.runtime.advance(1_000)
    await two.close()
    const three = start(createTestRuntime(), store)
    await three.loaded
    expect([three.knows(host('example.com')), three.knows(host('other.example'))]).toEqual([false, true])
    expect((await store.list('hsts/')).length).toBe(1)
  })

  test('two processes that share a store keep what both learnt', async () => {
    const store = memoryStore()
    const [one, two] = [start(createTestRuntime(), store), start(createTestRuntime(), store)]
    one.note('max-age=60')
    two.note('max-age=60', originOf('https://other.example'))
    await Promise.all([one.close(), two.close()])
    const three = start(createTestRuntime(), store)
    await three.loaded
    expect([three.knows(host('example.com')), three.knows(host('other.example'))]).toEqual([true, true])
  })

  test('the same again within a day is not written again', async () => {
    const store = memoryStore()
    let writes = 0
    const counting: Store = {
      ...store,
      put: (...args) => {
        writes += 1
        return store.put(...args)
      },
    }
    const { note, runtime, close } = start(createTestRuntime(), counting)
    note('max-age=31536000')
    await runtime.advance(1_000)
    note('max-age=31536000')
    await runtime.advance(3_600_000)
    note('max-age=31536000')
    await close()
    expect(writes).toBe(1)
  })

  test.each([
    'no json',
    '{}',
    '[null, 1, {}]',
    '[{"host":"Example.com","includeSubDomains":true,"until":9e15}]',
    '[{"host":"example.com","includeSubDomains":1,"until":9e12}]',
    '[{"host":"example.com","includeSubDomains":true,"until":"x"}]',
  ])('a file that holds %s is worth nothing', async (text) => {
    const store = memoryStore()
    await store.put('hsts/0000000007.json', Buffer.from(text))
    const { loaded, knows } = start(createTestRuntime(), store)
    await loaded
    expect(knows(host('example.com'))).toBe(false)
  })

  test('the control: a file as it is written', async () => {
    const store = memoryStore()
    await store.put(
      'hsts/0000000007.json',
      Buffer.from('[{"host":"example.com","includeSubDomains":true,"until":9e12}]'),
    )
    const { loaded, knows } = start(createTestRuntime(), store)
    await loaded
    expect(knows(host('example.com'))).toBe(true)
  })

  test('a store that fails costs memory of it, and nothing else', async () => {
    const broken = async (): Promise<never> => {
      throw new StoreError('ERR_STORE_READ', 'no')
    }
    const { note, knows, loaded, close } = start(createTestRuntime(), {
      get: broken,
      put: broken,
      list: broken,
      delete: broken,
    })
    await loaded
    note('max-age=60')
    await close()
    expect(knows(host('example.com'))).toBe(true)
  })

  test('what was taken back is remembered for the sake of the file alone: without a store nothing is kept of it', async () => {
    const kept: unknown[] = []
    const add = vi.spyOn(Set.prototype, 'add').mockImplementation(function (this: Set<unknown>, value) {
      kept.push(value)
      return this
    })
    onTestFinished(() => add.mockRestore())
    const forget = (store?: Store): void => {
      const { note } = createHsts({ runtime: createTestRuntime(), store })
      for (const field of ['max-age=60', 'max-age=0']) note(originOf('https://example.com'), field)
    }
    forget()
    expect(kept).not.toContain('example.com')
    forget(memoryStore())
    expect(kept).toContain('example.com')
  })
})

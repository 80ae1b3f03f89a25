import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import { compareResolvers, type Resolver, staticResolver, systemResolver } from '../../src/transport/resolvers.ts'
import { refusalOf } from '../support/client.ts'

const HOST = 'api.example.com'
const quiet = { emit: () => undefined }
const answering =
  (...addresses: readonly string[]): Resolver =>
  async () =>
    addresses
const failing: Resolver = async () => {
  throw new Error('no answer')
}

describe('systemResolver', () => {
  const lookup = vi.spyOn(dns, 'lookup')
  syncBuiltinESMExports()
  beforeEach(() => void lookup.mockClear())
  afterAll(() => {
    lookup.mockRestore()
    syncBuiltinESMExports()
  })

  test('asks once for all who want a name at the same moment, and again afterwards', async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, () => systemResolver('localhost', quiet)))
    expect(new Set(answers.flat())).toContain('127.0.0.1')
    expect(lookup).toHaveBeenCalledTimes(1)
    await systemResolver('localhost', quiet)
    expect(lookup).toHaveBeenCalledTimes(2)
  })

  test('a question without an answer is not waited for by who asks later', async () => {
    lookup.mockImplementationOnce(() => undefined as never)
    void systemResolver('localhost', quiet)
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(await systemResolver('localhost', quiet)).toContain('127.0.0.1')
    expect(lookup).toHaveBeenCalledTimes(2)
  })

  test('a name that did not resolve is asked for again', async () => {
    const failed = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
    lookup.mockImplementationOnce(((_: string, __: object, done: (error: Error) => void) => done(failed)) as never)
    await expect(systemResolver('localhost', quiet)).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(await systemResolver('localhost', quiet)).toContain('127.0.0.1')
  })
})

describe('staticResolver', () => {
  const resolver = staticResolver({ 'API.example.com': ['10.0.0.5', '::1'] }, answering('192.0.2.1'))

  test('answers for its names, however they are written', async () => {
    expect(await resolver('api.example.com', quiet)).toEqual(['10.0.0.5', '::1'])
    expect(await resolver('API.EXAMPLE.com.', quiet)).toEqual(['10.0.0.5', '::1'])
  })

  test('leaves others to the next one, and without one they do not resolve', async () => {
    expect(await resolver('other.example.com', quiet)).toEqual(['192.0.2.1'])
    expect(await staticResolver({ [HOST]: ['10.0.0.5'] })('other.example.com', quiet)).toEqual([])
  })

  test('hands on who listens', async () => {
    const contexts: unknown[] = []
    const next: Resolver = async (_, context) => {
      contexts.push(context)
      return []
    }
    await staticResolver({}, next)(HOST, quiet)
    expect(contexts).toEqual([quiet])
  })

  test.each([
    ['ERR_CONFIG_HOST', { '10.0.0.1': ['10.0.0.1'] }],
    ['ERR_CONFIG_HOST', { 'https://api.example.com': ['10.0.0.1'] }],
    ['ERR_CONFIG_HOST', { '*.example.com': ['10.0.0.1'] }],
    ['ERR_CONFIG_INVALID', { [HOST]: [] }],
    ['ERR_CONFIG_INVALID', { [HOST]: ['10.0.0.1', 'other.example.com'] }],
  ])('%s: %j', (code, hosts) => {
    expect(() => staticResolver(hosts)).toThrow(expect.objectContaining({ code }))
  })
})

describe('compareResolvers', () => {
  /** Two resolvers whose answers a test sets, and the events that comparing them raised. */
  function pair(options?: Parameters<typeof compareResolvers>[2]) {
    const answers = { first: ['10.0.0.1'], second: ['10.0.0.1'] }
    const events: ClientEvent[] = []
    const resolver = compareResolvers(
      async () => answers.first,
      async () => answers.second,
      options,
    )
    const ask = (host = HOST) => resolver(host, { emit: (event) => events.push(event) })
    return { answers, events, ask }
  }

  test('the same addresses in another order, or another spelling, are the same answer', async () => {
    const { answers, events, ask } = pair({ disagreement: 'refuse' })
    answers.first = ['10.0.0.1', '::ffff:10.0.0.2']
    answers.second = ['10.0.0.2', '10.0.0.1', '10.0.0.1']
    expect(await ask()).toEqual(['10.0.0.1', '::ffff:10.0.0.2'])
    expect(events).toEqual([])
  })

  test('other ones raise dns.mismatch, once for each change, and the first answer counts', async () => {
    const { answers, events, ask } = pair()
    answers.second = ['10.0.0.66']
    expect(await ask()).toEqual(['10.0.0.1'])
    await ask()
    expect(events).toEqual([{ type: 'dns.mismatch', host: HOST, first: ['10.0.0.1'], second: ['10.0.0.66'] }])
    answers.second = ['10.0.0.67']
    await ask()
    expect(events.length).toBe(2)
    answers.second = ['10.0.0.1']
    await ask()
    answers.second = ['10.0.0.67']
    await ask()
    expect(events.length).toBe(3)
    await ask('other.example.com')
    expect(events.length).toBe(4)
  })

  test("'refuse' connects to what both name", async () => {
    const { answers, ask } = pair({ disagreement: 'refuse' })
    answers.first = ['10.0.0.66', '10.0.0.1', '10.0.0.2']
    answers.second = ['10.0.0.2', '10.0.0.1']
    expect(await ask()).toEqual(['10.0.0.1', '10.0.0.2'])
  })

  test("'refuse', and nothing in common: ERR_POLICY_DNS_MISMATCH", async () => {
    const { answers, ask, events } = pair({ disagreement: 'refuse' })
    answers.second = ['10.0.0.66']
    const error = await refusalOf(ask(), 'ERR_POLICY_DNS_MISMATCH')
    expect(error).toMatchObject({ host: HOST, requestSent: 'no', retryable: false })
    expect(events.length).toBe(1)
    answers.second = []
    await refusalOf(ask(), 'ERR_POLICY_DNS_MISMATCH')
    answers.first = []
    expect(await ask()).toEqual([])
  })

  test('one that fails: the first one’s failure is the answer, the second one’s is a difference, or a refusal', async () => {
    const events: ClientEvent[] = []
    const context = { emit: (event: ClientEvent) => void events.push(event) }
    await expect(compareResolvers(failing, answering('10.0.0.1'))(HOST, context)).rejects.toThrow('no answer')
    await expect(
      compareResolvers(answering('10.0.0.1'), failing, { disagreement: 'refuse' })(HOST, context),
    ).rejects.toThrow('no answer')
    expect(events).toEqual([])
    expect(await compareResolvers(answering('10.0.0.1'), failing)(HOST, context)).toEqual(['10.0.0.1'])
    expect(events).toEqual([{ type: 'dns.mismatch', host: HOST, first: ['10.0.0.1'], second: [] }])
  })
})

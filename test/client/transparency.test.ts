import { type ClientOptions, createClient } from 'pinfetch'
import { relaxTransparency } from 'pinfetch/dangerous'
import { generateKey, testCa, testLog, testLogList } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../src/client/options.ts'

const ca = testCa()
const pins = { 'api.example.com': [ca.root.pin] }
const [a, b] = [testLog({ operator: 'A' }), testLog({ operator: 'B', isTiled: true })]
const logList = testLogList([a, b])
const resolved = (ct: ClientOptions['ct']) => resolveOptions({ pins, ...(ct === undefined ? {} : { ct }) }).transparency

describe('the option ct', () => {
  test('is off by default, and a report where there is a list', () => {
    expect(resolved(undefined)).toMatchObject({ everywhere: { mode: 'off', isRelaxed: false }, logList: undefined })
    expect(resolved({ logList }).everywhere.mode).toBe('report')
    expect(resolved({ logList, mode: 'require', rfc6962Log: 'required' })).toMatchObject({
      everywhere: { mode: 'require' },
      rfc6962Log: 'required',
    })
  })

  test('takes a public log list, and ignores what it does not know (case 608)', () => {
    const { timestamp, operators } = logList
    const [first] = operators
    const odd = { ...testLog().listed, state: { quantum: { timestamp } }, log_type: 'test' }
    const list = {
      version: '99.1',
      log_list_timestamp: timestamp,
      operators: [
        { ...first, email: ['ct@example.com'], logs: [a.listed, odd], quantum_logs: [{ id: 1 }] },
        { name: 'B', logs: [], tiled_logs: [{ ...b.listed, submission_url: 'https://b.example.com/' }] },
      ],
    }
    const read = resolved({ logList: list }).logList
    expect(read?.timestamp).toBe(Date.parse(timestamp))
    expect(read?.operators.map(({ logs = [], tiled_logs: tiled = [] }) => [logs.length, tiled.length])).toEqual([
      [1, 0],
      [0, 1],
    ])
  })

  test.each<[string, unknown, string]>([
    ['off', 'off', 'ct'],
    ['a look-alike of pinfetch/dangerous', { kind: 'relaxedTransparency', mode: 'off', reason: 'x' }, 'ct'],
    ['a member that is none', { list: logList }, 'ct'],
    ['enforcement without a list', 'enforce', 'ct.logList'],
    ['a requirement without a list', { mode: 'require' }, 'ct.logList'],
    ['a list without a date', { logList: { operators: logList.operators } }, 'ct'],
    ['a list that is text', { logList: '{}' }, 'ct'],
    [
      'a log under the id of another key (case 610)',
      {
        logList: {
          ...logList,
          operators: [{ name: 'A', logs: [{ ...a.listed, key: Buffer.from(generateKey().spki).toString('base64') }] }],
        },
      },
      'ct',
    ],
  ])('%s is refused: ERR_CONFIG_INVALID', (_, ct, place) => {
    const make = () => createClient({ pins, ct: ct as 'enforce' })
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringMatching(place) }))
  })

  test('for single hosts needs a list as well, and a pattern: ERR_CONFIG_INVALID, ERR_CONFIG_HOST', () => {
    const make = (hostCt: ClientOptions['hostCt']) => () => createClient({ pins, ...(hostCt && { hostCt }) })
    expect(make({ 'api.example.com': 'enforce' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    expect(make({ 'https://a.com': 'report' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_HOST' }))
  })

  test('is relaxed with a reason alone: ERR_CONFIG_REASON', () => {
    expect(() => relaxTransparency('off', { reason: ' ' })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_REASON' }),
    )
    expect(resolved(relaxTransparency('off', { reason: 'why' }))).toMatchObject({
      everywhere: { mode: 'off', isRelaxed: true },
      loosened: [{ subject: 'ct', mode: 'off', reason: 'why' }],
    })
  })
})

import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../src/client/options.ts'
import { type RedirectOption, RedirectSchema } from '../../src/client/redirect-options.ts'
import { refusalOf } from '../support/client.ts'

const pins = { 'api.example.com': ['sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='] }

describe('the option `redirect`', () => {
  test.each<[RedirectOption | undefined, unknown]>([
    [undefined, undefined],
    ['error', undefined],
    ['same-origin', { follow: [], maxHops: 5 }],
    [{ follow: ['*.example.com:8443'] }, { follow: ['*.example.com:8443'], maxHops: 5 }],
    [
      { follow: [], maxHops: 20 },
      { follow: [], maxHops: 20 },
    ],
  ])('%j is read as %j', (redirect, rules) => {
    expect(resolveOptions({ pins, ...(redirect === undefined ? {} : { redirect }) }).redirect).toEqual(rules)
  })

  test.each<[unknown]>([
    ['follow'],
    [true],
    [{}],
    [{ follow: '*' }],
    [{ follow: ['*'] }],
    [{ follow: ['*.com'] }],
    [{ follow: ['https://api.example.com'] }],
    [{ follow: ['api.example.com/path'] }],
    [{ follow: ['api.example.com:0'] }],
    [{ follow: [], maxHops: 21 }],
    [{ follow: [], maxHops: 0 }],
    [{ follow: [], maxHops: 1.5 }],
    [{ follow: [], hops: 1 }],
  ])('%j is none: ERR_CONFIG_INVALID', async (redirect) => {
    expect(RedirectSchema.safeParse(redirect).success).toBe(false)
    const given = { pins, redirect } as Parameters<typeof resolveOptions>[0]
    const error = await refusalOf(
      Promise.resolve().then(() => resolveOptions(given)),
      'ERR_CONFIG_INVALID',
    )
    expect(error.message).toMatch(/^redirect/)
  })
})

import { expect, test } from 'vitest'
import type { ComponentIdentifier } from '../../src/signing/component.ts'
import { type Component, componentIdentifier } from '../../src/signing/component.ts'
import type { FieldLine, RequestMessage } from '../../src/signing/message.ts'
import { requestBinding } from '../../src/signing/request-binding.ts'
import { requireCoverage } from '../../src/signing/verify-coverage.ts'

/** What a request is signed over, by label. */
function sent(signatures: Readonly<Record<string, string>>) {
  const fields: FieldLine[] = [['content-digest', 'sha-256=:AAAA:']]
  for (const [label, covered] of Object.entries(signatures))
    fields.push(['signature-input', `${label}=(${covered})`], ['signature', `${label}=:AAAA:`])
  return { kind: 'request', method: 'POST', url: 'https://api.example/orders', fields } as const
}

const BOUND: readonly Component[] = [
  { name: '@method', req: true },
  { name: '@target-uri', req: true },
]
const coveringSignature = (key?: string): ComponentIdentifier[] =>
  [...BOUND, { name: 'signature', req: true, ...(key === undefined ? {} : { key }) } as const].map(componentIdentifier)

const isBound = (components: readonly ComponentIdentifier[], request: RequestMessage, bind: boolean | 'signature') => {
  try {
    requireCoverage(components, requestBinding(request, bind), (code) => new Error(code) as never)
    return true
  } catch (error) {
    expect((error as Error).message).toBe('ERR_VERIFY_REQUEST_BINDING')
    return false
  }
}

test('our signature stands for the body where it covers the digest, and no other one does: ERR_VERIFY_REQUEST_BINDING', () => {
  const request = sent({ own: '"@method" "content-digest"', other: '"@method"', trailer: '"content-digest";tr' })
  expect(isBound(coveringSignature('own'), request, true)).toBe(true)
  expect(isBound(coveringSignature('other'), request, true)).toBe(false)
  expect(isBound(coveringSignature('trailer'), request, true)).toBe(false)
  expect(isBound(coveringSignature(), request, true)).toBe(true) // all of them
  expect(isBound(coveringSignature(), sent({ other: '"@method"' }), true)).toBe(false)
})

test('where our signature is asked for, each of them is one', () => {
  const request = { ...sent({}), fields: sent({ own: '"@method"' }).fields.slice(1) }
  expect(isBound(coveringSignature('own'), request, 'signature')).toBe(true)
  expect(isBound(coveringSignature('another'), request, 'signature')).toBe(false)
})

const REQUEST = { kind: 'request', method: 'GET', url: 'https://api.example/a', fields: [] } as const
const WITH_QUERY = { ...REQUEST, url: 'https://api.example/a?b=c' }

const covers = (names: readonly string[], request: RequestMessage, bind: boolean | 'signature' = true) =>
  isBound(
    names.map((name) => componentIdentifier({ name, req: true })),
    request,
    bind,
  )

test.each([
  [['@method', '@target-uri'], true, true],
  [['@method', '@authority', '@request-target'], true, true],
  [['@method', '@authority', '@path', '@query'], true, true],
  [['@method', '@authority', '@path'], true, false],
  [['@method', '@path', '@query'], false, false],
  [['@method', '@request-target'], false, false],
  [['@method', '@authority', '@query'], false, false],
  [['@target-uri'], false, false],
  [['@method'], false, false],
])('a response that covers %j of its request is bound to it: %s; where it has a query: %s', (names, plain, queried) => {
  expect([covers(names, REQUEST), covers(names, WITH_QUERY)]).toEqual([plain, queried])
})

test('components of the response are none of the request: ERR_VERIFY_REQUEST_BINDING', () => {
  expect(isBound(['@method', '@target-uri'].map(componentIdentifier), REQUEST, true)).toBe(false)
})

test('the digest of the body stands for the body: ERR_VERIFY_REQUEST_BINDING without', () => {
  const names = ['@method', '@target-uri']
  expect(covers(names, sent({}))).toBe(false)
  expect(covers([...names, 'content-digest'], sent({}))).toBe(true)
})

test('nothing has to be covered where nobody asks for it', () => {
  expect(requestBinding(sent({ own: '"content-digest"' }), false)).toEqual([])
})

test('a request that is not signed, or whose signatures cannot be read, has none to cover: ERR_VERIFY_REQUEST_BINDING', () => {
  const names = ['@method', '@target-uri', 'signature']
  for (const fields of [[], [['signature-input', 'own=(']] as const]) {
    expect(covers(names, { ...REQUEST, fields })).toBe(true)
    expect(covers(names, { ...REQUEST, fields }, 'signature')).toBe(false)
  }
})

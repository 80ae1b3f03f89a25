import { expect, test } from 'vitest'
import type { ComponentIdentifier } from '../../src/signing/component.ts'
import { type Component, componentIdentifier } from '../../src/signing/component.ts'
import type { FieldLine } from '../../src/signing/message.ts'
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

const isBound = (
  components: readonly ComponentIdentifier[],
  request: ReturnType<typeof sent>,
  bind: true | 'signature',
) => {
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

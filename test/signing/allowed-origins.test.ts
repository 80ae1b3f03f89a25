import { expect, test } from 'vitest'
import { signsFor } from '../../src/signing/allowed-origins.ts'
import type { BoundSigner } from '../../src/signing/signing.ts'
import { signable } from './signable.ts'

const ours = signable({ url: 'https://api.example/a' })
const others = signable({ url: 'https://api.example:8443/a' })
const context = { signal: new AbortController().signal }
const response = { status: 401, headers: new Headers() }

function signer() {
  const asked: string[] = []
  const bound: BoundSigner = {
    sign: ({ origin }) => {
      asked.push(`sign ${origin}`)
      return { headers: { 'x-signature': '1' } }
    },
    onResponse: (_, { origin }) => {
      asked.push(`response ${origin}`)
      return 'retry'
    },
    close: () => void asked.push('close'),
  }
  return { bound, asked }
}

test('a request to an origin that is not allowed is not signed, and what it answers is not shown to the signer', async () => {
  const { bound, asked } = signer()
  const { sign, onResponse, close } = signsFor(['https://api.example'], bound)
  expect(await sign(others, context)).toEqual({})
  expect(onResponse?.(response, others)).toBe('done')
  expect(asked).toEqual([])
  expect(await sign(ours, context)).toEqual({ headers: { 'x-signature': '1' } })
  expect(onResponse?.(response, ours)).toBe('retry')
  close?.()
  expect(asked).toEqual(['sign https://api.example', 'response https://api.example', 'close'])
})

test('a signer that does not ask for responses is not shown any', () => {
  const { sign } = signer().bound
  expect(signsFor(['https://api.example'], { sign })).not.toHaveProperty('onResponse')
})

test('without origins it signs for all', async () => {
  const { bound } = signer()
  const { sign, onResponse } = signsFor(undefined, bound)
  expect(await sign(others, context)).not.toEqual({})
  expect(onResponse?.(response, others)).toBe('retry')
})

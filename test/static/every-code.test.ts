import { join } from 'node:path'
import { createClient } from 'pinfetch'
import { expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors/errors.ts'
import { missingFrom } from '../support/every-code.ts'
import { producedCodes } from '../support/produced-codes.ts'

const root = join(import.meta.dirname, '../..')

test('an error that the sources make is observed, one that a test makes is not', () => {
  const observed = producedCodes() as Set<string>
  for (const code of ['ERR_CONFIG_HOST_CLAIMED_TWICE', 'ERR_CONFIG_INVALID']) observed.delete(code) // of files before, which told of it
  new ConfigurationError('ERR_CONFIG_HOST_CLAIMED_TWICE', 'made by a test')
  expect(producedCodes()).not.toContain('ERR_CONFIG_HOST_CLAIMED_TWICE')
  expect(() => createClient({ timeoutMs: -1 } as never)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
  )
  expect(producedCodes()).toContain('ERR_CONFIG_INVALID')
})

test('a code that the sources make errors of, and nobody saw, is named', () => {
  const all = missingFrom(root, [])
  expect(all).toContain('ERR_CONFIG_INVALID')
  expect(all.length).toBeGreaterThan(100)
  expect(missingFrom(root, all)).toEqual([])
  expect(missingFrom(root, all.slice(1))).toEqual(all.slice(0, 1))
})

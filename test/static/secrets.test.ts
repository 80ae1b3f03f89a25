import { createPrivateKey } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', '.git'])

/** A private key as text: PEM (RFC 7468), also in one line with escaped breaks, or the `d` of a JWK (RFC 7517). */
const KEYS = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\r|\\n|\s)*(?:[A-Z][\w-]*: [^\n]*\s+)*[A-Za-z0-9+/=]{16}/,
  /["'`]?\bd["'`]?\s*:\s*["'`][A-Za-z0-9_-]{40,}["'`]/,
]
const KEY_FILE = /\.(pem|key|p8|p12|pfx|jks|keystore)$/i

const holdsKey = (text: string): boolean => KEYS.some((key) => key.test(text))

describe('no private key anywhere in the repository', () => {
  const files = filesBelow(ROOT)

  test('as text in a file', () => {
    expect(files.length).toBeGreaterThan(300)
    expect(files.filter((path) => holdsKey(readFileSync(path, 'latin1'))).map(named)).toEqual([])
  })

  test('as a file that looks like one', () => {
    expect(files.map(named).filter((name) => KEY_FILE.test(name))).toEqual([])
  })

  test('and one that were there would be found', () => {
    const { keyPem } = testCa().issue({ keyType: 'Ed25519' })
    const key = createPrivateKey(keyPem)
    const encrypted = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString()
    const jwk = key.export({ format: 'jwk' })
    const { d } = jwk
    for (const text of [
      keyPem,
      encrypted,
      JSON.stringify({ pem: keyPem }),
      JSON.stringify(jwk),
      JSON.stringify({ keys: [jwk] }, null, 2),
      `const key = { d: '${d}' }`,
    ]) {
      expect(holdsKey(text)).toBe(true)
    }
    expect(holdsKey(testCa().anchorPem + JSON.stringify({ ...jwk, d: undefined }))).toBe(false)
  })
})

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : filesBelow(path)
    return entry.isFile() ? [path] : []
  })
}

const named = (path: string): string => relative(ROOT, path)

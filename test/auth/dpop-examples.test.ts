import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createDpop } from '../../src/auth/dpop.ts'
import { createClockOffsets } from '../../src/keys/clock-offset.ts'
import type { Signer } from '../../src/keys/signer.ts'
import { verificationKey, verifySignature } from '../../src/keys/verification-key.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { hasVectors, vectorJson } from '../support/vectors.ts'

interface Examples {
  readonly accessToken: string
  readonly jkt: string
  readonly proofs: readonly {
    readonly proof: string
    readonly header: { readonly typ: string; readonly alg: string; readonly jwk: JsonWebKey }
    readonly claims: {
      readonly jti: string
      readonly htm: string
      readonly htu: string
      readonly iat: number
      readonly ath?: string
    }
  }[]
}

const isPresent = hasVectors('signing')

describe.skipIf(!isPresent)('the proofs of RFC 9449', () => {
  const { proofs, jkt, accessToken } = isPresent
    ? vectorJson<Examples>('signing/dpop/dpop-examples.json')
    : { proofs: [], jkt: '', accessToken: '' }

  test('there are three', () => {
    expect(proofs).toHaveLength(3)
  })

  test.each(proofs)(
    '$claims.htm $claims.htu at $claims.iat: its signature is one of the key that it shows',
    (example) => {
      const [header = '', claims = '', signature = ''] = example.proof.split('.')
      expect(decoded(header)).toEqual(example.header)
      expect(decoded(claims)).toEqual(example.claims)
      const key = verificationKey(example.header.jwk, { keyId: '', algorithm: 'ecdsa-p256-sha256' })
      const bytes = Buffer.from(signature, 'base64url')
      expect(verifySignature(key, Buffer.from(`${header}.${claims}`), bytes)).toBe(true)
      for (const at of [0, 31, 32, 63]) {
        const changed = Uint8Array.from(bytes, (octet, index) => (index === at ? octet ^ 1 : octet))
        expect(verifySignature(key, Buffer.from(`${header}.${claims}`), changed)).toBe(false)
      }
      expect(verifySignature(key, Buffer.from(`${header}.${claims}A`), bytes)).toBe(false)
    },
  )

  test.each(proofs)(
    '$claims.htm $claims.htu at $claims.iat: ours says the same, over the same key',
    async (example) => {
      const { claims, header, proof } = example
      const signed: Uint8Array[] = []
      const signer: Signer = {
        ...{ algorithm: 'ecdsa-p256-sha256', keyId: '' },
        publicKey: createPublicKey({ key: header.jwk, format: 'jwk' }),
        sign: (message) => {
          signed.push(message)
          return Buffer.from(proof.split('.')[2] ?? '', 'base64url')
        },
      }
      const runtime = {
        clock: { now: () => toUnixMs(claims.iat * 1_000 + 999), monotonic: () => 0 },
        random: () => Uint8Array.from(Buffer.from(claims.jti, 'base64url')),
        schedule: () => () => undefined,
      }
      const offsets = createClockOffsets({ runtime, emit: () => undefined })
      const dpop = createDpop(signer, { runtime, offsets, onKeyChanged: () => undefined })
      expect(dpop.jkt).toBe(jkt)
      const { signal } = new AbortController()
      const url = new URL(`${claims.htu}?a=1#b`)
      const token = claims.ath === undefined ? {} : { accessToken }
      const made = await dpop.proof({ method: claims.htm, url, signal, ...token })
      const [ourHeader = '', ourClaims = ''] = made.header.split('.')
      expect([decoded(ourHeader), decoded(ourClaims)]).toEqual([header, claims])
      expect(Buffer.from(signed[0] ?? '').toString()).toBe(`${ourHeader}.${ourClaims}`)
    },
  )

  test('the token of the third is the one whose hash it has', () => {
    const hashes = proofs.map(({ claims }) => claims.ath)
    expect(hashes).toEqual([undefined, undefined, createHash('sha256').update(accessToken).digest('base64url')])
  })
})

const decoded = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())

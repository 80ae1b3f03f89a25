import { expectTypeOf, test } from 'vitest'
import type * as z from 'zod'
import type { ManifestPayload, StatusPayload } from '../../src/manifest/schema.ts'
import type { ManifestMembers, StatusMembers } from '../../src/publisher/wire.ts'

type Envelope = 'type' | 'spec' | 'repo' | 'env' | 'version' | 'issuedAt' | 'expires'
type Readonlied<T> = T extends object ? { readonly [K in keyof T]: Readonlied<T[K]> } : T
type Read<Schema extends z.ZodType> = Readonlied<Omit<z.input<Schema>, Envelope>>

test('what a publisher may write is what the client’s schema reads, member by member', () => {
  expectTypeOf<ManifestMembers>().toEqualTypeOf<Read<typeof ManifestPayload>>()
  expectTypeOf<StatusMembers>().toEqualTypeOf<Read<typeof StatusPayload>>()
})

import { expectTypeOf, test } from 'vitest'
import type * as z from 'zod'
import type { HostEntry, ManifestPayload, StatusPayload } from '../../src/manifest/schema.ts'
import type { HostInput, ManifestMembers, StatusMembers } from '../../src/publisher/wire.ts'

type Envelope = 'type' | 'spec' | 'repo' | 'env' | 'version' | 'issuedAt' | 'expires'
type Readonlied<T> = T extends object ? { readonly [K in keyof T]: Readonlied<T[K]> } : T
type Read<Schema extends z.ZodType> = Readonlied<Omit<z.input<Schema>, Envelope>>

test('what a publisher may write is what the client’s schema reads, member by member', () => {
  expectTypeOf<Omit<ManifestMembers, 'hosts'>>().toEqualTypeOf<Omit<Read<typeof ManifestPayload>, 'hosts'>>()
  expectTypeOf<HostInput>().toEqualTypeOf<Read<typeof HostEntry>>()
  expectTypeOf<StatusMembers>().toEqualTypeOf<Read<typeof StatusPayload>>()
})

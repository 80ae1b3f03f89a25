import type * as z from 'zod'
import { formatInstant, type RootPayload } from '../manifest/schema.ts'
import { toUnixMs } from '../ports/runtime.ts'
import type { SigningKey } from './keys.ts'
import type { HostInput, ManifestMembers, StatusMembers } from './wire.ts'

export type { HostInput } from './wire.ts'

/*
 * Payload bytes from plain inputs. Each document is serialised once: everyone signs these bytes, the client verifies these
 * bytes, and nobody ever serialises them again. Instants are Unix milliseconds; seconds are kept.
 */

export interface Validity {
  readonly version: number
  readonly issuedAt: number
  readonly expires: number
}

export interface Identity {
  readonly repo: string
  readonly env: string
}

export interface RoleInput {
  readonly keys: readonly Pick<SigningKey, 'kid'>[]
  readonly threshold: number
}

export interface RootInput extends Identity, Validity {
  readonly keys: readonly Pick<SigningKey, 'alg' | 'publicJwk' | 'holder' | 'note'>[]
  readonly roles: {
    readonly root: RoleInput
    readonly manifest: RoleInput & { readonly epoch: number }
    readonly status: RoleInput & { readonly epoch: number; readonly mayDeny: boolean }
  }
}

export type StatusInput = Identity & Validity & StatusMembers
export type ManifestInput = Identity & Validity & ManifestMembers

export function rootPayload({ keys, roles, ...rest }: RootInput): Uint8Array {
  const { root, manifest, status } = roles
  const document: z.input<typeof RootPayload> = {
    type: 'root',
    ...commonOf(rest),
    keys: keys.map(({ alg, publicJwk, holder, note }) => ({
      ...publicJwk,
      alg,
      ...(holder === undefined ? {} : { holder }),
      ...(note === undefined ? {} : { note }),
    })),
    roles: {
      root: roleOf(root),
      manifest: { ...roleOf(manifest), epoch: manifest.epoch },
      status: { ...roleOf(status), epoch: status.epoch, mayDeny: status.mayDeny },
    },
  }
  return serialise(document)
}

export function statusPayload({ repo, env, version, issuedAt, expires, ...members }: StatusInput): Uint8Array {
  return serialise({ type: 'status', ...commonOf({ repo, env, version, issuedAt, expires }), ...members })
}

export function manifestPayload({ repo, env, version, issuedAt, expires, ...members }: ManifestInput): Uint8Array {
  return serialise({ type: 'manifest', ...commonOf({ repo, env, version, issuedAt, expires }), ...members })
}

/**
 * Host entries in pieces that a client reads in one go each. The order stays, so a change of one entry changes
 * few pieces.
 */
export function hostBlobs(hosts: readonly HostInput[]): readonly Uint8Array[] {
  const blobs: Uint8Array[] = []
  let texts: string[] = []
  let length = 0
  const close = (): void => {
    if (texts.length > 0) blobs.push(new TextEncoder().encode(`[\n${texts.join(',\n')}\n]\n`))
    texts = []
    length = 0
  }
  for (const host of hosts) {
    const text = JSON.stringify(host)
    const bytes = Buffer.byteLength(text) + 2
    if (length + bytes > MAX_BLOB_BYTES) close()
    texts.push(text)
    length += bytes
  }
  close()
  return blobs
}

function commonOf({ repo, env, version, issuedAt, expires }: Identity & Validity) {
  const [from, to] = [formatInstant(toUnixMs(issuedAt)), formatInstant(toUnixMs(expires))]
  return { spec: '1.0', repo, env, version, issuedAt: from, expires: to }
}

function roleOf({ keys, threshold }: RoleInput) {
  return { keys: keys.map(({ kid }) => kid), threshold }
}

function serialise(document: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(document, null, 1)}\n`) // readable when a reviewer decodes it
}

const MAX_BLOB_BYTES = 256 * 1024 // a quarter of what clients take: parsed without a pause, and a change costs little to fetch

import { isIP } from 'node:net'
import * as z from 'zod'
import { type AddressBlock, hasHostBits, parseBlock } from '../encoding/cidr.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { hostIndex, parseHostPattern } from '../encoding/host-pattern.ts'

/**
 * Blocks are written as `10.0.0.0/8` or `2001:db8::/32`; one address is `10.0.0.1/32`. Of a proxy, which the operator names and no
 * caller, only `deny` speaks; of the servers behind it, all.
 */
export interface AddressOptions {
  /** Nothing else is connected to. Default: no such list. */
  readonly allow?: readonly string[]
  /** Never connected to; wins over `allow`. */
  readonly deny?: readonly string[]
  /**
   * Private addresses and this machine's own: RFC 1918, carriers', loopback, `fc00::/7`. Default `'allow'`: internal APIs live
   * there, and whoever answers in place of one has to show its pinned key, so nothing but the TLS greeting gets there.
   * `'refuse'` where callers choose the host of a URL, and what stands behind the firewall should not even be knocked at.
   *
   * Link-local addresses, the metadata services of clouds, multicast, broadcast and reserved ranges are refused either way.
   * To reach one of these, or a private one beside `'refuse'`, `allow` has to name a block inside that range; `0.0.0.0/0` does
   * not name it.
   */
  readonly private?: 'allow' | 'refuse'
}

const Block = z.string().transform((text, context): AddressBlock => {
  const block = parseBlock(text)
  if (block !== undefined && !hasHostBits(block)) return block
  const message = block === undefined ? 'expected an address block such as 10.0.0.0/8' : 'has bits set after its prefix'
  context.addIssue({ code: 'custom', message: `${message}, got ${JSON.stringify(text)}` })
  return z.NEVER
})

const BLOCKS = { min: 1, max: 1_000 } // an empty `allow` would refuse everything: a slip

export const AddressesSchema = z
  .strictObject({
    allow: z.array(Block).min(BLOCKS.min).max(BLOCKS.max).optional(),
    deny: z.array(Block).max(BLOCKS.max).default([]),
    private: z.enum(['allow', 'refuse']).default('allow'),
  })
  .prefault({})

export const AddressesInFile = z.strictObject({
  allow: z.array(z.string()).min(BLOCKS.min).max(BLOCKS.max).exactOptional(),
  deny: z.array(z.string()).max(BLOCKS.max).exactOptional(),
  private: z.enum(['allow', 'refuse']).exactOptional(),
})

export const LocalAddressSchema = z
  .string()
  .refine((text) => isIP(text) !== 0, 'expected an IP address of this machine')
  .optional()

export const UnixSocketsSchema = z
  .record(
    z.string().refine((text) => parseHostPattern(text)?.kind === 'exact', 'expected a host without wildcard'),
    z.string().min(1).startsWith('/', 'expected an absolute path'),
  )
  .default({})

/** Whatever the port: the socket takes the place of the host. */
export function unixSocketLookup(sockets: Readonly<Record<string, string>>) {
  const find = hostIndex(
    Object.entries(sockets).flatMap(([text, path]) => {
      const pattern = parseHostPattern(text)
      return pattern === undefined ? [] : [[pattern, path] as const]
    }),
  )
  return ({ host }: CanonicalOrigin): string | undefined => find(host)
}

import type { CanonicalOrigin } from '../encoding/host.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import { identityOf, type Judgement, judge } from './chain.ts'
import type { Io } from './io.ts'
import { probe } from './probe.ts'
import { dateOf } from './text.ts'

export interface SeenServer {
  /** As the JSON answers show it. */
  readonly source: object
  readonly presented: readonly Uint8Array[]
  readonly staple?: Uint8Array | undefined
  readonly judgement: Judgement
  readonly warnings: readonly string[]
}

/** Looks at a live server and judges what it showed, under the name that was asked for. */
export async function seeServer(
  origin: CanonicalOrigin,
  { anchors, sni }: { readonly anchors: AnchorSet; readonly sni: string | undefined },
  io: Io,
): Promise<SeenServer> {
  const { presented, staple, address, protocol, keyProven } = await probe(origin, { sni, signal: io.signal })
  const now = io.now()
  return {
    source: { kind: 'server', name: origin.text, address, protocol, keyProven, observedAt: dateOf(now) },
    presented,
    staple,
    judgement: judge({ presented, anchors, now, identity: identityOf(origin, sni) }),
    warnings: [SEEN_FROM_HERE, ...(keyProven ? [] : [NOT_PROVEN])],
  }
}

const SEEN_FROM_HERE =
  'this is what this network showed just now; somebody in between can show the same to every look from here. Compare the keys with the API’s owner, or from another network, before you pin one.'
const NOT_PROVEN = 'the handshake broke off, so the server has not proved that it holds the key'

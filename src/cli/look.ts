import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { pinOfSpki } from '../encoding/pin.ts'
import { TlsError, TransportError } from '../errors/errors.ts'
import type { StapleFact } from '../picture/facts.ts'
import type { SeenChain } from '../publisher/seen.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import type { Io } from './io.ts'
import { type SeenServer, seeServer } from './server.ts'
import { stapleOf } from './staple.ts'
import type { WorkingList } from './working-list.ts'

/** Looks at a server, and keeps what lint needs to know of the path that verified. */
export async function look(
  origin: CanonicalOrigin,
  options: { readonly anchors: AnchorSet; readonly sni: string | undefined; readonly as?: CanonicalOrigin },
  io: Io,
): Promise<SeenServer & { readonly chain: SeenChain | undefined; readonly stapled: StapleFact | undefined }> {
  const seen = await seeServer(origin, options, io)
  const { path, findings } = seen.judgement
  const chain = path === undefined || findings.length > 0 ? undefined : chainOf(path, options.as ?? origin, io.now())
  const stapled = path === undefined ? undefined : stapleOf(path, seen.staple, io.now())
  return { ...seen, chain, stapled }
}

/** What came stapled with a chain. */
export type Staples = ReadonlyMap<SeenChain, StapleFact>

/** Looks at every host of the list that has a name of its own; a wildcard is looked at where its hosts were seen before. */
export async function lookAtAll(
  list: Pick<WorkingList, 'hosts' | 'seen'>,
  anchors: AnchorSet,
  io: Io,
): Promise<{ readonly chains: readonly SeenChain[]; readonly staples: Staples; readonly warnings: readonly string[] }> {
  const named = list.hosts.flatMap(({ host, port }) => originOf(host, port) ?? [])
  const known = (list.seen ?? []).flatMap(({ host, port }) => originOf(host, port) ?? [])
  const origins = [...new Map([...named, ...known].map((origin) => [origin.text, origin])).values()]
  const chains: SeenChain[] = []
  const staples = new Map<SeenChain, StapleFact>()
  const warnings: string[] = []
  for (const origin of origins) {
    try {
      const { chain, stapled, judgement } = await look(origin, { anchors, sni: undefined }, io)
      if (chain !== undefined) chains.push(chain)
      else warnings.push(`${origin.text}: not compared, ${judgement.findings[0]?.message}`)
      if (chain !== undefined && stapled !== undefined) staples.set(chain, stapled)
    } catch (error) {
      if (!(error instanceof TransportError || error instanceof TlsError)) throw error
      warnings.push(`${origin.text}: not compared, ${error.message}`)
    }
  }
  return { chains, staples, warnings }
}

function originOf(host: string, port: number | undefined): CanonicalOrigin | undefined {
  const href = `https://${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}/`
  return !host.startsWith('*') && URL.canParse(href) ? canonicalOrigin(new URL(href)) : undefined
}

/** What lint needs to know of a path that verified. */
export function chainOf({ certificates }: CertificationPath, { host, port }: CanonicalOrigin, now: number): SeenChain {
  const [endEntity] = certificates
  return {
    host,
    port,
    seenAt: now,
    notBefore: endEntity.notBefore,
    notAfter: endEntity.notAfter,
    path: certificates.map(({ spki, sha256, serialNumber }) => ({
      pins: [pinOfSpki(spki), pinOfSpki(spki, 'sha384'), pinOfSpki(spki, 'sha512')],
      sha256,
      serial: Buffer.from(serialNumber)
        .toString('hex')
        .replace(/^0+(?=.)/, ''),
    })),
  }
}

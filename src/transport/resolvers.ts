import { ADDRCONFIG, lookup } from 'node:dns'
import { isIP } from 'node:net'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { parseAddress } from '../encoding/cidr.ts'
import { canonicalHost } from '../encoding/host.ts'
import { ConfigurationError, PolicyError } from '../errors/errors.ts'
import type { Emitter } from '../events/emitter.ts'
import type { Emit } from '../events/events.ts'
import { systemRuntime } from '../ports/system.ts'

/**
 * Addresses of a DNS name, in the order to try them: canonical IPv4 or IPv6 text. None, or a rejection, means that it did not
 * resolve; a PinfetchError reaches the caller of `fetch` as it is.
 */
export type Resolver = (host: string, context: ResolverContext) => Promise<readonly string[]>

/** What a resolver may tell of itself, by the client that asks. */
export interface ResolverContext {
  /** To the listeners of the client that asks. */
  readonly emit: Emit
  readonly hasListeners?: Emitter['hasListeners'] | undefined
}

/**
 * The system's resolver: what other programs on this machine would connect to. Who wants a name that it was asked for a moment ago
 * gets the same answer: each question holds one of four threads, which the file system needs as well.
 */
export const systemResolver: Resolver = (host) => {
  const now = systemRuntime.clock.monotonic()
  const known = asked.get(host)
  if (known !== undefined && now - known.since < MOMENT_MS) return known.answer
  const answer = lookupAll(host)
  const question = { since: now, answer }
  asked.set(host, question)
  const settled = (): void => {
    if (asked.get(host) === question) asked.delete(host)
  }
  answer.then(settled, settled)
  return answer
}

const lookupAll = (host: string): Promise<readonly string[]> =>
  new Promise((resolve, reject) => {
    lookup(host, { all: true, hints: process.platform === 'win32' ? 0 : ADDRCONFIG }, (error, addresses) =>
      error === null ? resolve(addresses.map(({ address }) => address)) : reject(error),
    )
  })

/** Questions without an answer yet. */
const asked = new Map<string, { readonly since: number; readonly answer: Promise<readonly string[]> }>()

/**
 * Names with addresses that do not change: nobody is asked for them, so no answer can be forged.
 *
 * @param otherwise Asked for every other name. Default: such names do not resolve.
 * @throws ConfigurationError for what is no host name or no address.
 */
export function staticResolver(hosts: Readonly<Record<string, readonly string[]>>, otherwise?: Resolver): Resolver {
  const known = new Map(
    Object.entries(hosts).map(([text, addresses]) => {
      const host = canonicalHost(text)
      if (host === undefined || isIP(host) !== 0) {
        throw new ConfigurationError('ERR_CONFIG_HOST', `staticResolver: ${JSON.stringify(text)} is no host name`)
      }
      const wrong = addresses.find((address) => isIP(address) === 0)
      if (wrong === undefined && addresses.length > 0) return [host as string, [...addresses]] as const
      const message = `staticResolver: expected IP addresses for ${host}, got ${JSON.stringify(wrong ?? [])}`
      throw new ConfigurationError('ERR_CONFIG_INVALID', message)
    }),
  )
  return async (host, context) => known.get(canonicalHost(host) ?? host) ?? (await otherwise?.(host, context)) ?? []
}

/** What two resolvers that disagree mean. */
export interface CompareOptions {
  /**
   * `'report'`: the first resolver’s answer counts, and a different one of the second raises `dns.mismatch`.
   * `'refuse'`: only addresses that both name are connected to; where there is none, the call fails with
   * `ERR_POLICY_DNS_MISMATCH`. Default `'report'`: names with many addresses are answered differently every time.
   */
  readonly disagreement?: 'report' | 'refuse'
}

/** Asks two resolvers, so that whoever forges answers has to do so in two places. One event for each change of the answers. */
export function compareResolvers(first: Resolver, second: Resolver, options: CompareOptions = {}): Resolver {
  const { disagreement = 'report' } = options
  const told = new BoundedMap<string, string>(MAX_NAMES)
  return async (host, context) => {
    const [one, two] = await Promise.allSettled([first(host, context), second(host, context)])
    if (one.status === 'rejected') throw one.reason
    if (two.status === 'rejected' && disagreement === 'refuse') throw two.reason
    const answers = [one.value, two.status === 'fulfilled' ? two.value : []] as const
    const [a, b] = answers.map((addresses) => new Set(addresses.map(keyOf)))
    const text = JSON.stringify([[...(a ?? [])].sort(), [...(b ?? [])].sort()])
    const isSame = a?.size === b?.size && [...(a ?? [])].every((key) => b?.has(key))
    if (isSame) told.delete(host)
    else if (told.get(host) !== text) {
      told.set(host, text)
      context.emit({ type: 'dns.mismatch', host, first: [...answers[0]], second: [...answers[1]] })
    }
    if (disagreement === 'report') return answers[0]
    const both = answers[0].filter((address) => b?.has(keyOf(address)))
    if (both.length > 0 || answers[0].length + answers[1].length === 0) return both
    const message = `${host}: two resolvers name no address in common, so no connection was made`
    throw new PolicyError('ERR_POLICY_DNS_MISMATCH', message, { host })
  }
}

/** The same for each spelling of an address. */
const keyOf = (address: string): string => parseAddress(String(address))?.join('.') ?? String(address)

const MAX_NAMES = 1_000
const MOMENT_MS = 100 // one that hangs is nobody's but of those who asked it

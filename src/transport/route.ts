import { isIP, type LookupFunction } from 'node:net'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError, PolicyError } from '../errors/errors.ts'
import type { Emitter } from '../events/emitter.ts'
import type { Emit } from '../events/events.ts'
import type { HostPolicy } from '../trust/policy.ts'
import { type AddressPolicy, addressRefusal, isSameAddress } from './address-policy.ts'
import { type Resolver, type ResolverContext, systemResolver } from './resolvers.ts'

export interface RouteOptions {
  readonly emit: Emit
  /** Whether anyone listens to what takes a look at every connection. Default: nobody. */
  readonly hasListeners?: Emitter['hasListeners'] | undefined
  /** Whether one of them may act on it. Default: as `hasListeners`. */
  readonly isAwaited?: Emitter['isAwaited'] | undefined
  /** What nobody acts on is told by it. Default: in a later turn. */
  readonly later?: Emitter['later'] | undefined
  /** Default: the system's. */
  readonly resolver?: Resolver
  /** Default: as `addresses` of the client without any member. */
  readonly addresses?: AddressPolicy
  /** Of this machine: where connections come from. */
  readonly localAddress?: string
  /** The Unix socket that stands for an origin. */
  readonly unixSocketOf?: (origin: CanonicalOrigin) => string | undefined
}

export interface Route {
  /** Where `tls.connect` connects to. */
  readonly settings: {
    readonly host: string
    readonly port: number
    readonly path?: string
    readonly lookup?: LookupFunction
    readonly localAddress?: string
  }
  /** @throws PolicyError where the socket arrived at an address that was not permitted. */
  readonly arrivedAt: (remoteAddress: string | undefined) => void
}

/** Told what the resolver answered, before any of it is judged. */
export type Resolved = (addresses: readonly string[]) => void

/** What the policy of a host adds to the client's own. */
export type AddressRule = Pick<HostPolicy, 'allowedAddresses'>

export interface Routes {
  /** @throws PolicyError where the host is itself an address that may not be connected to. */
  readonly to: (origin: CanonicalOrigin, policy: AddressRule, resolved?: Resolved) => Route
  /**
   * The addresses of an origin that may be connected to, one at least.
   *
   * @throws PolicyError where none may be, or the resolver's error.
   */
  readonly permitted: (origin: CanonicalOrigin, policy: AddressRule, resolved?: Resolved) => Promise<readonly string[]>
  /** Why a live connection to this address may not go on. */
  readonly refusalOf: (
    origin: CanonicalOrigin,
    remoteAddress: string | undefined,
    policy: AddressRule,
  ) => PolicyError | undefined
}

/**
 * The way to an origin. Every address is judged before a packet goes there: those of a name in the very call that connects
 * to them, so that Node tries permitted ones alone and a name that is answered differently the second time gains nothing.
 */
export function createRoutes(options: RouteOptions): Routes {
  const {
    emit,
    hasListeners,
    resolver = systemResolver,
    addresses = DEFAULT_ADDRESSES,
    localAddress,
    unixSocketOf,
  } = options

  const told: ResolverContext = { emit, hasListeners }

  const refusalOf: Routes['refusalOf'] = (origin, remoteAddress, { allowedAddresses }) => {
    if (remoteAddress === undefined) return undefined // a Unix socket, or closed by now
    const reason = addressRefusal(remoteAddress, addresses, allowedAddresses)
    return reason === undefined ? undefined : denied(origin, `${remoteAddress} ${reason}`)
  }

  const permitted: Routes['permitted'] = async (origin, policy, resolved) => {
    const found =
      origin.kind === 'ip' ? [origin.host] : await addressesOf(resolver, origin.host, told).catch(unresolved)
    resolved?.(found)
    const refusals = found.map((address) => refusalOf(origin, address, policy))
    const allowed = found.filter((_, at) => refusals[at] === undefined)
    if (allowed.length > 0) return allowed
    throw refusals[0] ?? Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
  }

  const to: Routes['to'] = (origin, policy, resolved) => {
    const { host, port, kind } = origin
    const path = unixSocketOf?.(origin)
    if (path !== undefined) return { settings: { host, port, path }, arrivedAt: () => undefined }
    const bound = localAddress === undefined ? {} : { localAddress }
    const asked: string[] = []
    const arrivedAt: Route['arrivedAt'] = (remoteAddress = '') => {
      if (asked.some((address) => isSameAddress(address, remoteAddress))) return
      throw denied(origin, `the connection arrived at ${remoteAddress}, which was not asked for`)
    }
    if (kind === 'ip') {
      const refusal = refusalOf(origin, host, policy)
      if (refusal !== undefined) throw refusal
      asked.push(host)
      return { settings: { host, port, ...bound }, arrivedAt }
    }
    const resolve = async (): Promise<readonly string[]> => {
      asked.push(...(await permitted(origin, policy, resolved)))
      return asked
    }
    return { settings: { host, port, lookup: lookupBy(resolve), ...bound }, arrivedAt }
  }

  return { to, permitted, refusalOf }
}

/**
 * Whether addresses are looked at for nothing but being special: then a proxy may resolve the name. A resolver that was chosen is
 * asked in any case.
 */
export function isPlainPolicy(
  {
    resolver,
    addresses = DEFAULT_ADDRESSES,
  }: { readonly resolver?: Resolver | undefined; readonly addresses?: AddressPolicy | undefined },
  { allowedAddresses }: AddressRule,
): boolean {
  const { allow, deny } = addresses
  const isDefault = allow === undefined && deny.length === 0 && addresses.private === 'allow'
  return resolver === undefined && isDefault && allowedAddresses === undefined
}

/** What `tls.connect` asks for the addresses of a name. */
export function lookupBy(resolve: () => Promise<readonly string[]>): LookupFunction {
  return (_, { all }, callback) => {
    const answer = (addresses: readonly string[]): void => {
      const list = addresses.map((address) => ({ address, family: isIP(address) }))
      const [first = { address: '', family: 4 }] = list
      if (all === true) callback(null, list)
      else callback(null, first.address, first.family)
    }
    resolve().then(answer, (error: Error) => callback(error, '', 4))
  }
}

/** What a resolver of the application's answers is looked at before Node sees it: nonsense there would end the process. */
async function addressesOf(resolver: Resolver, host: string, told: ResolverContext): Promise<readonly string[]> {
  const answer: unknown = await resolver(host, told)
  if (!Array.isArray(answer)) throw new TypeError('expected a list of addresses')
  return answer.map((address: unknown) => {
    if (typeof address === 'string' && isIP(address) !== 0) return address
    throw new TypeError(`${String(address)} is no IP address`)
  })
}

/** Ours and the system's as they are; whatever else a resolver throws is a name that did not resolve. */
function unresolved(error: unknown): never {
  const { code } = error instanceof Error ? (error as { readonly code?: unknown }) : {}
  if (error instanceof PinfetchError) throw error
  if (error instanceof Error && typeof code === 'string' && /^(EAI_|ENOTFOUND$|ENODATA$)/.test(code)) throw error
  throw Object.assign(new Error('the resolver failed', { cause: error }), { code: 'ENOTFOUND' })
}

function denied({ text }: CanonicalOrigin, reason: string): PolicyError {
  return new PolicyError('ERR_POLICY_ADDRESS_DENIED', `${text}: ${reason}, so nothing was sent`, { host: text })
}

const DEFAULT_ADDRESSES: AddressPolicy = { deny: [], private: 'allow' }

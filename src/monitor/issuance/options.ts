import { isIP } from 'node:net'
import * as z from 'zod'
import { canonicalHost } from '../../encoding/host.ts'
import { parseOptions } from '../../encoding/options.ts'
import { isPinText, type PinText } from '../../encoding/pin.ts'
import { isPublicSuffix } from '../../encoding/public-suffix.ts'
import { ConfigurationError } from '../../errors/errors.ts'
import type { EventOf } from '../../events/events.ts'
import { isRuntime, type Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import type { Store } from '../../stores/store.ts'
import { certSpotter } from './certspotter.ts'
import type { IssuanceSource } from './source.ts'

/** What a watch tells. */
export type IssuanceEvent = EventOf<'ct.unexpected' | 'ct.watchFailed'>

/** Keys that were ordered: those in use, the backups, and those that are to come. A function is asked before each pass. */
export type KnownPins = readonly string[] | (() => readonly string[] | Promise<readonly string[]>)

/** Which names and keys are watched, and who is asked. */
export interface IssuanceOptions {
  /** What to watch: registered domains, or names below them. */
  readonly domains: readonly string[]
  /** Default true. */
  readonly includeSubdomains?: boolean
  /**
   * Pins of the keys of your own servers. An issuance with any other key is unexpected; the pin of a CA says nothing of who
   * ordered a certificate from it. Those that a client has in force: `() => client.manifest.pins('api.example.com')`.
   */
  readonly pins: KnownPins
  /** Default `[certSpotter()]`. Each by itself: one that fails keeps no other waiting. */
  readonly sources?: readonly IssuanceSource[]
  /**
   * Asks the sources. There is no default, because who is asked decides what is heard: a client of this library, with pins of
   * the source or `allowUnpinned` for its host, refuses what the runtime's fetch may be told to accept.
   */
  readonly fetch: typeof globalThis.fetch
  /**
   * Where the position is kept, so that the next process goes on: a file, or a store. Without it, each process tells again of
   * everything that is unexpected, and begins logs at their end.
   */
  readonly cursor?: string | Store
  /**
   * Takes what is found. The position is written once it has: an alert that it rejects, or that a crash interrupts, is told
   * again, so the same may come twice, and none is lost.
   */
  readonly onEvent?: (event: IssuanceEvent) => void | Promise<void>
  readonly runtime?: Runtime
}

/** The same, and how often. */
export interface WatchOptions extends IssuanceOptions {
  /** Between two passes, give or take a tenth. Default an hour: what public sources allow everybody. */
  readonly intervalMs?: number
}

export interface ResolvedWatch extends Required<Omit<WatchOptions, 'pins' | 'cursor'>> {
  readonly cursor: string | Store | undefined
  readonly pins: () => Promise<ReadonlySet<PinText>>
}

/** @throws ConfigurationError `ERR_CONFIG_INVALID` */
export function resolveWatch(options: WatchOptions): ResolvedWatch {
  const parsed = parseOptions('watchIssuances', Options, options)
  const { pins } = parsed
  const fixed = typeof pins === 'function' ? undefined : pinsOf(pins)
  return {
    ...parsed,
    sources: parsed.sources ?? [certSpotter()],
    cursor: parsed.cursor,
    pins: async () => fixed ?? pinsOf(typeof pins === 'function' ? await asked(pins) : pins),
  }
}

async function asked(pins: Extract<KnownPins, () => unknown>): Promise<readonly string[]> {
  try {
    return await pins()
  } catch (cause) {
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'watchIssuances.pins: could not be had', { cause })
  }
}

/** Compared with no pins at all, everything would be unexpected: a manifest that is not there yet, most likely. */
function pinsOf(texts: readonly string[]): ReadonlySet<PinText> {
  const pins = new Set(texts.filter(isPinText))
  if (pins.size > 0 && texts.every(isPinText)) return pins
  throw new ConfigurationError(
    'ERR_CONFIG_INVALID',
    'watchIssuances.pins: expected pins, sha256/ and base64, one at least',
  )
}

const Domain = z.string().transform((text, context) => {
  const host = canonicalHost(text)
  if (host?.includes('.') && isIP(host) === 0 && !isPublicSuffix(host)) return host
  context.addIssue({ code: 'custom', message: 'expected a domain such as example.com' })
  return z.NEVER
})

const isObjectWith =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' && value !== null && names.every((name) => name in value)

const isFunction = (value: unknown): boolean => typeof value === 'function'

const Options = z.strictObject({
  domains: z.array(Domain).min(1).max(1_000),
  includeSubdomains: z.boolean().default(true),
  pins: z.union([
    z.array(z.string()).max(100_000),
    z.custom<Extract<KnownPins, () => unknown>>(isFunction, 'expected pins, or a function'),
  ]),
  sources: z
    .array(
      z.custom<IssuanceSource>(
        isObjectWith('name', 'place', 'read'),
        'expected certSpotter(), crtSh(), staticLog(), rfc6962Log()',
      ),
    )
    .min(1)
    .max(100)
    .optional(),
  fetch: z.custom<typeof globalThis.fetch>(isFunction, 'expected a function such as client.fetch'),
  cursor: z
    .union([z.string().min(1), z.custom<Store>(isObjectWith('get', 'put', 'list', 'delete'), 'expected a Store')])
    .optional(),
  onEvent: z.custom<NonNullable<IssuanceOptions['onEvent']>>(isFunction, 'expected a function').default(() => () => {}),
  runtime: z.custom<Runtime>(isRuntime, 'expected a Runtime').default(systemRuntime),
  intervalMs: z
    .int()
    .min(10_000)
    .max(7 * 86_400_000)
    .default(3_600_000),
})

import { hash } from 'node:crypto'
import * as z from 'zod'
import { isMinted, type RelaxedTransparency } from '../dangerous/loosening.ts'
import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern } from '../encoding/host-pattern.ts'
import { LogListSchema } from '../manifest/schema.ts'
import type { ManifestView } from '../manifest/view.ts'
import type { RevokedCertificates } from '../trust/revoked.ts'
import { type CtMode, DEFAULT_TRANSPARENCY, type TransparencyPolicy } from '../trust/transparency/check.ts'
import type { HostTransparency } from '../trust/transparency/judge-path.ts'
import type { LogList } from '../trust/transparency/logs.ts'

/**
 * What is asked of certificates that public CAs issued. `'report'`: those that were not logged as browsers want it are told of.
 * `'enforce'`: they are refused, as long as there is a log list of the last 70 days. `'require'`: without one everybody is refused,
 * and certificates of private CAs have to be logged too.
 */
export type TransparencyMode = 'report' | 'enforce' | 'require'

export interface TransparencyOptions {
  /** Default `'report'` with a `logList` here, else nothing is asked beyond what the manifest asks. */
  readonly mode?: TransparencyMode
  /**
   * The logs that count: a public log list (version 3), parsed from JSON, or the `ct.logList` of a manifest. Of two lists, this one
   * and the manifest's, the newer one is used. Nothing of it is signed here: it is as good as where you have it from.
   */
  readonly logList?: LogListInput
  /** `'required'`: one of the logs must be of RFC 6962, not of the static kind. Default `'optional'`. */
  readonly rfc6962Log?: TransparencyPolicy['rfc6962Log']
}

/** Members beside these are ignored, and so are logs in a state that is not known. */
export type LogListInput = { readonly operators: readonly object[] } & (
  | { readonly timestamp: string }
  | { readonly log_list_timestamp: string }
)

export type TransparencyOption = TransparencyMode | TransparencyOptions | RelaxedTransparency

/** A mode of `pinfetch/dangerous` stands below what the manifest asks for; any other is a floor. */
interface Choice {
  readonly mode: CtMode
  readonly isRelaxed: boolean
}

export interface ResolvedTransparency {
  readonly everywhere: Choice
  readonly byHost: readonly { readonly pattern: ParsedHostPattern; readonly choice: Choice }[]
  readonly rfc6962Log: TransparencyPolicy['rfc6962Log']
  readonly logList: LogList | undefined
  /** What `pinfetch/dangerous` loosened, for the posture events. */
  readonly loosened: readonly { readonly subject: string; readonly mode: string; readonly reason: string }[]
}

/** What the manifest in force says about a host. */
export interface TransparencyAsked {
  readonly ct: ManifestView['ct'] | undefined
  readonly requireSct: boolean
  readonly revoked: RevokedCertificates | undefined
}

/**
 * The stricter of what code and manifest ask for. Absent where nothing is asked; the list alone comes along for a manifest that
 * distrusts a CA by the time of SCTs.
 */
export function createTransparencyLookup({
  everywhere,
  byHost,
  rfc6962Log,
  logList: own,
}: ResolvedTransparency): (host: CanonicalHost, asked: TransparencyAsked) => HostTransparency | undefined {
  const choiceFor = hostIndex(byHost.map(({ pattern, choice }) => [pattern, choice] as const))
  return (host, { ct, requireSct, revoked }) => {
    const choice = choiceFor(host) ?? everywhere
    const mode = choice.isRelaxed ? choice.mode : strictest(choice.mode, requireSct ? 'require' : (ct?.policy ?? 'off'))
    const isAsked = mode !== 'off' || revoked?.distrusted.some((rule) => 'sctNotAfter' in rule) === true
    if (!isAsked) return undefined
    const logList = newest(own, ct?.logList)
    const policy: TransparencyPolicy = { mode, rfc6962Log }
    const id = `${mode} ${rfc6962Log} ${logList === undefined ? '' : digestOf(logList)}`
    return { policy, ...(logList === undefined ? {} : { logList }), id }
  }
}

export function choiceOf(option: z.infer<typeof TransparencySchema> | undefined): Choice {
  if (option === undefined) return { mode: 'off', isRelaxed: false }
  if (typeof option === 'string') return { mode: option, isRelaxed: false }
  if ('kind' in option) return { mode: option.mode, isRelaxed: true }
  return { mode: option.mode ?? (option.logList === undefined ? 'off' : DEFAULT_TRANSPARENCY.mode), isRelaxed: false }
}

const strictest = (a: CtMode, b: CtMode): CtMode => (MODES.indexOf(a) > MODES.indexOf(b) ? a : b)

const newest = (a: LogList | undefined, b: LogList | undefined): LogList | undefined =>
  a === undefined || (b !== undefined && b.timestamp > a.timestamp) ? b : a

/** Once a list: they are some 50 kB. */
function digestOf(list: LogList): string {
  const known = digests.get(list)
  if (known !== undefined) return known
  const digest = hash('sha256', JSON.stringify(list), 'base64url')
  digests.set(list, digest)
  return digest
}

const digests = new WeakMap<LogList, string>()

const MODES: readonly CtMode[] = ['off', 'report', 'enforce', 'require']

const Relaxed = z.custom<RelaxedTransparency>((value) => isMinted(value, 'relaxedTransparency'))
const Mode = z.enum(['report', 'enforce', 'require'])

/** A public list in the words of a manifest. A log in no state that is known takes no part, as a kind of logs that is not. */
function inManifestWords(given: unknown): unknown {
  if (!isRecord(given)) return given
  const { timestamp = given['log_list_timestamp'], operators } = given
  return { timestamp, operators: Array.isArray(operators) ? operators.map(withKnownLogs) : operators }
}

function withKnownLogs(operator: unknown): unknown {
  if (!isRecord(operator)) return operator
  const known = (logs: unknown): unknown => (Array.isArray(logs) ? logs.filter(isInKnownState) : logs)
  const { logs = [], tiled_logs = [] } = operator
  return { ...operator, logs: known(logs), tiled_logs: known(tiled_logs) }
}

const isInKnownState = (log: unknown): boolean =>
  !isRecord(log) || !isRecord(log['state']) || STATES.some((state) => Object.hasOwn(log['state'] as object, state))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const STATES = ['pending', 'qualified', 'usable', 'readonly', 'retired', 'rejected'] as const

export const HostTransparencySchema = z.union([Mode, Relaxed])

export const TransparencySchema = z.union([
  Mode,
  Relaxed,
  z.strictObject({
    mode: Mode.exactOptional(),
    logList: z.preprocess(inManifestWords, LogListSchema).exactOptional(),
    rfc6962Log: z.enum(['required', 'optional']).exactOptional(),
  }),
])

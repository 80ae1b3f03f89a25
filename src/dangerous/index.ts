/** `pinfetch/dangerous`: everything that loosens a default. Each needs a reason; each is told at start as a `posture` event. */
import {
  type LegacyHost,
  type LegacyTimeouts,
  type ManifestLoosening,
  type ManifestMay,
  mint,
  type RelaxedRevocation,
  type RelaxedTransparency,
  type ShortSecret,
  type Tls12Host,
  type UnpinnedHost,
  type Why,
} from './loosening.ts'

export type {
  LegacyHost,
  LegacyTimeouts,
  ManifestLoosening,
  ManifestMay,
  RelaxedRevocation,
  RelaxedTransparency,
  ShortSecret,
  Tls12Host,
  UnpinnedHost,
  Why,
} from './loosening.ts'

/**
 * For `unlistedHosts`: lets hosts be requested that no manifest and no pins cover. Anyone with a trusted CA can then stand in
 * the middle of these requests.
 *
 * @throws ConfigurationError `ERR_CONFIG_HOST`, `ERR_CONFIG_REASON`
 */
export const allowUnpinned = (pattern: string, { reason }: Why): UnpinnedHost =>
  mint({ kind: 'unpinnedHost', pattern, reason })

/**
 * For `tls12Hosts`: lets TLS 1.2 be spoken with hosts that have nothing better. Under 1.2 the server's certificate travels in
 * the clear; forward secrecy and authenticated encryption stay required.
 *
 * @throws ConfigurationError `ERR_CONFIG_HOST`, `ERR_CONFIG_REASON`, `ERR_CONFIG_INVALID`
 */
export const allowTls12 = (
  pattern: string,
  {
    reason,
    reviewBy,
  }: Why & {
    /** The start says so from thirty days before it on. */
    readonly reviewBy?: Date
  },
): Tls12Host => mint({ kind: 'tls12Host', pattern, reason, ...(reviewBy === undefined ? {} : { reviewBy }) })

/**
 * For `legacyHosts`: lets TLS 1.2 with ECDHE and CBC suites be spoken, HMAC-SHA-1 included, with hosts that have nothing better.
 * Forward secrecy stays required; no static RSA, DHE, 3DES or RC4. Such a host gets an eighth of the connections, none for
 * longer than a minute, no session resumption and no HTTP/2.
 *
 * @throws ConfigurationError `ERR_CONFIG_HOST`, `ERR_CONFIG_REASON`, `ERR_CONFIG_INVALID`
 */
export const allowLegacy = (
  pattern: string,
  {
    reason,
    sunset,
    timeouts,
  }: Why & {
    /** From then on the host is refused with `ERR_POLICY_SUNSET`, whatever it speaks by then. An event says so 30, 14, 7 and 1 days before. */
    readonly sunset: Date
    /** For these hosts alone, where the client's own are too short. Retries and what waits for a rate limit keep to the client's. */
    readonly timeouts?: LegacyTimeouts
  },
): LegacyHost =>
  mint({
    kind: 'legacyHost',
    pattern,
    reason,
    sunset,
    ...(timeouts === undefined ? {} : { timeouts: { ...timeouts } }),
  })

/**
 * For `manifestMay`: what the signed manifest may loosen in this client. Whoever holds the manifest keys can then use it.
 *
 * @throws ConfigurationError `ERR_CONFIG_REASON`, `ERR_CONFIG_HOST`
 */
export const manifestMay = (
  loosenings: readonly ManifestLoosening[],
  {
    reason,
    anchorHosts = [],
  }: Why & {
    /** For `'anchors'`: the hosts that anchors from the manifest may serve. They add trust, so they act for no other host. */
    readonly anchorHosts?: readonly string[]
  },
): ManifestMay => mint({ kind: 'manifestMay', loosenings: [...loosenings], anchorHosts: [...anchorHosts], reason })

/**
 * For `revocation` and `hostRevocation`: `'report'` lets a certificate pass that its CA revoked, with a `tls.reported` event;
 * `'off'` looks at nothing. What the signed manifest revokes is refused all the same.
 *
 * @throws ConfigurationError `ERR_CONFIG_REASON`
 */
export const relaxRevocation = (mode: 'off' | 'report', { reason }: Why): RelaxedRevocation =>
  mint({ kind: 'relaxedRevocation', mode, reason })

/**
 * For `ct` and `hostCt`, where the manifest asks for more: `'report'` lets a certificate pass that was not logged as it should be,
 * with a `ct.checked` event, `requireSct` of a host entry or not; `'off'` looks at no SCT. A CA that the manifest distrusts by the time of SCTs
 * stays distrusted.
 *
 * @throws ConfigurationError `ERR_CONFIG_REASON`
 */
export const relaxTransparency = (mode: 'off' | 'report', { reason }: Why): RelaxedTransparency =>
  mint({ kind: 'relaxedTransparency', mode, reason })

/**
 * For the `allowShort` of a secret source, `{ env, allowShort }`, or of what a callback answers: a secret of 8 to 15 bytes, from a
 * partner that gives out no longer ones. Whoever may ask the partner's server as often as he likes finds it in the end. Placeholders
 * are refused all the same.
 *
 * @throws ConfigurationError `ERR_CONFIG_REASON`
 */
export const allowShortSecret = ({ reason }: Why): ShortSecret => mint({ kind: 'shortSecret', reason })

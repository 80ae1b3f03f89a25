import type { JsonValue } from '../../encoding/canonical-json.ts'
import type { AddressBlock } from '../../encoding/cidr.ts'
import { type PinText, pinHashOf } from '../../encoding/pin.ts'
import { pinOf } from '../../trust/pins.ts'
import type { HostPolicy } from '../../trust/policy.ts'
import { normalSerial } from '../../trust/revoked.ts'
import type { LogList } from '../../trust/transparency/logs.ts'
import type { Certificate } from '../../x509/certificate.ts'

/** What was shown, and the anchors it was judged by: rules about other certificates decided nothing. */
export interface Concerned {
  readonly certificates: readonly Certificate[]
  readonly presented: readonly Uint8Array[]
  readonly staple?: Uint8Array | undefined
}

/**
 * A policy as JSON, complete enough to judge these certificates again: its lists hold the entries that concern them, and say how
 * many there were. A member that policies gain does not compile before it is decided here.
 */
export function policyRecord(
  policy: HostPolicy,
  about: Concerned,
): { readonly [Name in Exclude<keyof HostPolicy, 'anchors'>]: JsonValue | undefined } {
  const { pinGroups, denies, revoked, interception, revocation, transparency } = policy
  const pins = new Set(pinGroups.flat().map(({ spki }) => spki))
  const isShown = (spki: PinText): boolean => about.certificates.some((one) => pinOf(one, pinHashOf(spki)) === spki)
  const digests = new Set(about.certificates.map(({ sha256 }) => sha256))
  const serials = new Set(about.certificates.map(serialOf))
  return {
    host: policy.host,
    port: policy.port,
    source: policy.source,
    mode: policy.mode,
    pinGroups: pinGroups.map((group) =>
      group.map(({ spki, notBefore, notAfter, require, label }) => ({ spki, notBefore, notAfter, require, label })),
    ),
    denies: {
      count: denies.length,
      concerned: denies
        .filter(({ spki }) => pins.has(spki) || isShown(spki))
        .map(({ spki, reason }) => ({ spki, reason })),
    },
    revoked: revoked && {
      id: revoked.id,
      certificates: [...revoked.certificates].filter((sha256) => digests.has(sha256)),
      serials: revoked.serials
        .filter(({ issuer }) => isShown(issuer))
        .map(({ issuer, numbers }) => ({ issuer, numbers: [...numbers].filter((number) => serials.has(number)) })),
      distrusted: revoked.distrusted.filter(({ issuer }) => isShown(issuer)).map((rule) => ({ ...rule })),
    },
    interception: interception && {
      id: interception.id,
      effect: interception.effect,
      keys: [...interception.keys].filter(isShown),
    },
    revocation: {
      mode: revocation.mode,
      sources: [...revocation.sources],
      depth: revocation.depth,
      staple: revocation.staple,
      ocspUnknown: revocation.ocspUnknown,
      fetch: revocation.fetch,
      limits: {
        clockSkewMs: revocation.limits.clockSkewMs,
        maxAgeMs: revocation.limits.maxAgeMs,
        maxAgeOfCaMs: revocation.limits.maxAgeOfCaMs,
        minRsaBits: revocation.limits.minRsaBits,
      },
    },
    transparency: transparency && {
      id: transparency.id,
      policy: { mode: transparency.policy.mode, rfc6962Log: transparency.policy.rfc6962Log },
      logList: transparency.logList && logsNamedBy(about, transparency.logList),
    },
    minTlsVersion: policy.minTlsVersion,
    profile: policy.profile,
    expectedUri: policy.expectedUri,
    maxConnectionAgeMs: policy.maxConnectionAgeMs,
    maxConnections: policy.maxConnections,
    allowedAddresses: policy.allowedAddresses?.map(blockText),
    manifestVersion: policy.manifestVersion,
    rootVersion: policy.rootVersion,
    generation: policy.generation,
  }
}

/** The id of a log is 32 octets like random ones: where they stand in what was shown, an SCT may name it, and nowhere else. */
function logsNamedBy({ presented, staple }: Concerned, { timestamp, operators }: LogList): JsonValue {
  const bytes = Buffer.concat([...presented.slice(0, 1), ...(staple === undefined ? [] : [staple])])
  const named = (logs: LogList['operators'][number]['logs']): JsonValue | undefined => {
    const found = logs?.filter(({ log_id }) => bytes.includes(Buffer.from(log_id, 'base64')))
    return found?.map(({ description, log_id, key, state, temporal_interval }) => ({
      description,
      log_id,
      key,
      state: Object.fromEntries(
        Object.entries(state).flatMap(([name, at]) => (at === undefined ? [] : [[name, { timestamp: at.timestamp }]])),
      ),
      temporal_interval: temporal_interval && {
        start_inclusive: temporal_interval.start_inclusive,
        end_exclusive: temporal_interval.end_exclusive,
      },
    }))
  }
  return {
    timestamp,
    operators: operators
      .map(({ name, logs, tiled_logs }) => ({ name, logs: named(logs), tiled_logs: named(tiled_logs) }))
      .filter(({ logs, tiled_logs }) => [logs, tiled_logs].some((list) => Array.isArray(list) && list.length > 0)),
  }
}

function blockText({ bytes, prefix }: AddressBlock): string {
  if (bytes.length === 4) return `${bytes.join('.')}/${prefix}`
  return `${Buffer.from(bytes)
    .toString('hex')
    .replace(/.{4}(?!$)/g, '$&:')}/${prefix}`
}

const serialOf = ({ serialNumber }: Certificate): string => normalSerial(Buffer.from(serialNumber).toString('hex'))

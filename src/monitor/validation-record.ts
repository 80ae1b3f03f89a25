import { hash } from 'node:crypto'
import type { JsonValue } from '../encoding/canonical-json.ts'
import type { Finding } from '../errors/errors.ts'
import type { HandshakeEvent, HandshakeTimings } from '../events/handshake.ts'

export type JsonObject = { readonly [name: string]: JsonValue | undefined }

/**
 * A handshake as a line of a log: every member is named here, so that what an event gains later is not written before somebody
 * decided that it may be. Certificates are their digests, the path is its keys.
 */
export function validationRecord(event: HandshakeEvent): JsonObject {
  const { pins, policy, revocation, transparency, connection } = event
  return {
    type: 'validation',
    at: new Date(event.at).toISOString(),
    host: event.host,
    verdict: event.outcome,
    code: event.code,
    findings: event.findings.map(findingRecord),
    path: event.chain.map(({ spki }) => spki),
    certificates: event.presented.map(sha256),
    staple: event.staple && sha256(event.staple),
    pins: { considered: [...pins.considered], matched: [...pins.matched] },
    policy: {
      generation: policy.generation,
      source: policy.source,
      mode: policy.mode,
      manifestVersion: policy.manifestVersion,
      rootVersion: policy.rootVersion,
    },
    revocation: revocation && {
      status: revocation.status,
      source: revocation.source,
      causes: revocation.causes.map((cause) => ({ source: cause.source, ...findingRecord(cause) })),
    },
    transparency: transparency && {
      status: transparency.status,
      logs: [...transparency.logs],
      findings: transparency.findings.map(findingRecord),
    },
    address: event.address,
    addresses: [...event.addresses],
    proxy: event.proxy,
    connection: connection && {
      protocol: connection.protocol,
      cipher: connection.cipher,
      group: connection.group,
      resumed: connection.resumed,
    },
    timings: timingsRecord(event.timings),
  }
}

export function findingRecord({ code, certificateIndex, message }: Finding) {
  return { code, certificateIndex, message }
}

/** A thousandth of a millisecond is more than anybody can use. */
function timingsRecord({ lookupMs, connectMs, tlsMs, verdictMs, totalMs }: HandshakeTimings): JsonObject {
  return {
    lookupMs: rounded(lookupMs),
    connectMs: rounded(connectMs),
    tlsMs: rounded(tlsMs),
    verdictMs: rounded(verdictMs),
    totalMs: rounded(totalMs),
  }
}

const rounded = (ms: number | undefined): number | undefined => (ms === undefined ? ms : Math.round(ms * 1_000) / 1_000)

export const sha256 = (bytes: Uint8Array | string): string => hash('sha256', bytes, 'hex')

import type { StapleFact } from '../picture/facts.ts'
import { toUnixMs } from '../ports/runtime.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import { DEFAULT_LIMITS } from '../trust/revocation/evidence.ts'
import { verifyOcspResponse } from '../trust/revocation/ocsp.ts'

/** What a stapled OCSP response says of the end entity, and until when it counts. `undefined` where none does. */
export function stapleOf(
  { certificates: [certificate, issuer] }: CertificationPath,
  response: Uint8Array | undefined,
  now: number,
): StapleFact | undefined {
  if (response === undefined || issuer === undefined) return undefined
  const said = verifyOcspResponse({ response, certificate, issuer, now: toUnixMs(now), limits: DEFAULT_LIMITS })
  if (said.status === 'undetermined') return undefined
  return { label: `${said.status}, ${certificate.subject.text}`, from: said.thisUpdate, until: said.validUntil }
}

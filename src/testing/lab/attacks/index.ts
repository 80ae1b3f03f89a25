import type { Attack } from '../attack.ts'
import { CERTIFICATE_ATTACKS } from './certificates.ts'
import { IDENTITY_ATTACKS } from './identity.ts'
import { ISSUER_ATTACKS } from './issuers.ts'
import { REVOCATION_ATTACKS } from './revocation.ts'
import { TRANSPARENCY_ATTACKS } from './transparency.ts'

/** Every attack of the lab, by number. */
export const ATTACKS: readonly Attack[] = [
  ...ISSUER_ATTACKS,
  ...CERTIFICATE_ATTACKS,
  ...IDENTITY_ATTACKS,
  ...REVOCATION_ATTACKS,
  ...TRANSPARENCY_ATTACKS,
].sort((a, b) => a.id.localeCompare(b.id))

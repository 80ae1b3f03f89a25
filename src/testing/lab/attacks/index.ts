import type { Attack } from '../attack.ts'
import { auth } from './auth.ts'
import { CERTIFICATE_ATTACKS } from './certificates.ts'
import { clientCertificate } from './client-certificate.ts'
import { desync } from './desync.ts'
import { downgrade } from './downgrade.ts'
import { environment } from './environment.ts'
import { IDENTITY_ATTACKS } from './identity.ts'
import { ISSUER_ATTACKS } from './issuers.ts'
import { latency } from './latency.ts'
import { manifest } from './manifest.ts'
import { names } from './names.ts'
import { proxy } from './proxy.ts'
import { redirect } from './redirect.ts'
import { reuse } from './reuse.ts'
import { REVOCATION_ATTACKS } from './revocation.ts'
import { stolenToken } from './stolen-token.ts'
import { tools } from './tools.ts'
import { TRANSPARENCY_ATTACKS } from './transparency.ts'

/** Every attack of the lab, by number. */
export const ATTACKS: readonly Attack[] = [
  ...ISSUER_ATTACKS,
  ...CERTIFICATE_ATTACKS,
  ...IDENTITY_ATTACKS,
  ...REVOCATION_ATTACKS,
  ...TRANSPARENCY_ATTACKS,
  ...reuse,
  ...downgrade,
  ...redirect,
  ...proxy,
  ...clientCertificate,
  ...desync,
  ...names,
  ...latency,
  ...manifest,
  ...environment,
  ...auth,
  ...stolenToken,
  ...tools,
].sort((a, b) => a.id.localeCompare(b.id))

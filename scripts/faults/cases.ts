import type { FaultCase } from './fault-case.ts'
import { handshakeCases } from './handshake-cases.ts'
import { httpCases } from './http-cases.ts'
import { processCases } from './process-cases.ts'
import { revocationCases } from './revocation-cases.ts'
import { trustCases } from './trust-cases.ts'

/** In the order of their numbers; one number may have several cases. */
export const faultCases: readonly FaultCase[] = [
  ...handshakeCases,
  ...httpCases,
  ...trustCases,
  ...revocationCases,
  ...processCases,
].sort((a, b) => a.id.localeCompare(b.id))

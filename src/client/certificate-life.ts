import type { ClientIdentity } from '../transport/client-certificate.ts'

export type CertificatePhase = (typeof PHASES)[number]

/** In the order a certificate passes through them. */
export const PHASES = ['valid', 'renewalDue', 'expiring', 'expired'] as const

/** When each phase begins, Unix milliseconds. */
export type CertificateLife = Readonly<Record<CertificatePhase, number>>

/**
 * Renewal is due at two thirds of the life, give or take a twentieth: what was issued to a fleet in one minute is not asked for
 * again in one minute.
 *
 * @param share 0 to 1, drawn once a certificate.
 */
export function lifeOf(
  { notBefore, notAfter }: Pick<ClientIdentity, 'notBefore' | 'notAfter'>,
  share: number,
): CertificateLife {
  const at = (fraction: number): number => notBefore + (notAfter - notBefore) * fraction
  return { valid: notBefore, renewalDue: at(2 / 3 + (share - 0.5) / 10), expiring: at(0.9), expired: notAfter + 1 }
}

export function phaseAt(life: CertificateLife, now: number): CertificatePhase {
  return PHASES.findLast((phase) => now >= life[phase]) ?? 'valid'
}

/** When the next phase begins; `undefined` in the last. */
export function nextPhaseAt(life: CertificateLife, now: number): number | undefined {
  const phase = PHASES.find((one) => now < life[one])
  return phase === undefined ? undefined : life[phase]
}

/** Twice as long after each failure; up to a quarter more or less, so that what failed together does not return together. */
export function pauseAfter(failures: number, firstMs: number, share: number): number {
  return Math.min(firstMs * 2 ** (failures - 1), MAX_PAUSE_MS) * (0.75 + share / 2)
}

const MAX_PAUSE_MS = 3_600_000

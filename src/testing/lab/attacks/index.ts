import type { Attack } from '../attack.ts'

/** Every attack of the lab. */
export const ATTACKS: readonly Attack[] = []

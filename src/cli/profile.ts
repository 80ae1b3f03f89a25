import type { RoleName } from '../manifest/schema.ts'

/** How many keys a repository starts with, how many of them must sign, and how long what they sign is valid. */
export interface Profile {
  readonly roles: Readonly<Record<RoleName, { readonly keys: number; readonly threshold: number }>>
  readonly rootTtlMs: number
  readonly manifestTtlMs: number
  readonly statusTtlMs: number
  /** Seconds for which clients go on with a status that ran out. */
  readonly staleGrace: number
}

export type ProfileName = 'solo' | 'team' | 'high'

const DAY_MS = 86_400_000

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  /** One person: a spare root key so that losing one file is no end, and a week until a missed run hurts. */
  solo: {
    roles: {
      root: { keys: 2, threshold: 1 },
      manifest: { keys: 1, threshold: 1 },
      status: { keys: 1, threshold: 1 },
    },
    rootTtlMs: 400 * DAY_MS,
    manifestTtlMs: 90 * DAY_MS,
    statusTtlMs: 7 * DAY_MS, // the most that clients accept
    staleGrace: 7 * 86_400,
  },
  /** Several people, and a job that signs a status every few hours. */
  team: {
    roles: {
      root: { keys: 3, threshold: 2 },
      manifest: { keys: 3, threshold: 2 },
      status: { keys: 1, threshold: 1 },
    },
    rootTtlMs: 400 * DAY_MS,
    manifestTtlMs: 90 * DAY_MS,
    statusTtlMs: DAY_MS,
    staleGrace: 3 * 86_400,
  },
  /** Hardware in several hands, and a status key in each of two clouds. */
  high: {
    roles: {
      root: { keys: 5, threshold: 3 },
      manifest: { keys: 3, threshold: 2 },
      status: { keys: 2, threshold: 1 },
    },
    rootTtlMs: 400 * DAY_MS,
    manifestTtlMs: 90 * DAY_MS,
    statusTtlMs: DAY_MS,
    staleGrace: 3 * 86_400,
  },
}

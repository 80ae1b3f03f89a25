import type { Reasoned } from '../survivors.ts'
import { MANIFEST } from './manifest.ts'
import { PATH } from './path.ts'
import { REVOCATION } from './revocation.ts'
import { SIGNING } from './signing.ts'
import { TRANSPARENCY } from './transparency.ts'
import { TRUST } from './trust.ts'

/** By file: the mutants that no test notices, and why that is right. */
export const SURVIVORS: Readonly<Record<string, readonly Reasoned[]>> = {
  ...TRUST,
  ...PATH,
  ...REVOCATION,
  ...TRANSPARENCY,
  ...MANIFEST,
  ...SIGNING,
}

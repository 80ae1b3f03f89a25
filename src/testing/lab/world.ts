import type { TestCa } from '../ca.ts'

/** What all attacks of a run share: certificates take longer to make than servers. */
export interface World {
  /** Trusted by every contender: the victim's CA. */
  readonly ca: TestCa
  /** Trusted as well, and not pinned: who was wrongly trusted. */
  readonly otherCa: TestCa
  /** Trusted by nobody. */
  readonly untrustedCa: TestCa
  /** PEM of the two that are trusted. */
  readonly anchors: string
  /** Where a program is, where it is installed. */
  readonly programOf: (program: string) => string | undefined
}

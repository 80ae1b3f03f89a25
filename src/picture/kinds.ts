import type { BarKind } from './timeline.ts'

/** In the order of a legend. */
export const KINDS: readonly BarKind[] = [
  'passes',
  'overlap',
  'hole',
  'certificate',
  'active',
  'backup',
  'staged',
  'retired',
  'denied',
  'document',
  'evidence',
]

export const MEANING: Readonly<Record<BarKind | 'now', string>> = {
  now: 'now',
  passes: 'passes, one key counts',
  overlap: 'passes, several keys count',
  hole: 'outage if nobody acts',
  certificate: 'certificate',
  active: 'active pin',
  backup: 'backup pin',
  staged: 'staged pin',
  retired: 'retired pin',
  denied: 'denied key',
  document: 'signed document',
  evidence: 'list or OCSP response',
}

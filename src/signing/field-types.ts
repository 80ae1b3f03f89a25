import type { FieldType } from './structured-fields.ts'

/** Fields whose structure their own RFC tells (the registry of HTTP field names); of others the application has to say it. */
export const FIELD_TYPES: ReadonlyMap<string, FieldType> = new Map([
  ['accept-ch', 'list'],
  ['accept-signature', 'dictionary'],
  ['cache-status', 'list'],
  ['capsule-protocol', 'item'],
  ['cdn-cache-control', 'dictionary'],
  ['client-cert', 'item'],
  ['client-cert-chain', 'list'],
  ['content-digest', 'dictionary'],
  ['deprecation', 'item'],
  ['priority', 'dictionary'],
  ['proxy-status', 'list'],
  ['repr-digest', 'dictionary'],
  ['signature', 'dictionary'],
  ['signature-input', 'dictionary'],
  ['want-content-digest', 'dictionary'],
  ['want-repr-digest', 'dictionary'],
])

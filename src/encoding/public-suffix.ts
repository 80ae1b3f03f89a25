import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)
let list: typeof import('tldts-icann') | undefined

/**
 * Whether names are registered directly below this one, as below `co.uk`: the ICANN section of the Public Suffix List.
 * A pattern over one would cover strangers. The list is loaded at the first question (11 ms), so hosts without wildcards
 * never pay for it.
 */
export function isPublicSuffix(name: string): boolean {
  list ??= load('tldts-icann') as typeof import('tldts-icann')
  return list.getPublicSuffix(name) === name
}

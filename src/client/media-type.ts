/** Type and subtype in lower case, without parameters; `undefined` for what is none, and for several (RFC 9110 §8.3). */
export function mediaType(field: string | null): string | undefined {
  return /^[\t ]*([\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+)[\t ]*(?:;[^,]*)?$/.exec(field ?? '')?.[1]?.toLowerCase()
}

/** RFC 8259 §11, RFC 6839 §3.1. */
export function isJson(type: string | undefined): boolean {
  return type === 'application/json' || type?.endsWith('+json') === true
}

import { type GivenRequest, type Repeatable, repeatable } from './replay.ts'

/** A request that stays as it is: what the caller holds, and may change before it is sent, is copied. */
export function fixedRequest({ input, init }: GivenRequest, random: (length: number) => Uint8Array): Repeatable {
  const given = init.headers ?? (input instanceof Request ? input.headers : undefined)
  const fields = given === undefined ? {} : { headers: copiedFields(given) }
  return repeatable({ input: input instanceof URL ? new URL(input) : input, init: { ...init, ...fields } }, random)
}

export type Fields = NonNullable<RequestInit['headers']>

/** The caller's spelling and order stay. */
function copiedFields(fields: Fields): Fields {
  if (Array.isArray(fields)) return fields.map((pair) => [...pair] as [string, string])
  const isPlain = Object.getPrototypeOf(fields) === Object.prototype
  return isPlain ? { ...(fields as Record<string, string>) } : new Headers(fields)
}

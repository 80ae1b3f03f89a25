import type { BoundSigner } from './signing.ts'

/** A signer that signs for these origins and adds nothing to a request to another one. `undefined`: for all that a client reaches. */
export function signsFor(allowedOrigins: readonly string[] | undefined, signer: BoundSigner): BoundSigner {
  if (allowedOrigins === undefined) return signer
  const allowed = new Set(allowedOrigins)
  const { sign, onResponse } = signer
  return {
    ...signer,
    sign: (request, context) => (allowed.has(request.origin) ? sign(request, context) : {}),
    ...(onResponse === undefined
      ? {}
      : {
          onResponse: (response, request) => (allowed.has(request.origin) ? onResponse(response, request) : 'done'),
        }),
  }
}

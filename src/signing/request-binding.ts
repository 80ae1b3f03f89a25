import { componentIdentifier } from './component.ts'
import type { RequestMessage } from './message.ts'
import { MessageRefusal } from './refusal.ts'
import { type ReadSignature, readSignatures } from './signature-fields.ts'
import { coversField, type Requirement } from './verify-coverage.ts'

/**
 * What a response has to cover of the request that it answers (RFC 9421 §2.4). The values are those that were sent, so a signature
 * over another request is none over this one.
 */
export function requestBinding(request: RequestMessage, bindRequest: boolean | 'signature'): readonly Requirement[] {
  if (bindRequest === false) return []
  const hasDigest = request.fields.some(([name]) => name === 'content-digest')
  const signatures = signaturesOf(request)
  const required: Requirement[] = [METHOD, request.url.includes('?') ? TARGET_WITH_QUERY : TARGET]
  if (hasDigest) {
    const overDigest = signatures.filter(([, { components }]) => coversField(components, 'content-digest'))
    required.push({ ...CONTENT_DIGEST, ways: [...CONTENT_DIGEST.ways, ...waysToCover(overDigest)] })
  }
  if (bindRequest === 'signature') required.push({ ways: waysToCover(signatures), code: 'ERR_VERIFY_REQUEST_BINDING' })
  return required
}

/** Of ours; none where we did not sign. */
function signaturesOf({ fields }: RequestMessage): readonly Signature[] {
  try {
    return [...readSignatures(fields)]
  } catch (error) {
    if (error instanceof MessageRefusal) return [] // something that the caller wrote by hand
    throw error
  }
}

/** One of them, or all of the field: who covers a signature covers what is under it. */
function waysToCover(signatures: readonly Signature[]): Requirement['ways'] {
  if (signatures.length === 0) return []
  return [[SIGNATURE], ...signatures.map(([key]) => [componentIdentifier({ name: 'signature', key, req: true })])]
}

type Signature = readonly [label: string, signature: ReadSignature]

const ofRequest = (name: string) => componentIdentifier({ name, req: true })

const binding = (...ways: readonly (readonly string[])[]): Requirement => ({
  ways: ways.map((names) => names.map(ofRequest)),
  code: 'ERR_VERIFY_REQUEST_BINDING',
})

const METHOD = binding(['@method'])
const CONTENT_DIGEST = binding(['content-digest'])
const SIGNATURE = ofRequest('signature')
const TARGET = binding(['@target-uri'], ['@authority', '@path'], ['@authority', '@request-target'])
const TARGET_WITH_QUERY = binding(['@target-uri'], ['@authority', '@path', '@query'], ['@authority', '@request-target'])

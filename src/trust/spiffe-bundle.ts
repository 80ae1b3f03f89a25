import { decodeBase64 } from '../encoding/base64.ts'
import { parseStrictJson } from '../encoding/json.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { type AnchorSet, createAnchors } from './anchors.ts'

/** The authorities of a SPIFFE trust domain that certificates may end in. */
export interface SpiffeBundle {
  readonly anchors: AnchorSet
  /** Higher for every later bundle of the trust domain; absent where its publisher does not count. */
  readonly sequence: number | undefined
}

/**
 * Reads a SPIFFE bundle: a JWK set whose members for `x509-svid` carry one CA certificate each. Members for other uses, and those
 * that do not say what for, are not looked at, as the specification has it.
 *
 * @throws ConfigurationError `ERR_CONFIG_CERTIFICATE`
 * @see SPIFFE Trust Domain and Bundle §4, X509-SVID §6.1
 */
export function parseSpiffeBundle(bytes: Uint8Array, place: string): SpiffeBundle {
  const refuse = (message: string): never => {
    throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', `${place}: ${message}`)
  }
  const json = parseStrictJson(bytes)
  const bundle = json.ok && isRecord(json.value) ? json.value : refuse('expected a SPIFFE bundle, a JSON object')
  const { keys, spiffe_sequence: sequence } = bundle
  if (!Array.isArray(keys)) return refuse('expected a SPIFFE bundle with the member `keys`')
  if (sequence !== undefined && !(Number.isSafeInteger(sequence) && Number(sequence) >= 0)) {
    return refuse('spiffe_sequence: expected a whole number')
  }
  const authorities = keys.filter((key: unknown) => isRecord(key) && key['use'] === 'x509-svid')
  const ders = authorities.map((key: Record<string, unknown>, index) => {
    const chain = key['x5c']
    const [text] = Array.isArray(chain) && chain.length === 1 ? (chain as readonly unknown[]) : []
    const der = typeof text === 'string' ? decodeBase64(text) : undefined
    return der?.[0] === 0x30 ? der : refuse(`authority ${index}: expected x5c with one certificate in base64`)
  })
  if (ders.length === 0) return refuse('holds no authority for x509-svid')
  return { anchors: createAnchors(ders), sequence: sequence === undefined ? undefined : Number(sequence) }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import { ConfigurationError } from '../errors/errors.ts'
import type { PublicJwk } from '../manifest/verify.ts'
import { type CommandAnswer, runCommand } from './command.ts'
import type { SigningAlgorithm } from './keys.ts'
import { isSignature, type Signer } from './signer.ts'

export interface CommandKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly publicJwk: PublicJwk
}

/**
 * A key that only a program can use: it reads the signing input from standard input and writes the signature to standard
 * output, raw or, for ES256, in the DER form that KMS and OpenSSL give. What is no signature of the key is refused here,
 * before it stands in a document.
 */
export function commandSigner(command: readonly string[], key: CommandKey, signal?: AbortSignal): Signer {
  const { kid, alg } = key
  return {
    kid,
    alg,
    sign: async (input) => {
      const answer = await runCommand(command, input, signal)
      if (answer.exitCode !== 0) throw failed(command, kid, answer.complaint)
      const signature = rawSignature(answer, alg)
      if (signature !== undefined && isSignature(signature, input, key)) return signature
      throw failed(command, kid, `answered ${answer.stdout.length} bytes that are no ${alg} signature of the key`)
    },
  }
}

function rawSignature({ stdout }: CommandAnswer, alg: SigningAlgorithm): Uint8Array | undefined {
  if (stdout.length === SIGNATURE_BYTES) return stdout
  return alg === 'ES256' ? fromDer(stdout) : undefined
}

/** RFC 3279 §2.2.3: SEQUENCE of the integers r and s; JWS wants each in 32 bytes. The signature is verified afterwards. */
function fromDer(der: Uint8Array): Uint8Array | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return undefined
  const r = integerAt(der, 2)
  const s = r === undefined ? undefined : integerAt(der, r.end)
  if (r === undefined || s === undefined || s.end !== der.length) return undefined
  return new Uint8Array([...r.value, ...s.value])
}

function integerAt(der: Uint8Array, offset: number): { readonly value: Uint8Array; readonly end: number } | undefined {
  const end = offset + 2 + (der[offset + 1] ?? 0)
  if (der[offset] !== 0x02 || end > der.length) return undefined
  const digits = Buffer.from(der.subarray(offset + 2, end))
  const unsigned = digits[0] === 0 ? digits.subarray(1) : digits
  if (unsigned.length > HALF_BYTES) return undefined
  return { value: Buffer.concat([Buffer.alloc(HALF_BYTES - unsigned.length), unsigned]), end }
}

function failed([program = '']: readonly string[], kid: string, complaint: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_SIGNER', `signer ${program} for key ${kid}: ${complaint}`)
}

const SIGNATURE_BYTES = 64
const HALF_BYTES = 32

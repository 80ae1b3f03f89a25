/** `pinfetch/signing`: signatures of requests and responses, for both ends of a connection. */
export { type KeyRing, keyRing, type MutableKeyRing, type RingKey } from '../keys/key-ring.ts'
export {
  type LocalKey,
  type LocalSignerOptions,
  localSigner,
  type SignatureAlgorithm,
  type Signer,
} from '../keys/signer.ts'
export {
  type KeyResolver,
  keysById,
  keysOfSet,
  type VerificationKey,
  type VerificationKeyOptions,
  verificationKey,
  type WantedKey,
} from '../keys/verification-key.ts'
export type { FieldLine, Message, RequestMessage, ResponseMessage } from './message.ts'
export type {
  BoundSigner,
  RequestPatch,
  RequestSigner,
  SignableBody,
  SignableRequest,
  SignContext,
  SignedResponse,
  SigningHost,
} from './signing.ts'
export { type SigV4Options, sigV4 } from './sigv4.ts'
export type { AwsCredentialRequest, AwsCredentialSource, AwsCredentials } from './sigv4-credentials.ts'

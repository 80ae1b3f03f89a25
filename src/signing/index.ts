/** `pinfetch/signing`: signatures of requests and responses, for both ends of a connection. */

export { type ExternalSignerOptions, externalSigner, type VersionedSignature } from '../keys/external-signer.ts'
export { type JwksEvent, type KeySet, localJwks, type RemoteJwksOptions, remoteJwks } from '../keys/jwks.ts'
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
export type { Component, ComponentDetails, DerivedName } from './component.ts'
export {
  type DigestAlgorithm,
  type DigestOf,
  digestField,
  digestsMatch,
  type HashName,
  type ReadDigest,
  readDigest,
} from './content-digest.ts'
export {
  type CanonicalParts,
  type HmacTemplate,
  type HmacTemplateOptions,
  hmacTemplate,
  type MessageParts,
} from './hmac-template.ts'
export { httpSignature } from './http-signature.ts'
export type { ContentDigestOptions, HttpSignatureOptions, SignaturePreset } from './http-signature-options.ts'
export { type JwsDetachedOptions, type JwsHeader, jwsDetached } from './jws-detached.ts'
export type { FieldLine, Message, RequestMessage, ResponseMessage } from './message.ts'
export { memoryNonces, type NonceStore, type SeenNonce } from './nonce-store.ts'
export type { FetchRequest, NodeRequest } from './received-request.ts'
export type { UnverifiedHead } from './response-inspection.ts'
export {
  type OutgoingResponse,
  type ResponseSigner,
  type SignResponsesOptions,
  signResponses,
} from './sign-responses.ts'
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
export type { DigestRule } from './verify-digest.ts'
export type { SignatureRules, VerificationKeys } from './verify-options.ts'
export {
  type RequestVerifier,
  type VerifiedRequest,
  type VerifyRequestsOptions,
  verifyRequests,
} from './verify-requests.ts'
export { type ResponseVerifier, type VerifyResponsesOptions, verifyResponses } from './verify-responses.ts'
export {
  type VerifiedWebhook,
  type VerifyWebhooksOptions,
  verifyWebhooks,
  type WebhookVerifier,
} from './verify-webhooks.ts'
export {
  githubWebhook,
  type ReadWebhook,
  standardWebhook,
  stripeWebhook,
  type WebhookTemplate,
} from './webhook-templates.ts'

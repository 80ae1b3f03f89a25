/** `pinfetch/auth`: credentials for requests, where they come from, and where they are kept. */

export {
  type JwksEvent,
  type KeySet,
  localJwks,
  type PublicKeyAlgorithm,
  type RemoteJwksOptions,
  remoteJwks,
} from '../keys/jwks.ts'
export { type KeyRing, keyRing, type MutableKeyRing, type RingKey } from '../keys/key-ring.ts'
export { Secret } from '../keys/secret.ts'
export type { SecretCallback, SecretSource } from '../keys/secret-source.ts'
export {
  type LocalKey,
  type LocalSignerOptions,
  localSigner,
  type SignatureAlgorithm,
  type Signer,
} from '../keys/signer.ts'
export { type JweCipherOptions, jweCipher } from '../stores/tokens/cipher.ts'
export { fileTokenStore } from '../stores/tokens/file.ts'
export { memoryTokenStore } from '../stores/tokens/memory.ts'
export { type RedisLike, type RedisTokenStoreOptions, redisTokenStore } from '../stores/tokens/redis.ts'
export type { Lease, StoredToken, TokenCipher, TokenStore } from '../stores/tokens/store.ts'
export { type ApiKeyOptions, apiKey } from './api-key.ts'
export {
  type ApprovalAnswer,
  type ApprovalCandidate,
  type ApprovalOptions,
  type ApprovalPolicy,
  type ApprovalSummary,
  approval,
} from './approval.ts'
export { type BasicOptions, basic } from './basic.ts'
export { type BearerOptions, bearer } from './bearer.ts'
export type { ClientAuthentication } from './client-authentication.ts'
export type {
  AssertionSupplier,
  CibaHint,
  DevicePrompt,
  Grant,
  GrantContext,
  SignedAssertion,
  TokenSupplier,
} from './grants.ts'
export type { TokenHandle } from './held-token.ts'
export type { EndpointName, ServerMetadata } from './metadata.ts'
export { type OAuthOptions, type OAuthScheme, oauth } from './oauth.ts'
export type { DpopOptions, ProtocolOptions } from './protocol-options.ts'
export type { RenewalOptions } from './renewal.ts'
export type { Attempt, Authenticator, AuthHost, AuthScheme, HeaderPatch, Outcome, ResponseHead } from './scheme.ts'
export type { RejectionOptions, RequestInfoLite } from './token-authenticator.ts'
export type { TokenManager, TokenWish } from './token-manager.ts'
export { tokenRefusal } from './token-refusal.ts'
export type { TokenStatus } from './token-session.ts'
export { type VerifiedToken, type VerifyTokenOptions, verifyToken } from './verify-token.ts'

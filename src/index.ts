export type { AnchorSource } from './client/anchors.ts'
export type { BreakerOptions } from './client/breaker-options.ts'
export type { CertificateHealth } from './client/certificate.ts'
export type {
  CertificateOption,
  EngineKey,
  IdentityFiles,
  IdentityLoader,
  PemIdentity,
} from './client/certificate-options.ts'
export { configFromEnv, configFromFile, configSchema } from './client/config.ts'
export type { ContainingSignal, Containment } from './client/containment.ts'
export { type Client, type ClientHealth, createClient } from './client/create-client.ts'
export { type DotOptions, dotResolver } from './client/dot-resolver.ts'
export type { EgressRule } from './client/egress.ts'
export { type Fapi2ClientOptions, type Fapi2Options, type Fapi2Signature, fapi2 } from './client/fapi2.ts'
export type { InteractionOptions } from './client/interaction.ts'
export type { MonitorOptions } from './client/monitoring.ts'
export type { AddressOptions } from './client/network.ts'
export type { Operation, OperationOption, OperationOptions, ResponseSchemas } from './client/operation-options.ts'
export type { StandardSchema } from './client/operation-schema.ts'
export type { ClientOptions, HostPins, ManifestOptions } from './client/options.ts'
export type { ProxyOption, ProxyOptions } from './client/proxy.ts'
export type { RatedRequest, RateOptions, RateRule } from './client/rate-options.ts'
export type { RedirectOption } from './client/redirect-options.ts'
export { type BodySource, replayable } from './client/replayable.ts'
export type { RetryOptions } from './client/retry-options.ts'
export { CODES, type ErrorCode } from './errors/codes.ts'
export {
  ApprovalError,
  AuthError,
  type ChainEntry,
  ConfigurationError,
  type Finding,
  type Issue,
  KeyError,
  ManifestError,
  type ManifestErrorKind,
  MonitorError,
  PinfetchError,
  PolicyError,
  RateError,
  type RequestSent,
  SignError,
  StoreError,
  TlsError,
  TransportError,
  TrustError,
  VerifyError,
} from './errors/errors.ts'
export type { ClientEvent, EventOf } from './events/events.ts'
export { createEventSink, type EventSink } from './events/sink.ts'
export {
  type ConcurrencyRule,
  concurrency,
  fixedWindow,
  type LimitRule,
  type SharedLimiter,
  type SharedRule,
  shared,
  slidingWindow,
  type TokenBucketRule,
  tokenBucket,
  type WindowRule,
} from './limits/limit-options.ts'
export type { CustomAnswer, CustomSource } from './manifest/custom-source.ts'
export type { Expiry } from './monitor/expiry.ts'
export type { FetchLimits, Runtime, UnixMs } from './ports/runtime.ts'
export { type DohOptions, dohResolver } from './transport/doh.ts'
export {
  type CompareOptions,
  compareResolvers,
  type Resolver,
  type ResolverContext,
  staticResolver,
  systemResolver,
} from './transport/resolvers.ts'

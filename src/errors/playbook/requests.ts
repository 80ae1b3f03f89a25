import type { AdviceFor } from './page.ts'

export const AUTH_ADVICE: AdviceFor<'AUTH'> = {
  ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE: [
    'tokenService',
    'An outage there. If the cause is a TrustError, the way to the credentials is what somebody attacks: read that code’s page.',
    'ERR_AUTH_TOKEN_TIMEOUT',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_AUTH_TOKEN_ENDPOINT_THROTTLED: [
    'tokenService',
    'Too many processes that renew by themselves, or somebody else who uses this client_id: compare the number of requests with the server’s log.',
    'ERR_RATE_LIMITED',
  ],
  ERR_AUTH_TOKEN_TIMEOUT: [
    'tokenService',
    'A slow server; whether it took the grant is not known.',
    'ERR_AUTH_REFRESH_OUTCOME_UNKNOWN',
  ],
  ERR_AUTH_TOKEN_RESPONSE_INVALID: [
    'tokenService',
    'A gateway’s error page with status 200, mostly. With pins in place it is the server’s own side that answers so.',
    'ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE',
  ],
  ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE: [
    'tokenService',
    'A wrong URL, or an answer without end.',
    'ERR_AUTH_TOKEN_RESPONSE_INVALID',
  ],
  ERR_AUTH_TOKEN_REDIRECT: [
    'authRules',
    'A moved endpoint, or somebody who wants the client secret sent elsewhere. Where does it lead? Nothing followed it.',
    'ERR_AUTH_METADATA_ORIGIN',
    'ERR_POLICY_REDIRECT',
  ],
  ERR_AUTH_CLIENT_REJECTED: [
    'credential',
    'A rotated secret or a clock. If nobody rotated: the server may have locked the client because it was misused.',
    'ERR_AUTH_CLOCK_SKEW',
    'ERR_KEY_SOURCE_INVALID',
  ],
  ERR_AUTH_GRANT_REJECTED: [
    'credential',
    '`oauthError` says it: `invalid_grant` is a used or withdrawn grant, `unauthorized_client` a registration that was changed.',
    'ERR_AUTH_REAUTH_REQUIRED',
    'ERR_AUTH_CLIENT_REJECTED',
  ],
  ERR_AUTH_TOKEN_TYPE_DOWNGRADE: [
    'credential',
    'A server that lost its DPoP setting, or somebody between who strips the binding so that a stolen token works. Pins make the latter the server’s own side.',
    'ERR_AUTH_DPOP_NONCE_REJECTED',
  ],
  ERR_AUTH_SCOPE_NOT_GRANTED: [
    'credential',
    'A registration that was narrowed, or a user who granted less.',
    'ERR_AUTH_INSUFFICIENT_SCOPE',
  ],
  ERR_AUTH_ISSUER_MISMATCH: [
    'authRules',
    'A slash or a tenant in the URL. Two authorization servers mixed up is a known attack (mix-up, RFC 9207): is the other issuer one that you know?',
    'ERR_AUTH_METADATA_ORIGIN',
  ],
  ERR_AUTH_METADATA_ORIGIN: [
    'authRules',
    'A provider with several domains, or metadata that were changed to collect credentials. Ask the provider before the origin is allowed.',
    'ERR_AUTH_ISSUER_MISMATCH',
    'ERR_AUTH_TOKEN_REDIRECT',
  ],
  ERR_AUTH_DISCOVERY_FAILED: [
    'tokenService',
    'An outage or a wrong issuer URL: the cause says which.',
    'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE',
    'ERR_AUTH_ISSUER_MISMATCH',
  ],
  ERR_AUTH_CLOCK_SKEW: [
    'credential',
    'A clock: `offsetMs` says by how much, and another host whose is wrong.',
    'ERR_MANIFEST_CLOCK_SKEW',
    'ERR_VERIFY_TIME',
  ],
  ERR_AUTH_DPOP_NONCE_REJECTED: [
    'credential',
    'Nodes behind a load balancer that do not share nonces. If proofs are replayed by somebody, the server’s log has them twice.',
    'ERR_AUTH_TOKEN_REJECTED',
  ],
  ERR_AUTH_ASSERTION_FAILED: [
    'tokenService',
    'The application’s own function failed: its log has what is withheld here.',
    'ERR_AUTH_SIGNER_FAILED',
  ],
  ERR_AUTH_SIGNER_FAILED: [
    'tokenService',
    'A key service that is down, throttled or no longer permitted: its audit log says which.',
    'ERR_SIGN_SIGNER_UNAVAILABLE',
    'ERR_AUTH_ASSERTION_FAILED',
  ],
  ERR_AUTH_REFRESH_OUTCOME_UNKNOWN: [
    'tokenService',
    'A connection that broke at the wrong moment. If it leads to a lost rotation, the server may speak of reuse: it is this.',
    'ERR_AUTH_REAUTH_REQUIRED',
    'ERR_TRANSPORT_CLOSED',
  ],
  ERR_AUTH_REAUTH_REQUIRED: [
    'session',
    '`reason` decides: `lost_rotation` is an answer that got lost. Otherwise the grant was withdrawn, or the token was used by two: one of them may be a thief.',
    'ERR_AUTH_REFRESH_OUTCOME_UNKNOWN',
    'ERR_STORE_WRITE_FAILED',
  ],
  ERR_AUTH_TENANT_UNKNOWN: [
    'authRules',
    'A mistake of the caller; a request that should act for nobody in particular is worth a look at where it came from.',
    'ERR_STORE_CONTEXT_MISMATCH',
  ],
  ERR_AUTH_TOKEN_REJECTED: [
    'credential',
    'Audience, scope or keys on the server’s side, since the token is fresh. Withdrawn on purpose: ask whether they saw misuse.',
    'ERR_AUTH_INSUFFICIENT_SCOPE',
    'ERR_AUTH_CERT_BINDING',
  ],
  ERR_AUTH_INSUFFICIENT_SCOPE: [
    'credential',
    'A new call without its scope. A caller that asks for what it never needed is worth a look.',
    'ERR_AUTH_SCOPE_NOT_GRANTED',
  ],
  ERR_AUTH_STEP_UP_REQUIRED: [
    'credential',
    'As the server means it: this action needs the user again. Many at once mean that its risk engine saw something.',
    'ERR_AUTH_REAUTH_REQUIRED',
    'ERR_APPROVAL_REQUIRED',
  ],
  ERR_AUTH_CERT_BINDING: [
    'credential',
    'A client certificate that was renewed while a token was bound to the old one. With a certificate that nobody knows: a token in wrong hands.',
    'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE',
    'ERR_AUTH_TOKEN_REJECTED',
  ],
  ERR_AUTH_ORIGIN_NOT_ALLOWED: [
    'authRules',
    'A new origin that nobody listed, or a URL from input that would collect a credential: the origin’s name tells.',
    'ERR_AUTH_METADATA_ORIGIN',
    'ERR_POLICY_ORIGIN_DENIED',
  ],
  ERR_AUTH_BODY_NOT_REPLAYABLE: [
    'authRules',
    'A mistake of the caller: a stream. The first attempt was answered with a challenge, so the server did not act.',
    'ERR_TRANSPORT_BODY_UNAVAILABLE',
  ],
  ERR_AUTH_SCHEME_FAILED: ['authRules', 'A fault in the application’s own scheme.', 'ERR_AUTH_ASSERTION_FAILED'],
  ERR_AUTH_CREDENTIAL_IN_URL: [
    'authRules',
    'A mistake of the caller, and the secret is burnt all the same: whatever built this URL logged it.',
    'ERR_CONFIG_URL',
  ],
  ERR_AUTH_CLOSED: ['authRules', 'A mistake: a closed client is still in use.', 'ERR_TRANSPORT_CLIENT_CLOSED'],
}

export const APPROVAL_ADVICE: AdviceFor<'APPROVAL'> = {
  ERR_APPROVAL_REQUIRED: [
    'approval',
    'A mistake in the set-up: nobody can be asked. A caller that never needed approval makes a request of a kind that does.',
    'ERR_APPROVAL_DENIED',
  ],
  ERR_APPROVAL_DENIED: [
    'approval',
    'Somebody said no, or nobody was there. A no to a request that its owner does not know is an attempt that was stopped.',
    'ERR_APPROVAL_MISMATCH',
  ],
  ERR_APPROVAL_MISMATCH: [
    'approval',
    'Treat it as an attack: what was shown is not what was to be sent. Code that adds a field in between is the harmless cause, and can be shown.',
    'ERR_APPROVAL_DENIED',
    'ERR_SIGN_STALE',
  ],
}

export const VERIFY_ADVICE: AdviceFor<'VERIFY'> = {
  ERR_VERIFY_MALFORMED: [
    'received',
    'A sender of another kind, or something made to be read in two ways.',
    'ERR_VERIFY_MISSING',
  ],
  ERR_VERIFY_ALG_MISMATCH: [
    'received',
    'A sender that changed its algorithm without saying so. `none`, or HMAC under a public key, is an attack.',
    'ERR_VERIFY_FAILED',
    'ERR_MANIFEST_SIG_ALG_MISMATCH',
  ],
  ERR_VERIFY_KEY_UNKNOWN: [
    'received',
    'A rotation that was not announced, or a key of the attacker’s own. The published key set tells.',
    'ERR_VERIFY_KEYS_UNAVAILABLE',
    'ERR_VERIFY_FAILED',
  ],
  ERR_VERIFY_FAILED: [
    'received',
    'Changed on the way, or signed by another key. Every message: a key or a gateway that rewrites. One: an attack on it.',
    'ERR_VERIFY_DIGEST_MISMATCH',
    'ERR_VERIFY_KEY_UNKNOWN',
  ],
  ERR_VERIFY_TIME: [
    'received',
    'A clock, or an old message sent again. `offset` alike for all is a clock.',
    'ERR_VERIFY_REPLAY',
    'ERR_AUTH_CLOCK_SKEW',
  ],
  ERR_VERIFY_CLAIM: [
    'received',
    'A token for another service: a wrong configuration, or one that was taken from there and is tried here.',
    'ERR_VERIFY_REQUEST_BINDING',
  ],
  ERR_VERIFY_KEYS_UNAVAILABLE: [
    'received',
    'An outage of the key set’s host. Whoever blocks it hopes for old keys to be used on: they are not.',
    'ERR_VERIFY_KEY_UNKNOWN',
  ],
  ERR_VERIFY_MISSING: [
    'received',
    'A server that lost its signing, or somebody behind its TLS who strips what convicts: a CDN, a gateway.',
    'ERR_VERIFY_COVERAGE',
  ],
  ERR_VERIFY_COVERAGE: [
    'received',
    'A signer with a shorter list. What is not covered could have been changed, so ask before less is required.',
    'ERR_VERIFY_MISSING',
    'ERR_VERIFY_REQUEST_BINDING',
  ],
  ERR_VERIFY_REQUEST_BINDING: [
    'received',
    'A cache or a gateway that mixes up answers, or a genuine answer to another request that is replayed.',
    'ERR_POLICY_INTERACTION_ID',
    'ERR_VERIFY_REPLAY',
  ],
  ERR_VERIFY_DIGEST_MISMATCH: [
    'received',
    'A gateway that rewrites or compresses, or a body that was exchanged: its length tells much.',
    'ERR_VERIFY_FAILED',
    'ERR_SIGN_DIGEST_CONFLICT',
  ],
  ERR_VERIFY_DIGEST_UNSUPPORTED: [
    'received',
    'An old sender. MD5 and SHA-1 digests can be met by another body, so they prove nothing.',
    'ERR_VERIFY_DIGEST_MISMATCH',
  ],
  ERR_VERIFY_BODY_TOO_LARGE: [
    'received',
    'An answer that grew, or one that is to fill memory while it is held.',
    'ERR_TRANSPORT_BODY_TOO_LARGE',
  ],
  ERR_VERIFY_NONCES_UNAVAILABLE: [
    'received',
    'An outage of the nonce store; whoever fills it wants replays to pass: they do not.',
    'ERR_VERIFY_REPLAY',
    'ERR_STORE_UNAVAILABLE',
  ],
  ERR_VERIFY_REPLAY: [
    'received',
    'A sender that retries with the same signature, or somebody who recorded it. The addresses of both tell.',
    'ERR_VERIFY_TIME',
    'ERR_VERIFY_NONCES_UNAVAILABLE',
  ],
}

export const SIGN_ADVICE: AdviceFor<'SIGN'> = {
  ERR_SIGN_COMPONENT_MISSING: ['signing', 'A mistake of the caller.', 'ERR_SIGN_COMPONENT_INVALID'],
  ERR_SIGN_COMPONENT_INVALID: ['signing', 'A mistake in `components`.', 'ERR_SIGN_COMPONENT_MISSING'],
  ERR_SIGN_COMPONENT_AMBIGUOUS: [
    'signing',
    'A caller that sends a parameter twice. From input it is parameter pollution: signer and server would read different values.',
    'ERR_SIGN_COMPONENT_INVALID',
  ],
  ERR_SIGN_VALUE_NOT_ASCII: [
    'signing',
    'Text that was not encoded; a line break from input is an injection.',
    'ERR_POLICY_HEADER_INVALID',
  ],
  ERR_SIGN_DIGEST_CONFLICT: [
    'signing',
    'A caller that changed the body after its digest was made; if that was not the caller, find out what did.',
    'ERR_SIGN_STALE',
    'ERR_VERIFY_DIGEST_MISMATCH',
  ],
  ERR_SIGN_BODY_UNHASHABLE: ['signing', 'A stream, or a body above the limit.', 'ERR_TRANSPORT_BODY_UNAVAILABLE'],
  ERR_SIGN_KEY_UNSUITABLE: [
    'signing',
    'A key of the wrong kind, or a service that answers in the other format.',
    'ERR_SIGN_SELF_CHECK_FAILED',
  ],
  ERR_SIGN_LABEL_CONFLICT: [
    'signing',
    'Two signers of one name. A caller that passes on signatures of others by header is worth a look.',
    'ERR_SIGN_STALE',
  ],
  ERR_SIGN_STALE: [
    'signing',
    'An interceptor that runs after the signer; one that nobody installed is what the check is for.',
    'ERR_SIGN_DIGEST_CONFLICT',
    'ERR_APPROVAL_MISMATCH',
  ],
  ERR_SIGN_INSECURE: ['signing', 'A setting that would sign nothing worth it.', 'ERR_SIGN_COMPONENT_INVALID'],
  ERR_SIGN_ACCEPT_REFUSED: [
    'signing',
    'A server that asks for more than agreed. A server that has you sign what it chooses uses you as a signing machine: that is why it was refused.',
    'ERR_SIGN_COMPONENT_INVALID',
  ],
  ERR_SIGN_SIGNER_UNAVAILABLE: [
    'signing',
    'A key service that is down or throttled, or a permission that was taken away.',
    'ERR_AUTH_SIGNER_FAILED',
    'ERR_KEY_SOURCE_UNAVAILABLE',
  ],
  ERR_SIGN_SELF_CHECK_FAILED: [
    'signing',
    'A key version that was rotated in the service alone. A signer that signs with a key nobody knows is to be stopped until its owner is asked.',
    'ERR_SIGN_KEY_UNSUITABLE',
    'ERR_CONFIG_SIGNER',
  ],
}

export const RATE_ADVICE: AdviceFor<'RATE'> = {
  ERR_RATE_LIMITED: [
    'pace',
    'Load, a loop or a limit that the server lowered. A caller that multiplied its requests without a release is to be looked at.',
    'ERR_RATE_QUEUE_FULL',
    'ERR_AUTH_TOKEN_ENDPOINT_THROTTLED',
  ],
  ERR_RATE_QUEUE_FULL: [
    'pace',
    'A burst above what the limit lets through; memory is bounded, so the newest are refused.',
    'ERR_RATE_LIMITED',
  ],
  ERR_RATE_CIRCUIT_OPEN: [
    'pace',
    'An origin that failed again and again: the codes before this one say why. TrustErrors among them: read their pages first.',
    'ERR_TRANSPORT_TIMEOUT',
    'ERR_TRUST_PIN_MISMATCH',
  ],
}

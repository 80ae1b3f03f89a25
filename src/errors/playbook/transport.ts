import type { AdviceFor } from './page.ts'

export const TLS_ADVICE: AdviceFor<'TLS'> = {
  ERR_TLS_CLIENT_CERTIFICATE_REQUIRED: [
    'clientCertificate',
    'A mistake: the API asks for mutual TLS and no `certificate` is configured. An API that never asked before announces a change, or is not that API: its pins tell.',
    'ERR_TLS_CLIENT_CERTIFICATE_REJECTED',
    'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE',
  ],
  ERR_TLS_CLIENT_CERTIFICATE_REJECTED: [
    'clientCertificate',
    'An expired, revoked or unknown certificate in the eyes of the server. If nobody renewed or revoked it, ask why the server did: perhaps its key was used from elsewhere.',
    'ERR_CONFIG_CERTIFICATE_EXPIRED',
    'ERR_TLS_CLIENT_CERTIFICATE_REQUIRED',
  ],
  ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE: [
    'clientCertificate',
    'A key service or a hardware token that does not answer: see `certificate.rejected` for its word. A token that was pulled out is a question for whoever sits there.',
    'ERR_KEY_SOURCE_UNAVAILABLE',
  ],
  ERR_TLS_HANDSHAKE: [
    'handshake',
    'Servers that are overloaded or half configured do it, and so does a device that breaks what it cannot read. `cause` names alert or reset: at one site alone it is the device.',
    'ERR_TLS_VERSION',
    'ERR_TRANSPORT_CLOSED',
  ],
  ERR_TLS_ALPN: [
    'handshake',
    'A server without HTTP/2 where `http2: "require"` asks for it; a proxy in between that ends TLS speaks HTTP/1.1 alone and looks the same: see the certificate.',
    'ERR_TLS_HANDSHAKE',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_TLS_VERSION: [
    'handshake',
    'An old server. One that spoke TLS 1.3 yesterday and does not today has something before it, or somebody forces older versions: compare over another network.',
    'ERR_TLS_HANDSHAKE',
    'ERR_POLICY_SUNSET',
  ],
  ERR_TLS_RESUMED: [
    'resumption',
    'It should not happen: a session from elsewhere came back. Something in the process shares TLS sessions between clients, or swaps sockets.',
    'ERR_TLS_NO_VERDICT',
  ],
  ERR_TLS_NO_VERDICT: [
    'resumption',
    'The check was passed by: something patches node:tls, or Node changed its order of events. Compare with an unpatched process on the same version.',
    'ERR_TLS_RESUMED',
    'ERR_TRANSPORT_FETCH_PATCHED',
  ],
  ERR_TLS_SECOND_HANDSHAKE: [
    'resumption',
    'An honest server under TLS 1.3 cannot do it. Under TLS 1.2 it is renegotiation: an old server, or somebody who swaps the peer after it was judged.',
    'ERR_TLS_VERSION',
  ],
}

export const TRANSPORT_ADVICE: AdviceFor<'TRANSPORT'> = {
  ERR_TRANSPORT_FETCH_PATCHED: [
    'resumption',
    'A library that instruments or mocks fetch, mostly. In production with no such library: something was loaded that takes the checks away. List what is preloaded: NODE_OPTIONS, `--require`, `--import`.',
    'ERR_TLS_NO_VERDICT',
  ],
  ERR_TRANSPORT_BODY_TOO_LARGE: [
    'answer',
    'An API that grew, or one that is made to answer without end. The size that was reached and the documentation tell.',
    'ERR_POLICY_BODY_TOO_LARGE',
    'ERR_TRANSPORT_HEADERS_TOO_LARGE',
  ],
  ERR_TRANSPORT_BODY_UNAVAILABLE: [
    'network',
    'A mistake of the caller: a stream that was read already, or a file that is gone.',
    'ERR_POLICY_REDIRECT_BODY',
    'ERR_AUTH_BODY_NOT_REPLAYABLE',
  ],
  ERR_TRANSPORT_HEADERS_TOO_LARGE: [
    'answer',
    'Cookies that pile up, as a rule; headers without end are an attempt to fill memory.',
    'ERR_TRANSPORT_BODY_TOO_LARGE',
  ],
  ERR_TRANSPORT_UNSOLICITED: [
    'handshake',
    'A broken server, or response smuggling: bytes that lie ready to pass as the answer to the next request. Keep time and peer, and look for a proxy that mixes connections.',
    'ERR_TRANSPORT_PROTOCOL',
    'ERR_TRANSPORT_PROXY_EARLY_BYTES',
  ],
  ERR_TRANSPORT_RESOLVE: [
    'network',
    'A typing error or a DNS outage. A name that other resolvers still know is blocked or withheld here: `dig` with another resolver tells.',
    'ERR_POLICY_DNS_MISMATCH',
    'ERR_TRANSPORT_CONNECT',
  ],
  ERR_TRANSPORT_CONNECT: [
    'network',
    'A server that is down or a firewall. If the name suddenly leads to another network, see `tls.anomaly` address-moved: somebody may have moved it.',
    'ERR_TRANSPORT_RESOLVE',
    'ERR_TRANSPORT_TIMEOUT',
  ],
  ERR_TRANSPORT_PROXY_CONNECT: [
    'proxy',
    'A proxy that is down or moved: its host resolves, its port does not answer.',
    'ERR_TRANSPORT_PROXY_PROTOCOL',
    'ERR_TRANSPORT_CONNECT',
  ],
  ERR_TRANSPORT_PROXY_AUTH: [
    'proxy',
    'Credentials that were rotated or left out. A proxy that never asked before may be another one: check its address before a password is given to it.',
    'ERR_TRANSPORT_PROXY_DENIED',
  ],
  ERR_TRANSPORT_PROXY_DENIED: [
    'proxy',
    'A rule of the proxy, as meant or new. A host that this service should not ask is a finding of its own.',
    'ERR_TRANSPORT_PROXY_AUTH',
    'ERR_POLICY_ORIGIN_DENIED',
  ],
  ERR_TRANSPORT_PROXY_FAILED: [
    'proxy',
    'The server behind is down, or the proxy cannot resolve it: the status in the message says which.',
    'ERR_TRANSPORT_PROXY_CONNECT',
    'ERR_TRANSPORT_CONNECT',
  ],
  ERR_TRANSPORT_PROXY_PROTOCOL: [
    'proxy',
    'The wrong scheme or port, mostly. Something that answers in place of the proxy is to be found by its address.',
    'ERR_TRANSPORT_PROXY_CONNECT',
  ],
  ERR_TRANSPORT_PROXY_EARLY_BYTES: [
    'proxy',
    'A broken proxy, or one that injects an answer before the server could speak. It gained nothing here; clients without TLS behind it are exposed.',
    'ERR_TRANSPORT_UNSOLICITED',
  ],
  ERR_TRANSPORT_CLOSED: [
    'network',
    'Restarts and idle timeouts, as a rule. Resets right after the ClientHello, at one site and for one name, are a device that filters by name.',
    'ERR_TRANSPORT_TIMEOUT',
    'ERR_TLS_HANDSHAKE',
  ],
  ERR_TRANSPORT_TIMEOUT: [
    'network',
    'A slow server. `tls.timing` before it means that a hop was added on the way.',
    'ERR_TRANSPORT_CLOSED',
    'ERR_TRANSPORT_CONNECT',
  ],
  ERR_TRANSPORT_PROTOCOL: [
    'answer',
    'A broken server, or one before it that reads HTTP differently: request smuggling begins like this. Keep path and time, and send nothing again before it is clear.',
    'ERR_TRANSPORT_UNSOLICITED',
    'ERR_POLICY_HEADER_INVALID',
  ],
  ERR_TRANSPORT_CLIENT_CLOSED: [
    'network',
    'A mistake: the service ends, or a client is closed that others still use.',
    'ERR_AUTH_CLOSED',
    'ERR_MANIFEST_CLOSED',
  ],
}

export const POLICY_ADVICE: AdviceFor<'POLICY'> = {
  ERR_POLICY_SUNSET: [
    'ownRules',
    'Neither: a date that was agreed on has come. What was allowed until then is weak TLS; a later date is a decision, not a repair.',
    'ERR_TLS_VERSION',
  ],
  ERR_POLICY_DOCTOR: [
    'check',
    'A finding at a server that was good before deserves the look of an incident; one of this machine is a mistake in its setup.',
    'ERR_POLICY_DRILL',
    'ERR_TRUST_INTERCEPTION',
  ],
  ERR_POLICY_DRILL: [
    'check',
    'A mistake in the configuration that an attacker would profit from: the failed line says which layer let the interceptor through, or stayed silent.',
    'ERR_POLICY_DOCTOR',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_POLICY_LAB: [
    'check',
    'An attack of the lab was not refused: the release, Node or the configuration under test lets something through. Its line names the attack; treat it as a weakness in production until it is understood.',
    'ERR_POLICY_DRILL',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_POLICY_LAB_NOT_RUN: [
    'check',
    'A mistake in the surroundings: an attack could not be made, so nothing is known about it. The line names the program or the reason.',
    'ERR_POLICY_LAB',
  ],
  ERR_POLICY_CONTAINED: [
    'contained',
    'Neither: somebody decided it. If nobody knows of a containment, look at who can signal this process or sign the manifest.',
    'ERR_TRUST_PIN_DENIED',
  ],
  ERR_POLICY_PLAINTEXT: [
    'ownRules',
    'A mistake in a URL as a rule. A server or a document that hands out http URLs of its own tries to move you into the clear.',
    'ERR_CONFIG_URL',
    'ERR_POLICY_REDIRECT',
  ],
  ERR_POLICY_ADDRESS_DENIED: [
    'ownRules',
    'A name outside that leads to an address inside is how metadata services are stolen from (SSRF, DNS rebinding). An internal host that moved is the harmless case: ask who answers for the name.',
    'ERR_POLICY_DNS_MISMATCH',
    'ERR_TRUST_FETCH_BLOCKED_ADDRESS',
  ],
  ERR_POLICY_DNS_MISMATCH: [
    'imposter',
    'Large services answer each resolver differently; both answers then belong to the same operator. One of them in a network that nobody knows is forged.',
    'ERR_POLICY_ADDRESS_DENIED',
    'ERR_TRUST_PIN_MISMATCH',
  ],
  ERR_POLICY_ORIGIN_DENIED: [
    'ownRules',
    'A new dependency that nobody added to `egress`, or data on its way out to a host of an attacker. The name and the caller tell.',
    'ERR_POLICY_REQUEST_DENIED',
    'ERR_TRUST_HOST_NOT_COVERED',
  ],
  ERR_POLICY_REQUEST_DENIED: [
    'ownRules',
    'A rule that is too narrow, or a path that was built from input: encoded slashes and dots in it are an attempt.',
    'ERR_POLICY_ORIGIN_DENIED',
    'ERR_POLICY_OPERATION_UNLISTED',
  ],
  ERR_POLICY_HOST_HEADER: [
    'ownRules',
    'A proxying caller that passes on what it was given. From input of users it is an attempt to reach another virtual host with your connection.',
    'ERR_POLICY_HEADER_INVALID',
  ],
  ERR_POLICY_REDIRECT: [
    'redirect',
    'A moved API, or an open redirect that somebody uses to draw requests elsewhere. Targets of the same operator are the former.',
    'ERR_POLICY_REDIRECT_BODY',
    'ERR_POLICY_PLAINTEXT',
  ],
  ERR_POLICY_REDIRECT_BODY: [
    'redirect',
    'A moved API; to another origin a body is never sent, since whoever controls the redirect would have it.',
    'ERR_POLICY_REDIRECT',
    'ERR_TRANSPORT_BODY_UNAVAILABLE',
  ],
  ERR_POLICY_REDIRECT_LIMIT: [
    'redirect',
    'A loop at the server, often a login that does not take.',
    'ERR_POLICY_REDIRECT',
  ],
  ERR_POLICY_HEADER_INVALID: [
    'ownRules',
    'Treat CR and LF in a value as an injection until the caller shows where they come from; umlauts and line ends of a file are the harmless cases.',
    'ERR_POLICY_HOST_HEADER',
    'ERR_SIGN_VALUE_NOT_ASCII',
  ],
  ERR_POLICY_OPERATION_UNLISTED: [
    'ownRules',
    'A new call that nobody listed, or a path that input led astray: read it in the message, as sent.',
    'ERR_POLICY_REQUEST_DENIED',
  ],
  ERR_POLICY_REQUEST_INVALID: [
    'ownRules',
    'A caller or a schema that is behind. Values where numbers belong and the like from outside are probes: see who supplied them.',
    'ERR_POLICY_RESPONSE_INVALID',
    'ERR_POLICY_CONTENT_TYPE',
  ],
  ERR_POLICY_RESPONSE_INVALID: [
    'answer',
    'An API that changed, as a rule. If pins held, it is the server itself that answers so: a release of theirs, or a break-in there.',
    'ERR_POLICY_CONTENT_TYPE',
    'ERR_VERIFY_DIGEST_MISMATCH',
  ],
  ERR_POLICY_CONTENT_TYPE: [
    'answer',
    'An error page in place of JSON, mostly; nothing was read of it. For a request it is the caller’s own Content-Type, and nothing was sent.',
    'ERR_POLICY_RESPONSE_INVALID',
  ],
  ERR_POLICY_INTERACTION_ID: [
    'answer',
    'A server or a gateway that mixes up answers: one of another customer may have come to you, and yours to them. Report it to the operator as an incident.',
    'ERR_VERIFY_REQUEST_BINDING',
    'ERR_TRANSPORT_UNSOLICITED',
  ],
  ERR_POLICY_BODY_TOO_LARGE: [
    'ownRules',
    'Data that grew, or a caller that was made to send more than it should. For an answer, the request was sent and the server may have acted.',
    'ERR_TRANSPORT_BODY_TOO_LARGE',
  ],
}

/**
 * Every code the library can raise: one spelling, read by the classes, the command line, README and the tests.
 * `retryable` is about the cause: would the same call, later, have a chance without anyone acting?
 */
export const CODES = {
  ERR_CONFIG_INVALID: {
    retryable: false,
    about: 'An option is unknown, missing or out of range.',
    fix: 'Correct the option named in the message; the README shows every shape.',
  },
  ERR_CONFIG_URL: {
    retryable: false,
    about: 'A URL is malformed, carries credentials, or is not https.',
    fix: 'Use an absolute https URL without user name and password.',
  },
  ERR_CONFIG_PIN: {
    retryable: false,
    about: 'A pin is not sha256/, sha384/ or sha512/ followed by the base64 digest of an SPKI.',
    fix: 'Paste the sha256/ line that the error of a refused connection prints, after checking it by another way.',
  },
  ERR_CONFIG_HOST: {
    retryable: false,
    about: 'A host or host pattern is not a name, an IP address, *.name or **.name.',
    fix: 'Write the host as in a URL: no scheme, no path, one pattern at the left end.',
  },
  ERR_CONFIG_CERTIFICATE: {
    retryable: false,
    about: 'A configured certificate or key cannot be read or the two do not belong together.',
    fix: 'Give PEM; check that key and certificate are a pair.',
  },
  ERR_TRUST_HOST_NOT_COVERED: {
    retryable: false,
    about: 'No policy covers the host, so no packet is sent.',
    fix: 'Add the host to the manifest or to `pins`.',
  },
  ERR_TRUST_NO_TRUSTED_MANIFEST: {
    retryable: true,
    about: 'No verified manifest is active and no bundled pin covers the host.',
    fix: 'See `client.health()` for the reason the manifest could not be loaded.',
  },
  ERR_TRUST_PIN_MISMATCH: {
    retryable: false,
    about: 'No key on a verified path is in the host’s pin set.',
    fix: 'Someone is in the middle, or the server moved to a key that is not pinned. Compare the printed keys with the API’s owner before adding one.',
  },
  ERR_TRUST_PIN_DENIED: {
    retryable: false,
    about: 'A key on the verified path is on the deny list.',
    fix: 'The key was reported as compromised. The server must move to another pinned key.',
  },
  ERR_TRUST_PIN_NONE_ACTIVE: {
    retryable: false,
    about: 'Every pin of the host is denied or outside its time window.',
    fix: 'Publish a manifest with an active pin for the host.',
  },
  ERR_TRUST_PINSET_EXPIRED: {
    retryable: true,
    about: 'The pins are past their expiry and the staleness they allow.',
    fix: 'Publish a fresh status and manifest; `client.health()` names what expired.',
  },
  ERR_TRUST_POLICY_UNSUPPORTED: {
    retryable: false,
    about: 'The manifest asks for a check that this client cannot make.',
    fix: 'Upgrade the library, give the option the rule needs, or publish the entry without the rule.',
  },
  ERR_TRUST_NODE_REFUSED: {
    retryable: false,
    about: 'Node’s own verification (OpenSSL) refused a chain that this library’s accepted; both must accept.',
    fix: 'The cause carries OpenSSL’s word; usually the server’s chain is incomplete or unusual.',
  },
  ERR_TLS_HANDSHAKE: {
    retryable: false,
    about: 'The TLS handshake failed before a verdict was possible.',
    fix: 'The cause carries the alert: protocol version, cipher suite, or a client certificate the server wants.',
  },
  ERR_TLS_RESUMED: {
    retryable: false,
    about: 'The connection resumed a session that no verdict of this client stands behind.',
    fix: 'Nothing to configure: report it, with the server software.',
  },
  ERR_TLS_NO_VERDICT: {
    retryable: false,
    about: 'The handshake finished without the certificates having been judged.',
    fix: 'Nothing to configure: report it, with the Node version.',
  },
  ERR_TLS_SECOND_HANDSHAKE: {
    retryable: false,
    about: 'The peer started another handshake on a connection that was already judged.',
    fix: 'Nothing to configure: report it, with the server software.',
  },
  ERR_TRANSPORT_BODY_TOO_LARGE: {
    retryable: false,
    about: 'A response body is longer than the limit.',
    fix: 'Check what the server sends; raise the limit only if the size is expected.',
  },
  ERR_TRANSPORT_RESOLVE: {
    retryable: true,
    about: 'The host name did not resolve to an address.',
    fix: 'Check the name and the resolver.',
  },
  ERR_TRANSPORT_CONNECT: {
    retryable: true,
    about: 'No TCP connection could be made.',
    fix: 'Check that the server listens and that no firewall stands between.',
  },
  ERR_TRANSPORT_CLOSED: {
    retryable: true,
    about: 'The peer closed or reset the connection before the response was complete.',
    fix: 'See `requestSent`: `no` may be sent again, `maybe` only if the request is idempotent.',
  },
  ERR_TRANSPORT_TIMEOUT: {
    retryable: true,
    about: 'A deadline passed before the response arrived.',
    fix: 'See the message for the stage; raise `timeouts` only if the server is known to be slow.',
  },
  ERR_TRANSPORT_PROTOCOL: {
    retryable: false,
    about: 'The peer does not speak HTTP as RFC 9112 defines it.',
    fix: 'The cause carries the parser’s word.',
  },
  ERR_TRANSPORT_CLIENT_CLOSED: {
    retryable: false,
    about: 'The client was closed.',
    fix: 'Create a client that lives as long as the service does.',
  },
  ERR_POLICY_CONTAINED: {
    retryable: false,
    about: 'The host is contained: no connection is made to it.',
    fix: 'An operator contained it on purpose; ask them.',
  },
  ERR_POLICY_PLAINTEXT: {
    retryable: false,
    about: 'The URL is not https.',
    fix: 'Use https. There is no option that sends a request in the clear.',
  },
  ERR_POLICY_HOST_HEADER: {
    retryable: false,
    about: 'The Host header names another host than the URL.',
    fix: 'Put the host into the URL; policy, SNI and certificate checks follow it.',
  },
  ERR_POLICY_REDIRECT: {
    retryable: false,
    about: 'The server answered with a redirect, which this client does not follow.',
    fix: 'Request the target itself, or pass `redirect: "manual"` and decide.',
  },
} as const satisfies Record<
  `ERR_${string}`,
  { readonly retryable: boolean; readonly about: string; readonly fix: string }
>

export type ErrorCode = keyof typeof CODES
export type CodeIn<Domain extends string> = Extract<ErrorCode, `ERR_${Domain}_${string}`>

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
  ERR_CONFIG_HOST_CLAIMED_TWICE: {
    retryable: false,
    about: 'Two manifests of one client would speak for the same host.',
    fix: 'Narrow the `hosts` of one of them; which of two answers counts must not depend on their order.',
  },
  ERR_CONFIG_FILE: {
    retryable: false,
    about: 'A configuration file, or one it names, cannot be read.',
    fix: 'Correct the member named in the message; config.schema.json describes every one.',
  },
  ERR_CONFIG_REASON: {
    retryable: false,
    about: 'Something of `pinfetch/dangerous` was asked for without a reason.',
    fix: 'Say in one sentence why it is acceptable here; the sentence is repeated at every start.',
  },
  ERR_CONFIG_CERTIFICATE: {
    retryable: false,
    about: 'A configured certificate or key cannot be read or the two do not belong together.',
    fix: 'Give PEM; check that key and certificate are a pair.',
  },
  ERR_CONFIG_CERTIFICATE_MISMATCH: {
    retryable: false,
    about: 'The private key is not the key of the client certificate.',
    fix: 'Give the key that the certificate was requested with, or request a certificate for this key.',
  },
  ERR_CONFIG_CERTIFICATE_EXPIRED: {
    retryable: false,
    about: 'The client certificate, or one that it was issued under, is past its notAfter.',
    fix: 'Renew it; if it is fresh, look at the clock of this machine.',
  },
  ERR_CONFIG_CERTIFICATE_NOT_YET_VALID: {
    retryable: true,
    about: 'The client certificate, or one that it was issued under, is not valid yet.',
    fix: 'Look at the clock of this machine, or wait for the time in the message.',
  },
  ERR_CONFIG_CERTIFICATE_USAGE: {
    retryable: false,
    about: 'The client certificate is not one for clients: the one of a CA, or without clientAuth or digitalSignature.',
    fix: 'Ask the CA for an end-entity certificate with extendedKeyUsage clientAuth and keyUsage digitalSignature.',
  },
  ERR_CONFIG_CERTIFICATE_CHAIN: {
    retryable: false,
    about: 'The client’s certificates do not follow from each other: wrong order, or one that does not belong.',
    fix: 'Put the client’s own certificate first, then its issuer, then the issuer of that, and nothing else.',
  },
  ERR_CONFIG_CERTIFICATE_WEAK: {
    retryable: false,
    about: 'The key of the client certificate, or of one that it was issued under, is too weak or of an unknown kind.',
    fix: 'Make a new key: P-256, Ed25519, or RSA of 2048 bits or more.',
  },
  ERR_CONFIG_LOG_LIST: {
    retryable: false,
    about: 'A file is no list of Certificate Transparency logs, or contradicts itself.',
    fix: 'Fetch https://www.gstatic.com/ct/log_list/v3/log_list.json again; if it stays so, tell who publishes it.',
  },
  ERR_CONFIG_LOG_LIST_SIGNATURE: {
    retryable: false,
    about: 'A list of Certificate Transparency logs is not signed by the key of its publisher.',
    fix: 'Fetch list and signature again, together; a list of your own needs --key with the key that signed it.',
  },
  ERR_CONFIG_LOG_LIST_STALE: {
    retryable: false,
    about: 'A list of Certificate Transparency logs is older than 70 days, or of the future.',
    fix: 'Fetch the list and its signature anew; if they are fresh, look at the clock of this machine.',
  },
  ERR_CONFIG_LOG_LIST_ROLLBACK: {
    retryable: false,
    about: 'A list of Certificate Transparency logs is older than the one that is in the manifest.',
    fix: 'Fetch the list and its signature anew: an old one brings back logs that have been distrusted since.',
  },
  ERR_CONFIG_USAGE: {
    retryable: false,
    about: 'The command line names something unknown, or leaves something out.',
    fix: 'Run the command with --help; its first lines are an example.',
  },
  ERR_CONFIG_PASSPHRASE: {
    retryable: false,
    about: 'A private key is encrypted, and the passphrase is missing or wrong.',
    fix: 'Set PINFETCH_PASSPHRASE for this one command; for a client, `certificate.passphrase`.',
  },
  ERR_CONFIG_SIGNER: {
    retryable: false,
    about: 'A signing command failed, or what it answered is no signature of the key it stands for.',
    fix: 'Run it by hand: the bytes to sign come on standard input, the raw signature goes to standard output.',
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
  ERR_TRUST_CERT_REVOKED: {
    retryable: false,
    about: 'A certificate of the verified path is revoked: by the signed manifest, or by its CA in a staple or a CRL.',
    fix: 'The server must present another certificate; the message says who revoked this one, and when.',
  },
  ERR_TRUST_CA_DISTRUSTED: {
    retryable: false,
    about: 'The manifest no longer trusts a CA of the verified path for certificates as new as this one.',
    fix: 'The server must move to a certificate of another CA.',
  },
  ERR_TRUST_INTERCEPTION: {
    retryable: false,
    about: 'A key that the manifest names as one of an interception product is on the verified path, or was presented.',
    fix: 'Somebody reads this connection. Leave their network, or have them exempt the host.',
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
  ERR_TRUST_CHAIN_EMPTY: {
    retryable: false,
    about: 'The peer presented no certificate.',
    fix: 'Configure a certificate on the server.',
  },
  ERR_TRUST_CHAIN_TOO_LARGE: {
    retryable: false,
    about: 'The peer presented more certificates or bytes than any chain in use has.',
    fix: 'Send the end entity and its intermediates, not a whole bundle.',
  },
  ERR_TRUST_REVOCATION_UNDETERMINED: {
    retryable: false,
    about: 'Hard-fail is on and nothing says that a certificate of the path is not revoked.',
    fix: 'Look at the causes in the message; if a list cannot be fetched, let this machine reach it.',
  },
  ERR_TRUST_OCSP_UNKNOWN: {
    retryable: false,
    about: 'The issuer’s OCSP responder does not know the certificate.',
    fix: 'Treat the certificate as forged until the CA says otherwise; a CA knows what it issued.',
  },
  ERR_TRUST_STAPLE_MISSING: {
    retryable: false,
    about: 'The policy demands a stapled OCSP response and the server sent none.',
    fix: 'Turn on OCSP stapling at the server, or take `staple: always` out of the policy.',
  },
  ERR_TRUST_MUST_STAPLE_MISSING: {
    retryable: false,
    about: 'The certificate says must-staple (RFC 7633) and the server sent no OCSP response.',
    fix: 'Turn on OCSP stapling at the server; a thief of the key would leave the response out.',
  },
  ERR_TRUST_CRL_NONE: {
    retryable: false,
    about: 'No CRL of the issuer is at hand.',
    fix: 'Nothing to do in soft-fail: it is fetched beside the requests and the next connection is judged by it.',
  },
  ERR_TRUST_CRL_ROLLBACK: {
    retryable: false,
    about: 'A fetched CRL or OCSP response is older than the one at hand.',
    fix: 'Look at the CA’s content network; an old list would take revocations back, so the newer one stays.',
  },
  ERR_TRUST_FETCH_BAD_URL: {
    retryable: false,
    about: 'The URL of a CRL or OCSP responder in a certificate is none, is too long, or has a user name.',
    fix: 'Ask the CA; a certificate’s URL is a stranger’s wish and is not repaired.',
  },
  ERR_TRUST_FETCH_BAD_SCHEME: {
    retryable: false,
    about: 'A certificate names its CRL or OCSP responder by something else than http or https.',
    fix: 'Nothing to do where other sources are at hand; ldap and file are not followed.',
  },
  ERR_TRUST_FETCH_BAD_PORT: {
    retryable: false,
    about: 'A certificate names a port for its CRL or OCSP responder that is not allowed.',
    fix: 'Add the port to `revocationNetwork.ports` if the CA is your own.',
  },
  ERR_TRUST_FETCH_BLOCKED_ADDRESS: {
    retryable: false,
    about: 'A CRL or OCSP responder resolves to a private or special address.',
    fix: 'Name the host in `revocationNetwork.allowPrivateHosts` if the CA is your own; otherwise treat the certificate as an attempt to reach inside.',
  },
  ERR_TRUST_FETCH_TOO_MANY_REDIRECTS: {
    retryable: false,
    about: 'The URL of a CRL redirects again and again.',
    fix: 'Ask the CA to name the place itself; two redirects are followed.',
  },
  ERR_TRUST_FETCH_STATUS: {
    retryable: true,
    about: 'A CRL or OCSP responder answered with another HTTP status than 200.',
    fix: 'Wait for the next attempt; if it stays, ask the CA.',
  },
  ERR_TRUST_FETCH_TOO_LARGE: {
    retryable: false,
    about: 'A CRL or OCSP response is longer than the limit.',
    fix: 'Raise `revocationNetwork.maxBytes` if the list is genuine.',
  },
  ERR_TRUST_FETCH_TIMEOUT: {
    retryable: true,
    about: 'A CRL or OCSP response did not arrive in time.',
    fix: 'Wait for the next attempt; if it stays, let this machine reach the CA, or name a proxy.',
  },
  ERR_TRUST_FETCH_NETWORK: {
    retryable: true,
    about: 'A CRL or OCSP responder could not be reached.',
    fix: 'Let this machine reach the CA, or name a proxy; the message has the system’s reason.',
  },
  ERR_TRUST_OCSP_MALFORMED: {
    retryable: false,
    about: 'An OCSP response is not DER, or not the basic response of RFC 6960.',
    fix: 'Ask the operator of the server or of the responder; nothing was learned about the certificate.',
  },
  ERR_TRUST_OCSP_TOO_LARGE: {
    retryable: false,
    about: 'An OCSP response is larger, or about more certificates, than any honest responder sends.',
    fix: 'Ask the operator of the responder; nothing was learned about the certificate.',
  },
  ERR_TRUST_OCSP_RESPONDER_ERROR: {
    retryable: true,
    about: 'The OCSP responder answered with an error in place of a status.',
    fix: 'Wait for the next attempt; if it stays, ask the CA.',
  },
  ERR_TRUST_OCSP_RESPONDER_NOT_FOUND: {
    retryable: false,
    about: 'The certificate of the responder that an OCSP response names is neither the issuer nor in the response.',
    fix: 'Ask the CA; a response by somebody unknown counts for nothing.',
  },
  ERR_TRUST_OCSP_RESPONDER_UNAUTHORIZED: {
    retryable: false,
    about: 'An OCSP response is signed by a certificate to which the issuer did not delegate OCSP signing.',
    fix: 'Treat it as an attempt to hide a revocation; ask the operator of the server where its staple comes from.',
  },
  ERR_TRUST_OCSP_RESPONDER_EXPIRED: {
    retryable: false,
    about: 'The certificate of the OCSP responder is outside of its validity period.',
    fix: 'Ask the CA; if its certificate is valid, correct this machine’s clock.',
  },
  ERR_TRUST_OCSP_RESPONDER_REVOKED: {
    retryable: false,
    about: 'The certificate of the OCSP responder is itself revoked.',
    fix: 'Ask the CA; its responses count for nothing until it has another certificate.',
  },
  ERR_TRUST_OCSP_BAD_SIGNATURE: {
    retryable: false,
    about: 'The signature of an OCSP response is not its signer’s.',
    fix: 'Treat it as forged; ask the operator of the server where its staple comes from.',
  },
  ERR_TRUST_OCSP_UNSUPPORTED_ALGORITHM: {
    retryable: false,
    about:
      'An OCSP response or its responder’s certificate is signed with SHA-1, a short key, or an unknown algorithm.',
    fix: 'Ask the CA for responses signed with SHA-256 and RSA of 2048 bits or ECDSA.',
  },
  ERR_TRUST_OCSP_CERT_MISMATCH: {
    retryable: false,
    about: 'An OCSP response is about another certificate.',
    fix: 'The server staples the wrong response; have its configuration corrected.',
  },
  ERR_TRUST_OCSP_NOT_YET_VALID: {
    retryable: false,
    about: 'An OCSP response is from the future.',
    fix: 'Correct this machine’s clock; otherwise ask the CA.',
  },
  ERR_TRUST_OCSP_EXPIRED: {
    retryable: false,
    about: 'An OCSP response is past its nextUpdate.',
    fix: 'Have the server fetch a new staple; it replays an old one.',
  },
  ERR_TRUST_OCSP_TOO_OLD: {
    retryable: false,
    about: 'An OCSP response is older than ten days, whatever end it gives itself.',
    fix: 'Have the server fetch a new staple; responses of public CAs live for ten days at most.',
  },
  ERR_TRUST_OCSP_BAD_PRODUCED_AT: {
    retryable: false,
    about: 'An OCSP response was produced before the certificate existed, after its end, or in the future.',
    fix: 'Correct this machine’s clock; otherwise ask the CA.',
  },
  ERR_TRUST_OCSP_NONCE_MISMATCH: {
    retryable: false,
    about: 'An OCSP responder answered another request than the one that was sent.',
    fix: 'Treat it as a replay; look at what stands between this machine and the responder.',
  },
  ERR_TRUST_OCSP_NONCE_MISSING: {
    retryable: false,
    about: 'An OCSP responder left the nonce out where the policy requires it.',
    fix: 'Ask a responder that does not answer from a cache, or do not require the nonce.',
  },
  ERR_TRUST_OCSP_CRITICAL_EXTENSION: {
    retryable: false,
    about: 'An OCSP response carries a critical extension that this library does not know.',
    fix: 'Ask the CA; what cannot be understood in full counts for nothing.',
  },
  ERR_TRUST_CRL_MALFORMED: {
    retryable: false,
    about: 'A CRL is not DER, or not the CertificateList of RFC 5280.',
    fix: 'Look at what its URL serves; an error page in place of a list is the usual cause.',
  },
  ERR_TRUST_CRL_TOO_LARGE: {
    retryable: false,
    about: 'A CRL is larger than the limit, or has an entry that no honest issuer writes.',
    fix: 'Raise the limit on bytes if the list is genuine; otherwise ask the CA.',
  },
  ERR_TRUST_CRL_BAD_SIGNATURE: {
    retryable: false,
    about: 'The signature of a CRL is not its issuer’s.',
    fix: 'Treat it as forged; look at what stands between this machine and the CA.',
  },
  ERR_TRUST_CRL_UNSUPPORTED_ALGORITHM: {
    retryable: false,
    about: 'A CRL is signed with SHA-1, a short key, or an unknown algorithm.',
    fix: 'Ask the CA for lists signed with SHA-256 and RSA of 2048 bits or ECDSA.',
  },
  ERR_TRUST_CRL_ISSUER_MISMATCH: {
    retryable: false,
    about: 'A CRL is of another issuer than the certificate.',
    fix: 'Look at what the certificate’s distribution point serves.',
  },
  ERR_TRUST_CRL_ISSUER_NO_CRLSIGN: {
    retryable: false,
    about: 'The certificate of the issuer does not allow its key to sign CRLs.',
    fix: 'Ask the CA; a list by a key that may not sign lists counts for nothing.',
  },
  ERR_TRUST_CRL_NOT_YET_VALID: {
    retryable: false,
    about: 'A CRL is from the future.',
    fix: 'Correct this machine’s clock; otherwise ask the CA.',
  },
  ERR_TRUST_CRL_EXPIRED: {
    retryable: false,
    about: 'A CRL is past its nextUpdate.',
    fix: 'Let the next refresh fetch a newer one; if it stays, ask the CA.',
  },
  ERR_TRUST_CRL_TOO_OLD: {
    retryable: false,
    about: 'A CRL is older than ten days, or a year for CAs, whatever end it gives itself.',
    fix: 'Let the next refresh fetch a newer one; if it stays, ask the CA.',
  },
  ERR_TRUST_CRL_SCOPE: {
    retryable: false,
    about: 'A CRL is about other certificates than this one: another partition, CAs alone, some reasons alone.',
    fix: 'Fetch the list that the certificate’s own distribution point names.',
  },
  ERR_TRUST_CRL_DELTA_UNSUPPORTED: {
    retryable: false,
    about: 'A delta CRL was given without the complete list that it adds to.',
    fix: 'Give the complete list as well.',
  },
  ERR_TRUST_CRL_INDIRECT_UNSUPPORTED: {
    retryable: false,
    about: 'A CRL lists certificates of several issuers, and nothing verified who may speak for them.',
    fix: 'Use the issuer’s own list.',
  },
  ERR_TRUST_CRL_CRITICAL_EXTENSION: {
    retryable: false,
    about: 'A CRL carries a critical extension that this library does not know.',
    fix: 'Ask the CA; what cannot be understood in full counts for nothing.',
  },
  ERR_TRUST_CRLITE_NONE: {
    retryable: false,
    about: 'CRLite filters were to be looked into, and the application has none.',
    fix: 'Give them with the option `crliteFilters`, or take `crlite` out of the sources.',
  },
  ERR_TRUST_CRLITE_MALFORMED: {
    retryable: false,
    about: 'A CRLite filter is cut short, too long, or contradicts itself.',
    fix: 'Fetch the filter anew, and compare its digest with the published one.',
  },
  ERR_TRUST_CRLITE_UNSUPPORTED_VERSION: {
    retryable: false,
    about: 'A CRLite filter is of another version than 4, or no filter at all.',
    fix: 'Give filters as c2sp.org/upki-revocation describes them.',
  },
  ERR_TRUST_CRLITE_NOT_COVERED: {
    retryable: false,
    about: 'No CRLite filter knows the log and time of an SCT of the certificate.',
    fix: 'Fetch newer filters; a certificate of a private CA is in none.',
  },
  ERR_TRUST_CRLITE_NOT_ENROLLED: {
    retryable: false,
    about: 'The CRLite filters were built without data of the certificate’s issuer.',
    fix: 'Let another source tell: `crl`, `staple` or `ocsp`.',
  },
  ERR_TRUST_CRLITE_TOO_OLD: {
    retryable: false,
    about: 'The newest CRLite filter that knows the certificate is older than ten days.',
    fix: 'Fetch newer filters; they are published several times a day.',
  },
  ERR_TRUST_CT_NOT_ENOUGH_SCTS: {
    retryable: false,
    about: 'The certificate does not prove that enough logs of Certificate Transparency took it.',
    fix: 'Ask the CA for a certificate with SCTs of two logs, three above 180 days; the findings say why some do not count.',
  },
  ERR_TRUST_CT_NOT_ENOUGH_OPERATORS: {
    retryable: false,
    about: 'All logs that took the certificate belong to one operator.',
    fix: 'Ask the CA to submit to logs of two operators.',
  },
  ERR_TRUST_CT_NO_CURRENT_LOG: {
    retryable: false,
    about: 'All logs that took the certificate are retired.',
    fix: 'Renew the certificate; nobody watches those logs any more.',
  },
  ERR_TRUST_CT_NO_RFC6962_LOG: {
    retryable: false,
    about: 'All logs that took the certificate are static ones, and the policy wants one of RFC 6962.',
    fix: 'Ask the CA for an SCT of an RFC 6962 log, or stop asking for one.',
  },
  ERR_TRUST_CT_LOG_LIST_STALE: {
    retryable: false,
    about:
      'There is no list of logs of the last 70 days, so no certificate is judged by its SCTs; where they are required, none is accepted.',
    fix: 'Publish a manifest with the present log list, or give one in the option `ct`.',
  },
  ERR_TRUST_SCT_LIST_MALFORMED: {
    retryable: false,
    about: 'The list of SCTs in a certificate or an OCSP response cannot be read.',
    fix: 'Ask the CA; lists are made by its own software.',
  },
  ERR_TRUST_SCT_LIST_TOO_LARGE: {
    retryable: false,
    about: 'A certificate or an OCSP response carries more SCTs than any in use.',
    fix: 'Ask the CA for a certificate with a handful.',
  },
  ERR_TRUST_SCT_MALFORMED: {
    retryable: false,
    about: 'An SCT is cut short or longer than its parts; it does not count.',
    fix: 'Ask the CA; the others may suffice.',
  },
  ERR_TRUST_SCT_UNSUPPORTED_VERSION: {
    retryable: false,
    about: 'An SCT is of another version than v1 (RFC 6962); it does not count.',
    fix: 'Nothing to do where the others suffice.',
  },
  ERR_TRUST_SCT_UNKNOWN_LOG: {
    retryable: false,
    about: 'An SCT is by a log that the list does not have; it does not count.',
    fix: 'Publish a newer log list if the log is accepted by now.',
  },
  ERR_TRUST_SCT_FUTURE_TIMESTAMP: {
    retryable: false,
    about: 'An SCT says that the log saw the certificate at a time that is yet to come; it does not count.',
    fix: 'Compare the clock of this machine; else the log is at fault.',
  },
  ERR_TRUST_SCT_OUTSIDE_INTERVAL: {
    retryable: false,
    about: 'An SCT is by a log for certificates that end in another period; it does not count.',
    fix: 'Ask the CA to submit to the log of the right period.',
  },
  ERR_TRUST_SCT_LOG_REJECTED: {
    retryable: false,
    about: 'An SCT is by a log that is rejected, or not accepted yet; it does not count.',
    fix: 'Ask the CA to submit to an accepted log.',
  },
  ERR_TRUST_SCT_LOG_RETIRED: {
    retryable: false,
    about: 'An SCT was made after its log was retired; it does not count.',
    fix: 'Ask the CA to submit to a log that is current.',
  },
  ERR_TRUST_SCT_UNSUPPORTED_ALGORITHM: {
    retryable: false,
    about: 'An SCT is not signed with SHA-256 and the P-256 or RSA key of its log; it does not count.',
    fix: 'Look at the log’s key in the list; else the log is at fault.',
  },
  ERR_TRUST_SCT_BAD_SIGNATURE: {
    retryable: false,
    about: 'An SCT is not signed by its log about this certificate and issuer; it does not count.',
    fix: 'Compare the certificate with what the CA issued; an SCT of another certificate proves nothing.',
  },
  ERR_TRUST_CERT_MALFORMED: {
    retryable: false,
    about: 'A certificate is not DER, repeats an extension, or leaves out what RFC 5280 requires to judge it.',
    fix: 'Have the certificate issued again; the message names what cannot be read.',
  },
  ERR_TRUST_CERT_VERSION: {
    retryable: false,
    about: 'A certificate is of X.509 version 1 or 2, which cannot carry names, purposes or constraints.',
    fix: 'Have the certificate issued again as version 3.',
  },
  ERR_TRUST_CERT_FORM: {
    retryable: false,
    about: 'A certificate breaks a form rule of the CA/Browser Forum, which the profile `cabf` applies.',
    fix: 'Have the certificate issued again, or use the profile `default` for a private CA.',
  },
  ERR_TRUST_CERT_EXPIRED: {
    retryable: false,
    about: 'A certificate on the path is past its notAfter.',
    fix: 'Renew the certificate named in the message; if it is valid, correct this machine’s clock.',
  },
  ERR_TRUST_CERT_NOT_YET_VALID: {
    retryable: false,
    about: 'A certificate on the path is before its notBefore.',
    fix: 'Correct this machine’s clock; otherwise the certificate was installed too early.',
  },
  ERR_TRUST_UNKNOWN_ISSUER: {
    retryable: false,
    about: 'No presented certificate and no trust anchor is the issuer of a certificate.',
    fix: 'The server leaves out an intermediate, or its root is not among the anchors: see the issuer in the message.',
  },
  ERR_TRUST_SIGNATURE_INVALID: {
    retryable: false,
    about: 'A certificate with the issuer’s name does not hold the key that made the signature.',
    fix: 'Someone presents a forged certificate, or an outdated intermediate of the same name.',
  },
  ERR_TRUST_WEAK_SIGNATURE: {
    retryable: false,
    about: 'A certificate is signed with SHA-1, MD5, DSA or another algorithm that is not accepted.',
    fix: 'Have the certificate issued again with SHA-256 or better.',
  },
  ERR_TRUST_WEAK_KEY: {
    retryable: false,
    about: 'A key on the path is of a type, curve or size that is not accepted.',
    fix: 'Use RSA of 2048 bits or more, P-256, P-384, P-521, Ed25519 or Ed448.',
  },
  ERR_TRUST_NOT_A_CA: {
    retryable: false,
    about: 'A certificate issued another one without being a CA.',
    fix: 'Someone uses a server certificate as a CA, or the CA’s certificate lacks basicConstraints cA.',
  },
  ERR_TRUST_CA_AS_END_ENTITY: {
    retryable: false,
    about: 'The server presented a CA certificate as its own.',
    fix: 'Issue an end-entity certificate; for a self-signed test server, add exactly this certificate to the anchors.',
  },
  ERR_TRUST_KEY_USAGE: {
    retryable: false,
    about: 'keyUsage does not allow what the key is used for.',
    fix: 'Have the certificate issued again: keyCertSign for a CA, digitalSignature for a server.',
  },
  ERR_TRUST_EXTENDED_KEY_USAGE: {
    retryable: false,
    about: 'extendedKeyUsage of the end entity, or of a CA above it, does not allow the purpose.',
    fix: 'Have the certificate issued again with serverAuth (clientAuth for clients).',
  },
  ERR_TRUST_PATH_LENGTH: {
    retryable: false,
    about: 'The path has more intermediates than a CA on it, or the configured depth, allows.',
    fix: 'A CA was issued below one that may not have any; ask its operator.',
  },
  ERR_TRUST_NAME_CONSTRAINTS: {
    retryable: false,
    about: 'A name in a certificate is outside what a CA above it may issue for.',
    fix: 'Use a CA that may issue for the name; the message names both.',
  },
  ERR_TRUST_CRITICAL_EXTENSION: {
    retryable: false,
    about: 'A certificate has a critical extension that is not understood, or is a precertificate.',
    fix: 'Have the certificate issued again without the extension.',
  },
  ERR_TRUST_POLICY: {
    retryable: false,
    about: 'The path requires a certificate policy and is valid for none that is accepted.',
    fix: 'Use a certificate issued under an accepted policy.',
  },
  ERR_TRUST_PATH_BUDGET: {
    retryable: false,
    about: 'The presented certificates form so many candidate paths that the search was given up.',
    fix: 'Send the end entity and its intermediates alone; a peer that insists is hostile.',
  },
  ERR_TRUST_NAME_MISMATCH: {
    retryable: false,
    about: 'The certificate is for other names than the one in the URL.',
    fix: 'Use a name the certificate has in subjectAltName; the Common Name does not count.',
  },
  ERR_TLS_CLIENT_CERTIFICATE_REQUIRED: {
    retryable: false,
    about: 'The server demands a client certificate and was shown none.',
    fix: 'Give the option `certificate`; ask the operator of the server which CA issues such certificates.',
  },
  ERR_TLS_CLIENT_CERTIFICATE_REJECTED: {
    retryable: false,
    about: 'The server refused the client certificate that it was shown.',
    fix: 'The message has its alert and what usually is behind it; the log of the server says more.',
  },
  ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE: {
    retryable: true,
    about: 'The client certificate cannot be used now: `certificate.load` has not answered, or its token is gone.',
    fix: 'See the `certificate.rejected` event, or the cause; `load` is called again by itself.',
  },
  ERR_TLS_HANDSHAKE: {
    retryable: false,
    about: 'The TLS handshake failed before a verdict was possible.',
    fix: 'The cause carries the alert: no common cipher suite or group, or a client certificate the server wants.',
  },
  ERR_TLS_ALPN: {
    retryable: false,
    about: 'The peer did not agree to speak a version of HTTP that the client offered.',
    fix: 'Let the server offer h2 by ALPN, or set `http2` to `prefer`, which takes HTTP/1.1 as well.',
  },
  ERR_TLS_VERSION: {
    retryable: false,
    about: 'The server speaks older versions of TLS, or weaker suites of TLS 1.2, than the policy in force allows.',
    fix: 'Let the server speak TLS 1.3, or allow 1.2 for the host through `pinfetch/dangerous`.',
  },
  ERR_TRANSPORT_FETCH_PATCHED: {
    retryable: false,
    about: 'The fetch of this process was replaced by one that drops the dispatcher, and with it every check.',
    fix: 'Create the client before the code that replaces fetch runs, or make that code hand on every member of init.',
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
    fix: 'Check what the server sends; raise `limits.bodyBytes` only if the size is expected.',
  },
  ERR_TRANSPORT_BODY_UNAVAILABLE: {
    retryable: false,
    about:
      'A body could not be read: its source failed, or the function of `replayable` gave no stream that nobody has read.',
    fix: 'See the cause; the function must give a new stream, with the same bytes, each time it is called.',
  },
  ERR_TRANSPORT_HEADERS_TOO_LARGE: {
    retryable: false,
    about: 'The header fields of a response are longer than the limit.',
    fix: 'Check what the server sends; raise `limits.headerBytes` only if the size is expected.',
  },
  ERR_TRANSPORT_UNSOLICITED: {
    retryable: true,
    about: 'The peer sent data before any request, which would have passed for the answer to one.',
    fix: 'Look for a proxy or server that answers one request twice; nothing was sent.',
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
  ERR_TRANSPORT_PROXY_CONNECT: {
    retryable: true,
    about: 'The proxy cannot be reached, or closed the connection before there was a tunnel.',
    fix: 'Check that the proxy listens, and its name, port and scheme in the option `proxy`.',
  },
  ERR_TRANSPORT_PROXY_AUTH: {
    retryable: false,
    about: 'The proxy wants credentials: there are none, or it does not take those given.',
    fix: 'Put them into the URL of `proxy`, or into `proxy.credentials`.',
  },
  ERR_TRANSPORT_PROXY_DENIED: {
    retryable: false,
    about: 'The proxy does not allow a tunnel to the server.',
    fix: 'Ask who runs the proxy to allow the host and the port, or name the host in `proxy.bypass`.',
  },
  ERR_TRANSPORT_PROXY_FAILED: {
    retryable: true,
    about: 'The proxy could not make a tunnel to the server.',
    fix: 'The message has the status: see whether the server is up, and the log of the proxy.',
  },
  ERR_TRANSPORT_PROXY_PROTOCOL: {
    retryable: false,
    about: 'What answers at the address of the proxy is no proxy of the configured kind.',
    fix: 'Check the scheme and the port in `proxy`: http, https, socks5 and socks5h are different protocols.',
  },
  ERR_TRANSPORT_PROXY_EARLY_BYTES: {
    retryable: false,
    about: 'The proxy sent bytes that nobody had asked for, which would have passed for the server’s.',
    fix: 'Look at the proxy: a tunnel carries nothing before the client’s first byte. Nothing was sent.',
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
    about: 'The peer does not speak HTTP as RFC 9112 or RFC 9113 defines it.',
    fix: 'The cause carries the parser’s word.',
  },
  ERR_TRANSPORT_CLIENT_CLOSED: {
    retryable: false,
    about: 'The client was closed.',
    fix: 'Create a client that lives as long as the service does.',
  },
  ERR_POLICY_SUNSET: {
    retryable: false,
    about: 'The host was allowed a legacy profile until a date, and that date has passed.',
    fix: 'Bring the host up to date and drop the profile, or agree on a later sunset.',
  },
  ERR_POLICY_DOCTOR: {
    retryable: false,
    about: 'The doctor found what makes connections fail or lets others read them.',
    fix: 'Below each line of the answer stands what to do about it.',
  },
  ERR_POLICY_DRILL: {
    retryable: false,
    about: 'In a drill, an interception was not refused, told or kept as it should be.',
    fix: 'The first line that failed says what is missing: report mode, a host without pins, and a stale manifest are usual.',
  },
  ERR_POLICY_LAB: {
    retryable: false,
    about: 'In the attack lab, an attack won, or a genuine server was refused.',
    fix: 'The row says what was lost. For a client of your own, compare with the column of pinfetch.',
  },
  ERR_POLICY_LAB_NOT_RUN: {
    retryable: false,
    about: 'An attack of the lab could not be run, so nobody knows how it would have ended.',
    fix: 'The row says why. A module given with --client has to export createClient, which answers with { fetch, close? }.',
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
  ERR_POLICY_ADDRESS_DENIED: {
    retryable: false,
    about: 'The name resolves to addresses that may not be connected to, or the URL has one as its host.',
    fix: 'If the address is right, name it in `addresses`. If not, ask who answers for the name.',
  },
  ERR_POLICY_DNS_MISMATCH: {
    retryable: false,
    about: 'Two resolvers name no address of the host in common, and the options refuse that.',
    fix: 'Ask both by hand. If the host has many addresses, compare with `report`; else someone forges answers.',
  },
  ERR_POLICY_ORIGIN_DENIED: {
    retryable: false,
    about: 'No rule of `egress` names the origin.',
    fix: 'Add the origin to `egress`, with its port where it is not 443.',
  },
  ERR_POLICY_REQUEST_DENIED: {
    retryable: false,
    about: 'No rule of `egress` allows the method and the path, or the path can be read in more than one way.',
    fix: 'Add them to a rule for the origin. Paths with %2e, %2f, %5c, %25 or dot segments are not allowed by any.',
  },
  ERR_POLICY_HOST_HEADER: {
    retryable: false,
    about: 'The Host header, or the path given to dispatch(), names another host than the URL.',
    fix: 'Put the host into the URL; policy, SNI and certificate checks follow it.',
  },
  ERR_POLICY_REDIRECT: {
    retryable: false,
    about: 'The server answered with a redirect that the option `redirect` does not allow, or that cannot be read.',
    fix: 'Request the target itself, allow its origin in `redirect`, or pass `redirect: "manual"` and decide.',
  },
  ERR_POLICY_REDIRECT_BODY: {
    retryable: false,
    about: 'A redirect asks for the body once more, and it goes to another origin or can be read only once.',
    fix: 'Request the target itself; for the same origin, give the body as text, bytes, Blob or FormData.',
  },
  ERR_POLICY_REDIRECT_LIMIT: {
    retryable: false,
    about: 'A call was redirected again and again.',
    fix: 'Look for a loop at the server; `redirect.maxHops` allows up to 20.',
  },
  ERR_POLICY_HEADER_INVALID: {
    retryable: false,
    about: 'The method or a header field holds CR, LF, NUL or another character that would change the request.',
    fix: 'Find out who wrote the value: it may be an injection. Encode what is not ASCII.',
  },
  ERR_POLICY_OPERATION_UNLISTED: {
    retryable: false,
    about:
      'No operation of `operations` has this method, origin and path, or the path can be read in more than one way.',
    fix: 'Add the operation, or set `unlisted: "allow"` to let requests pass that no operation describes.',
  },
  ERR_POLICY_REQUEST_INVALID: {
    retryable: false,
    about: 'Path, query, header fields or body of a request are not what the schema of its operation expects.',
    fix: 'Correct the call; `issues` names the places, never the values.',
  },
  ERR_POLICY_RESPONSE_INVALID: {
    retryable: false,
    about: 'The body of a response is not what the schema of its operation expects, or a success has no schema.',
    fix: 'Compare `issues` with what the API promises. The server did act on the request.',
  },
  ERR_POLICY_CONTENT_TYPE: {
    retryable: false,
    about: 'The media type of a body is none that its operation allows, or none that its schema can judge.',
    fix: 'Send JSON or a form with its Content-Type; name what the server may answer in `contentTypes`.',
  },
  ERR_POLICY_INTERACTION_ID: {
    retryable: false,
    about: 'A response has another interaction id than its request, or a success has none.',
    fix: 'Do not believe it: it may be the answer to another call. Ask the server about the id that was sent.',
  },
  ERR_POLICY_BODY_TOO_LARGE: {
    retryable: false,
    about: 'A body is longer than its operation allows.',
    fix: 'Check what is sent; raise `maxRequestBytes` or `maxResponseBytes` only if the size is expected.',
  },
  ERR_MANIFEST_FETCH_TOO_LARGE: {
    retryable: false,
    about: 'A signed document is longer than its kind may be.',
    fix: 'Check what the URL serves; root and status are at most 64 KiB, a manifest what its status announces.',
  },
  ERR_MANIFEST_FETCH_HTTP: {
    retryable: true,
    about: 'The source answered with an HTTP status that is not a document.',
    fix: 'See the status in the message; polling goes on by itself.',
  },
  ERR_MANIFEST_FETCH_TIMEOUT: {
    retryable: true,
    about: 'A signed document did not arrive within its deadline.',
    fix: 'Check the source and the way to it; polling goes on by itself.',
  },
  ERR_MANIFEST_FETCH_NETWORK: {
    retryable: true,
    about: 'The source could not be reached.',
    fix: 'The cause says why; polling goes on by itself.',
  },
  ERR_MANIFEST_FETCH_ENCODED: {
    retryable: false,
    about: 'A document was sent compressed although it was asked for as it is.',
    fix: 'Switch compression off for these files: a few bytes could unpack to any number.',
  },
  ERR_MANIFEST_FETCH_REDIRECT: {
    retryable: false,
    about: 'The source answered with a redirect, which is never followed.',
    fix: 'Configure the URL that serves the documents themselves.',
  },
  ERR_MANIFEST_FETCH_304_WITHOUT_CACHE: {
    retryable: true,
    about: 'The source answered "not modified" although nothing is held that it could mean.',
    fix: 'A cache in between answers for others; let it respect If-None-Match.',
  },
  ERR_MANIFEST_ENVELOPE_UTF8: {
    retryable: false,
    about: 'What was served is not UTF-8 text.',
    fix: 'Serve the signed files byte for byte.',
  },
  ERR_MANIFEST_ENVELOPE_JSON: {
    retryable: false,
    about: 'What was served is not JSON: often an error page or a captive portal.',
    fix: 'Open the URL and look; serve the signed files byte for byte.',
  },
  ERR_MANIFEST_ENVELOPE_SHAPE: {
    retryable: false,
    about: 'The document is not the JWS JSON form with exactly `payload` and `signatures`.',
    fix: 'Sign with this library’s publisher; no other JWS form is read.',
  },
  ERR_MANIFEST_SIG_HEADER_INVALID: {
    retryable: false,
    about: 'A signature’s protected header is not a JSON object with `alg`, `kid` and `typ`.',
    fix: 'Sign with this library’s publisher.',
  },
  ERR_MANIFEST_SIG_HEADER_FORBIDDEN: {
    retryable: false,
    about: 'A signature’s protected header has a member besides `alg`, `kid` and `typ`.',
    fix: 'Sign with this library’s publisher; extensions belong into the payload.',
  },
  ERR_MANIFEST_SIG_TYP_MISMATCH: {
    retryable: false,
    about: 'The document was signed as another kind of document.',
    fix: 'Check that each file is served under its own name.',
  },
  ERR_MANIFEST_SIG_DUPLICATE_KID: {
    retryable: false,
    about: 'One key signed the document twice.',
    fix: 'Merge signatures so that each key has one.',
  },
  ERR_MANIFEST_SIG_ALG_MISMATCH: {
    retryable: false,
    about: 'A signature names another algorithm than its key has.',
    fix: 'Sign with the algorithm that the root gives the key.',
  },
  ERR_MANIFEST_SIG_THRESHOLD: {
    retryable: false,
    about: 'Too few distinct holders of the role’s keys signed the document.',
    fix: 'Collect the missing signatures. If none is missing, someone is serving forged documents.',
  },
  ERR_MANIFEST_PAYLOAD_UTF8: {
    retryable: false,
    about: 'The signed payload is not UTF-8 text.',
    fix: 'Make documents with this library’s publisher.',
  },
  ERR_MANIFEST_PAYLOAD_JSON: {
    retryable: false,
    about: 'The signed payload is not JSON.',
    fix: 'Make documents with this library’s publisher.',
  },
  ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY: {
    retryable: false,
    about: 'An object of the signed payload has one member name twice.',
    fix: 'Remove one of the two; readers disagree about which one counts.',
  },
  ERR_MANIFEST_PAYLOAD_DEPTH: {
    retryable: false,
    about: 'The signed payload is nested deeper than 12 levels.',
    fix: 'Make documents with this library’s publisher.',
  },
  ERR_MANIFEST_PAYLOAD_TYPE: {
    retryable: false,
    about: 'The payload says that it is another kind of document than its signatures.',
    fix: 'Check that each file is served under its own name.',
  },
  ERR_MANIFEST_SPEC_UNSUPPORTED: {
    retryable: false,
    about: 'The document follows a major version of the format that this client does not know.',
    fix: 'Upgrade the library, or publish for spec 1.',
  },
  ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD: {
    retryable: false,
    about: 'The document names a member as critical that this client does not understand.',
    fix: 'Upgrade the library, or publish without the member.',
  },
  ERR_MANIFEST_PAYLOAD_SCHEMA: {
    retryable: false,
    about: 'A member of the document is missing, unknown or out of range.',
    fix: 'The message names the member; lint before signing.',
  },
  ERR_MANIFEST_WRONG_REPO: {
    retryable: false,
    about: 'The document belongs to another repository than the trusted root.',
    fix: 'Check URL and root: they must come from the same repository.',
  },
  ERR_MANIFEST_WRONG_ENV: {
    retryable: false,
    about: 'The document belongs to another environment than the trusted root.',
    fix: 'Check URL and root: production and staging have roots of their own.',
  },
  ERR_MANIFEST_ROOT_DUPLICATE_KEY: {
    retryable: false,
    about: 'The root lists one key twice, in `keys` or in a role.',
    fix: 'List each key once; a second listing would count one signer twice.',
  },
  ERR_MANIFEST_ROOT_KEY_ALG: {
    retryable: false,
    about: 'A key’s type, curve, coordinates and algorithm do not belong together.',
    fix: 'Ed25519 keys are OKP with alg Ed25519, P-256 keys EC with alg ES256.',
  },
  ERR_MANIFEST_ROOT_KID_MISMATCH: {
    retryable: false,
    about: 'A declared `kid` is not the RFC 7638 thumbprint of its key.',
    fix: 'Leave `kid` out, or write the thumbprint.',
  },
  ERR_MANIFEST_ROOT_KEY_UNKNOWN: {
    retryable: false,
    about: 'A role names a key that the root does not list.',
    fix: 'Add the key to `keys`, or take it out of the role.',
  },
  ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE: {
    retryable: false,
    about: 'A role’s threshold is above the number of its distinct holders.',
    fix: 'Lower the threshold or add keys of other holders.',
  },
  ERR_MANIFEST_ROOT_ROLE_OVERLAP: {
    retryable: false,
    about: 'A key serves both the root and the status role.',
    fix: 'Give the online status role a key of its own.',
  },
  ERR_MANIFEST_ROOT_FINGERPRINT: {
    retryable: false,
    about: 'The trusted root that is shipped is not the one that `manifest.rootFingerprint` names.',
    fix: 'Ship the root that belongs to the fingerprint. If the file was changed, find out by whom.',
  },
  ERR_MANIFEST_ROOT_ROLLBACK: {
    retryable: false,
    about: 'A root was served under the name of a newer version.',
    fix: 'Serve each root under its own version.',
  },
  ERR_MANIFEST_ROOT_VERSION_GAP: {
    retryable: false,
    about: 'A root skips a version.',
    fix: 'Publish every version; each is signed by the one before it.',
  },
  ERR_MANIFEST_ROOT_EPOCH_ROLLBACK: {
    retryable: false,
    about: 'A new root lowers an epoch.',
    fix: 'Epochs only rise; recovery from a stolen key is epoch + 1.',
  },
  ERR_MANIFEST_ROOT_CHAIN_TOO_LONG: {
    retryable: true,
    about: 'More than 32 newer roots were found in one refresh.',
    fix: 'The next refresh goes on from there; ship a newer root with the application.',
  },
  ERR_MANIFEST_ROOT_EXPIRED: {
    retryable: false,
    about: 'The newest root is past its expiry.',
    fix: 'Sign a new root with the root keys.',
  },
  ERR_MANIFEST_ROOT_UNREADABLE: {
    retryable: false,
    about: 'The place of the next root answers with something that is no document.',
    fix: 'Let the host answer 404 for files that do not exist.',
  },
  ERR_MANIFEST_ROOT_UNAVAILABLE: {
    retryable: true,
    about: 'The status names a newer root that the source does not have.',
    fix: 'Publish the root before the status; wait for caches of the negative answer.',
  },
  ERR_MANIFEST_CLOCK_SKEW: {
    retryable: false,
    about: 'The document was issued more than five minutes in the future.',
    fix: 'Check this machine’s clock, then the publisher’s.',
  },
  ERR_MANIFEST_TIME_INVERTED: {
    retryable: false,
    about: 'The document expires before it was issued.',
    fix: 'Correct `issuedAt` and `expires`.',
  },
  ERR_MANIFEST_STATUS_EPOCH: {
    retryable: false,
    about: 'The status belongs to another epoch than the trusted root gives its role.',
    fix: 'Publish a status of the epoch that the newest root names.',
  },
  ERR_MANIFEST_STATUS_ROLLBACK: {
    retryable: false,
    about: 'The status is older than one that was already accepted.',
    fix: 'If every mirror does this, someone replays old documents.',
  },
  ERR_MANIFEST_STATUS_EQUIVOCATION: {
    retryable: false,
    about: 'Two different documents were signed as the same status version.',
    fix: 'Find out who signs; raise the version for every change.',
  },
  ERR_MANIFEST_STATUS_EXPIRED: {
    retryable: true,
    about: 'The newest status is past its expiry.',
    fix: 'Run the heartbeat job that signs a new status; check this machine’s clock.',
  },
  ERR_MANIFEST_STATUS_TTL_TOO_LONG: {
    retryable: false,
    about: 'The status is valid for more than seven days.',
    fix: 'Sign short-lived statuses; seven days is the most a freeze may last.',
  },
  ERR_MANIFEST_STATUS_DENY_FORBIDDEN: {
    retryable: false,
    about: 'The status denies keys although the root does not allow that role to.',
    fix: 'Set `mayDeny` in the root, or deny through `revocations` of a manifest.',
  },
  ERR_MANIFEST_ROLLBACK: {
    retryable: false,
    about: 'The status names a manifest older than one that was already accepted.',
    fix: 'Publish the old content under a higher version.',
  },
  ERR_MANIFEST_EQUIVOCATION: {
    retryable: false,
    about: 'Two different manifests carry the same version.',
    fix: 'Find out who signs; raise the version for every change.',
  },
  ERR_MANIFEST_UNAVAILABLE: {
    retryable: true,
    about: 'The manifest that the status names could not be fetched.',
    fix: 'Publish the manifest before the status; polling goes on by itself.',
  },
  ERR_MANIFEST_LENGTH_MISMATCH: {
    retryable: false,
    about: 'The manifest’s payload is not as long as its status says.',
    fix: 'Publish manifest and status from the same bytes.',
  },
  ERR_MANIFEST_HASH_MISMATCH: {
    retryable: false,
    about: 'The manifest’s payload has another SHA-256 than its status says.',
    fix: 'Publish manifest and status from the same bytes.',
  },
  ERR_MANIFEST_VERSION_MISMATCH: {
    retryable: false,
    about: 'The manifest carries another version than its status says.',
    fix: 'Publish manifest and status from the same bytes.',
  },
  ERR_MANIFEST_EPOCH: {
    retryable: false,
    about: 'The manifest belongs to another epoch than the trusted root gives its role.',
    fix: 'Sign a manifest of the epoch that the newest root names.',
  },
  ERR_MANIFEST_EXPIRED: {
    retryable: false,
    about: 'The manifest is past its expiry.',
    fix: 'Publish a new version.',
  },
  ERR_MANIFEST_DUPLICATE_HOST: {
    retryable: false,
    about: 'The manifest has two entries for one host and port.',
    fix: 'Merge them; entries are never combined by the client.',
  },
  ERR_MANIFEST_DUPLICATE_PIN: {
    retryable: false,
    about: 'A host entry lists one pin twice.',
    fix: 'Remove one; a second listing is no backup.',
  },
  ERR_MANIFEST_NO_BACKUP_PIN: {
    retryable: false,
    about: 'An enforced host has fewer than two distinct pins.',
    fix: 'Add the pin of a key held in reserve, or say `singlePin`.',
  },
  ERR_MANIFEST_PIN_WINDOW: {
    retryable: false,
    about: 'A pin’s notAfter is not after its notBefore.',
    fix: 'Correct the window.',
  },
  ERR_MANIFEST_REVOCATION_DROPPED: {
    retryable: false,
    about: 'The manifest leaves out what the one before revoked, and does not say that this is meant.',
    fix: 'Put the revocation back, or name it in `revocations.unrevoked` with a reason.',
  },
  ERR_MANIFEST_BLOB_UNAVAILABLE: {
    retryable: true,
    about: 'A blob of hosts that the manifest names could not be had.',
    fix: 'Upload blobs before the manifest that names them; the next poll tries again.',
  },
  ERR_MANIFEST_BLOB_LENGTH_MISMATCH: {
    retryable: false,
    about: 'A blob of hosts is longer or shorter than the signed manifest says.',
    fix: 'Serve the published files byte for byte; a blob never changes under its name.',
  },
  ERR_MANIFEST_BLOB_HASH_MISMATCH: {
    retryable: false,
    about: 'A blob of hosts is not the one that the signed manifest names.',
    fix: 'Serve the published files byte for byte; a blob never changes under its name.',
  },
  ERR_MANIFEST_CACHE_CORRUPT: {
    retryable: false,
    about: 'A cached document did not verify and was ignored.',
    fix: 'Nothing, if it happens once. Otherwise look at who may write to the cache directory.',
  },
  ERR_MANIFEST_CACHE_REQUIRED: {
    retryable: false,
    about: 'The cache directory cannot be used, and the options say that it must be.',
    fix: "Make it writable for this user, or take `cache: 'required'` out and accept that a restart forgets the floor.",
  },
  ERR_MANIFEST_CLOSED: {
    retryable: false,
    about: 'The updater was closed.',
    fix: 'Create a client that lives as long as the service does.',
  },
  ERR_MANIFEST_LINT: {
    retryable: false,
    about: 'What was about to be signed would stop clients, or weaken them unnoticed.',
    fix: 'Each finding says what to type. A rule is set aside by name alone: --allow <id>.',
  },
  ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE: {
    retryable: true,
    about: 'The authorization server could not be reached, or answered with a fault of its own.',
    fix: 'See the cause, and `requestSent`: with `no` nothing was consumed. The token in force serves until its end.',
  },
  ERR_AUTH_TOKEN_ENDPOINT_THROTTLED: {
    retryable: true,
    about: 'The authorization server asks to wait before the next request.',
    fix: 'See `retryAfterMs`; share tokens between processes through a store if there are many of them.',
  },
  ERR_AUTH_TOKEN_TIMEOUT: {
    retryable: true,
    about: 'The authorization server did not answer in full before the deadline.',
    fix: 'Raise `refresh.timeoutMs` only if the server is known to be slow.',
  },
  ERR_AUTH_TOKEN_RESPONSE_INVALID: {
    retryable: false,
    about: 'The answer of an authorization server is not what OAuth defines.',
    fix: 'Look at what stands in its place: an error page of a gateway is the usual cause. A new refresh token in it was kept.',
  },
  ERR_AUTH_TOKEN_RESPONSE_TOO_LARGE: {
    retryable: false,
    about: 'The answer of an authorization server is longer than 1 MiB.',
    fix: 'Look at what the URL serves; no token response is that long.',
  },
  ERR_AUTH_TOKEN_REDIRECT: {
    retryable: false,
    about:
      'An endpoint of an authorization server answered with a redirect, which would carry the credentials elsewhere.',
    fix: 'Configure the endpoint itself, or correct the metadata of the server.',
  },
  ERR_AUTH_CLIENT_REJECTED: {
    retryable: false,
    about: 'The authorization server does not accept the client authentication.',
    fix: 'Correct the secret or the key; nothing is sent under the same secret again before it changes.',
  },
  ERR_AUTH_GRANT_REJECTED: {
    retryable: false,
    about: 'The authorization server refused the grant.',
    fix: 'See `oauthError`: the word of the server for the reason.',
  },
  ERR_AUTH_TOKEN_TYPE_DOWNGRADE: {
    retryable: false,
    about: 'A token bound to a key was asked for, and a bearer token was issued.',
    fix: 'Have the server issue tokens bound by DPoP to this client; whoever steals a bearer token can use it.',
  },
  ERR_AUTH_SCOPE_NOT_GRANTED: {
    retryable: false,
    about: 'The authorization server granted less than `requireScopes` names.',
    fix: 'Have the missing scopes allowed for this client, or do not require them.',
  },
  ERR_AUTH_ISSUER_MISMATCH: {
    retryable: false,
    about: 'The metadata of an authorization server are of another issuer than the configured one.',
    fix: 'Write the issuer exactly as the server does; otherwise somebody mixes up two servers.',
  },
  ERR_AUTH_METADATA_ORIGIN: {
    retryable: false,
    about: 'The metadata of an authorization server name an endpoint at an origin that is not allowed.',
    fix: 'If the origin is right, name it in `allowedEndpointOrigins`.',
  },
  ERR_AUTH_DISCOVERY_FAILED: {
    retryable: true,
    about: 'The metadata of an authorization server could not be had.',
    fix: 'See the cause; give `metadata` with the endpoints where the server publishes none.',
  },
  ERR_AUTH_CLOCK_SKEW: {
    retryable: false,
    about: 'The authorization server refuses what this machine dates, and its clock is further away than is corrected.',
    fix: 'Correct the clock of this machine, or of the server: see `offsetMs`.',
  },
  ERR_AUTH_DPOP_NONCE_REJECTED: {
    retryable: false,
    about: 'A server asks for a DPoP nonce again after it was given the one that it had named.',
    fix: 'Look at the server: behind a load balancer, all of its nodes must accept the nonces of each.',
  },
  ERR_AUTH_ASSERTION_FAILED: {
    retryable: true,
    about: 'The application gave no assertion or subject token for a grant; nothing was sent.',
    fix: 'Look at the function in `grant`: what it rejected with is named by its class alone, since it handles secrets.',
  },
  ERR_AUTH_SIGNER_FAILED: {
    retryable: true,
    about: 'The signer of a client assertion or a DPoP proof failed; nothing was sent.',
    fix: 'Look at the log of the key service or the hardware: what it said is not repeated here.',
  },
  ERR_AUTH_REFRESH_OUTCOME_UNKNOWN: {
    retryable: true,
    about:
      'A refresh token was sent, and no answer came: whether it is spent is not known. The same one is sent again later.',
    fix: 'See the cause. Once the server answers, the session either goes on or ends with `lost_rotation`.',
  },
  ERR_AUTH_REAUTH_REQUIRED: {
    retryable: false,
    about: 'The refresh token is not accepted any more, and nobody who shares it has a newer one.',
    fix: 'Have the user or operator authorize again. `reason`: `lost_rotation` is an answer that was lost, not a theft.',
  },
  ERR_AUTH_TENANT_UNKNOWN: {
    retryable: false,
    about: 'No tenant could be named for a request, and no tenant’s token is lent to another.',
    fix: 'Have `tenant` answer a name for every request that carries a token.',
  },
  ERR_AUTH_TOKEN_REJECTED: {
    retryable: false,
    about: 'A server rejected a token that had just been renewed.',
    fix: 'Look at audience, scope and keys on the side of the server; the next renewal for it waits longer each time.',
  },
  ERR_AUTH_INSUFFICIENT_SCOPE: {
    retryable: false,
    about: 'A server asks for more than the token was granted.',
    fix: 'Have the scopes in `scope` of the error granted to this client.',
  },
  ERR_AUTH_STEP_UP_REQUIRED: {
    retryable: false,
    about: 'A server asks for a stronger or a newer authentication of the user (RFC 9470).',
    fix: 'Authenticate the user again with `acrValues` and `maxAge` of the error.',
  },
  ERR_AUTH_CERT_BINDING: {
    retryable: true,
    about: 'A token is bound to a client certificate or a DPoP key, and none, or another one, is in force.',
    fix: 'Look at why the certificate is missing, or why it or the key changes faster than tokens are issued.',
  },
  ERR_AUTH_ORIGIN_NOT_ALLOWED: {
    retryable: false,
    about: 'No scheme of the client may show its credential to the origin of the request; nothing was sent.',
    fix: 'Add the origin to the allowedOrigins of its scheme, or to the option withoutAuth where it needs no credential.',
  },
  ERR_AUTH_BODY_NOT_REPLAYABLE: {
    retryable: false,
    about: 'The server wants the request with another credential, and the body can be read only once.',
    fix: 'Send the request again yourself, or give the body as text, bytes, URLSearchParams, Blob or FormData.',
  },
  ERR_AUTH_SCHEME_FAILED: {
    retryable: false,
    about: 'A scheme of the application threw, so the request had no credential; nothing was sent with this attempt.',
    fix: 'Mend the scheme; the cause names the kind of its error, and withholds its text.',
  },
  ERR_AUTH_CREDENTIAL_IN_URL: {
    retryable: false,
    about: 'The URL of a request holds the secret that belongs in a header; nothing was sent.',
    fix: 'Take the secret out of the URL. It was probably logged before: have it replaced.',
  },
  ERR_AUTH_CLOSED: {
    retryable: false,
    about: 'The client was closed; it hands out no token any more.',
    fix: 'Make requests before closing, or create another client.',
  },
  ERR_STORE_READ: {
    retryable: true,
    about: 'Stored bytes could not be read.',
    fix: 'The cause carries the system’s word; check owner and mode of the directory.',
  },
  ERR_STORE_WRITE: {
    retryable: true,
    about: 'Bytes could not be stored.',
    fix: 'The cause carries the system’s word; check space, owner and mode of the directory.',
  },
  ERR_STORE_EXISTS: {
    retryable: false,
    about: 'A file stands where a new one would go; keys and signed documents are never overwritten.',
    fix: 'Use another directory, or move the old one away once you are sure that nobody needs it.',
  },
  ERR_STORE_NAME: {
    retryable: false,
    about: 'A name to store under has characters that are not safe in a file name.',
    fix: 'Use letters, digits, dot, hyphen, underscore, and / between parts.',
  },
  ERR_STORE_EXPOSED: {
    retryable: false,
    about: 'Other users may write to the directory of the store, or, where it holds tokens, enter it.',
    fix: 'chmod 700 the directory: whoever writes there can make the library forget documents, whoever reads there has the tokens.',
  },
  ERR_STORE_SYMLINK: {
    retryable: false,
    about: 'A symbolic link stands where stored bytes should be.',
    fix: 'Find out who put it there; links are never followed.',
  },
  ERR_STORE_CONFLICT: {
    retryable: true,
    about: 'Other processes kept a record, or the right to renew it, for too long.',
    fix: 'Look at the processes that share the store, and at their clocks.',
  },
  ERR_STORE_WRITE_FAILED: {
    retryable: true,
    about: 'A renewed token could not be stored. It stays in use here, and writing it is tried again.',
    fix: 'Repair the store before this process ends: with it goes the only copy of the refresh token.',
  },
  ERR_STORE_RECORD_INVALID: {
    retryable: false,
    about: 'A record of the token store is not one of this library. It is left alone.',
    fix: 'Find out who else writes under this prefix.',
  },
  ERR_STORE_RECORD_NEWER: {
    retryable: false,
    about:
      'A record of a token store was written by a later version of this library, in a format that this one cannot read.',
    fix: 'Run the later version everywhere that shares the store, or give this one a store of its own.',
  },
  ERR_STORE_UNAVAILABLE: {
    retryable: true,
    about: 'A token store did not answer in time, or refused.',
    fix: 'Look at the store; meanwhile it is asked again every few seconds and keeps no request waiting.',
  },
  ERR_STORE_DECRYPT_FAILED: {
    retryable: false,
    about: 'A stored token opens under no key of the ring. The record stays where it is.',
    fix: 'Add the key that it was sealed with to `keys` again; it may be removed once every token was renewed.',
  },
  ERR_STORE_CONTEXT_MISMATCH: {
    retryable: false,
    about: 'A stored token was sealed for another record: somebody moved it.',
    fix: 'Find out who may write to the store; the token of one tenant was put in the place of another’s.',
  },
  ERR_KEY_SOURCE_MISSING: {
    retryable: false,
    about: 'The environment variable or file that a secret should come from is not there.',
    fix: 'Set the variable or mount the file that the message names.',
  },
  ERR_KEY_SOURCE_INVALID: {
    retryable: false,
    about:
      'What a source has is no secret: empty, short, a placeholder, of the wrong characters, or readable by everyone.',
    fix: 'Put a real secret of 16 bytes or more there, in a file of mode 600 (Kubernetes: defaultMode 0400).',
  },
  ERR_KEY_SOURCE_UNAVAILABLE: {
    retryable: true,
    about: 'The source of a secret could not be asked: a vault or keychain that fails or does not answer.',
    fix: 'Look at the source that the message names, or configure another one behind it.',
  },
  ERR_VERIFY_MALFORMED: {
    retryable: false,
    about:
      'What was received is no signed JWT in compact form or has a header that is not understood, or its signature fields (RFC 9421) can be read in no way, or in two.',
    fix: 'Refuse what carried it.',
  },
  ERR_VERIFY_ALG_MISMATCH: {
    retryable: false,
    about: 'The signature algorithm is not one of the configured ones, or does not fit the key.',
    fix: 'Refuse what carried it; add the algorithm only if the signer says that it is used.',
  },
  ERR_VERIFY_KEY_UNKNOWN: {
    retryable: false,
    about: 'There is no key under the name that the signature gives.',
    fix: 'Refuse what carried it. A key set was fetched again a moment ago; if its owner just rotated, the next one may pass.',
  },
  ERR_VERIFY_FAILED: {
    retryable: false,
    about: 'The signature is not one of the key.',
    fix: 'Refuse the request: what was signed has been changed, or the signer had another key.',
  },
  ERR_VERIFY_TIME: {
    retryable: false,
    about: 'A signed statement has ended, has not begun, or is older than is allowed.',
    fix: 'Refuse the request; compare the clock of this machine with the times in the message.',
  },
  ERR_VERIFY_CLAIM: {
    retryable: false,
    about: 'A claim of a token is missing or is not the expected one: issuer, audience, type, or a required claim.',
    fix: 'Refuse the request: the token was made for somebody else, or for another purpose.',
  },
  ERR_APPROVAL_REQUIRED: {
    retryable: false,
    about: 'A request that needs an approval can have none; nothing was sent.',
    fix: 'Give `approval` an `ask`; give the body as text, bytes, URLSearchParams or a Blob, so that it can be shown before.',
  },
  ERR_APPROVAL_DENIED: {
    retryable: false,
    about: 'A request was not approved: denied, or not answered in time. Nothing was sent, and nobody is asked again.',
    fix: 'Have a person decide whether to make the request anew; under its Idempotency-Key the answer stands.',
  },
  ERR_APPROVAL_MISMATCH: {
    retryable: false,
    about: 'What was approved is another request: method, target, body or Idempotency-Key differ. Nothing was sent.',
    fix: 'Look at who changed it in between; a request that is meant to differ needs an Idempotency-Key of its own.',
  },
  ERR_VERIFY_KEYS_UNAVAILABLE: {
    retryable: true,
    about: 'The keys that a signature is verified with could not be had, and the ones at hand are too old.',
    fix: 'See the cause; a server answers 503, not 401, since nothing is known of the signature.',
  },
  ERR_SIGN_COMPONENT_MISSING: {
    retryable: false,
    about: 'A header field that a signature has to cover is not in the request. Nothing was sent.',
    fix: 'Set the field named in the message, or take it out of `components`.',
  },
  ERR_SIGN_COMPONENT_INVALID: {
    retryable: false,
    about: 'A component identifier is not one that RFC 9421 §2 allows here. Nothing was sent.',
    fix: 'Correct the component named in the message: lower case, known parameters, each once, and none of a response on a request.',
  },
  ERR_SIGN_COMPONENT_AMBIGUOUS: {
    retryable: false,
    about: 'A component has no single value: `@query-param` names a parameter that occurs twice. Nothing was sent.',
    fix: 'Cover `@query` instead, or send the parameter once.',
  },
  ERR_SIGN_VALUE_NOT_ASCII: {
    retryable: false,
    about: 'A header field to be signed holds a line break or something beyond ASCII. Nothing was sent.',
    fix: 'Send ASCII, or cover the field with `;bs`.',
  },
  ERR_SIGN_DIGEST_CONFLICT: {
    retryable: false,
    about: 'The Content-Digest that the caller set is not the digest of the body. Nothing was sent.',
    fix: 'Leave the field to the client, or give the digest of the bytes that are sent.',
  },
  ERR_SIGN_BODY_UNHASHABLE: {
    retryable: false,
    about:
      'A signature has to cover a body that cannot be read before it is sent, or is larger than may be buffered. Nothing was sent.',
    fix: 'Set Content-Digest yourself, give the body as text, bytes, URLSearchParams, FormData or a Blob, or raise `maxBufferBytes`.',
  },
  ERR_SIGN_KEY_UNSUITABLE: {
    retryable: false,
    about: 'A key does not fit its algorithm, or what a signer answered is no signature of it.',
    fix: 'Give a key of the kind and size named in the message; an external signer says whether it answers DER or `r || s`.',
  },
  ERR_SIGN_LABEL_CONFLICT: {
    retryable: false,
    about: 'Two signers of one client, or a signer and the caller, use the same label.',
    fix: 'Give each `httpSignature` a `label` of its own.',
  },
  ERR_SIGN_STALE: {
    retryable: false,
    about: 'Something changed a signed part of the request after it was signed. Nothing was sent.',
    fix: 'Look for an interceptor that changes the header field named in the message, and have it run before.',
  },
  ERR_SIGN_INSECURE: {
    retryable: false,
    about: 'A signature was asked for that would not protect the request.',
    fix: 'Sign the payload; an unsigned one is for https alone.',
  },
  ERR_SIGN_ACCEPT_REFUSED: {
    retryable: false,
    about: 'A server asked, by Accept-Signature, for a signature that the client does not make.',
    fix: 'Nothing, if it is not meant: it was not made. Else add the component to `acceptSignature.allow`.',
  },
  ERR_SIGN_SIGNER_UNAVAILABLE: {
    retryable: true,
    about: 'A key service or a token did not sign: it failed, was throttled or took too long. Nothing was sent.',
    fix: 'See the cause; the request can be made again.',
  },
  ERR_SIGN_SELF_CHECK_FAILED: {
    retryable: false,
    about: 'The first signature of a key does not verify with its own public key. Nothing was sent.',
    fix: 'Look which key version the signer uses, and which public key was configured for it.',
  },
  ERR_RATE_LIMITED: {
    retryable: true,
    about:
      'A limit, ours or the one that a server announced, leaves no room for the request in time. Nothing was sent.',
    fix: 'Wait for `retryAfterMs`, or ask for less.',
  },
  ERR_RATE_QUEUE_FULL: {
    retryable: true,
    about: 'More requests wait for a limit than may. Nothing was sent.',
    fix: 'Ask for less, or raise `maxQueue` if the callers can wait that long.',
  },
  ERR_RATE_CIRCUIT_OPEN: {
    retryable: true,
    about: 'An origin failed so often that it is left alone for a while. Nothing was sent.',
    fix: 'See why it failed before; it is tried again after `retryAfterMs`.',
  },
  ERR_VERIFY_MISSING: {
    retryable: false,
    about: 'A signature was required, and there is none. The response was not handed over.',
    fix: 'Ask the server why it does not sign; do not lower `require` for an answer that matters.',
  },
  ERR_VERIFY_COVERAGE: {
    retryable: false,
    about: 'A signature covers less than is required.',
    fix: 'Have the signer cover the components named in the message.',
  },
  ERR_VERIFY_REQUEST_BINDING: {
    retryable: false,
    about: 'A response is signed for another request, or for none.',
    fix: 'Refuse it: it may be an answer that was given to somebody else.',
  },
  ERR_VERIFY_DIGEST_MISMATCH: {
    retryable: false,
    about: 'A body is not the one whose digest was sent.',
    fix: 'Refuse it: it was changed on the way, or cut.',
  },
  ERR_VERIFY_DIGEST_UNSUPPORTED: {
    retryable: false,
    about: 'A body has a digest by algorithms alone that prove nothing, or that are not known.',
    fix: 'Have the sender use sha-256 or sha-512 (RFC 9530 §5).',
  },
  ERR_VERIFY_BODY_TOO_LARGE: {
    retryable: false,
    about: 'A response is longer than may be held until it is verified.',
    fix: "Raise `maxHeldBytes`, or take the body as it arrives with `body: 'stream'`, which ends with an error where it is wrong.",
  },
  ERR_VERIFY_NONCES_UNAVAILABLE: {
    retryable: true,
    about: 'Nobody can tell whether a signature was seen before: the store of nonces failed, or is full.',
    fix: 'See the cause; answer 503, since the signature itself is right.',
  },
  ERR_VERIFY_REPLAY: {
    retryable: false,
    about: 'A signature was seen before.',
    fix: 'Refuse the request: somebody sends it a second time.',
  },
  ERR_MONITOR_EVIDENCE_MALFORMED: {
    retryable: false,
    about: 'A file is no evidence of a handshake, or holds members that this version does not know.',
    fix: 'Give a file that collectEvidence wrote; one of a newer release takes that release to be read.',
  },
  ERR_MONITOR_EVIDENCE_ALTERED: {
    retryable: false,
    about: 'The evidence of a handshake is not what its digest was made over.',
    fix: 'Do not rely on it: something was changed after it was made. Look for another copy.',
  },
  ERR_MONITOR_EVIDENCE_DIFFERS: {
    retryable: false,
    about: 'Judged again from what was recorded, the peer gets another verdict than the evidence says.',
    fix: 'Judge with the release that made it; if that differs too, what is recorded is not what happened.',
  },
  ERR_MONITOR_VALIDATION_LOG_ALTERED: {
    retryable: false,
    about: 'A line of a validation log was edited, removed, inserted or moved, or the end was cut off.',
    fix: 'Take the lines that the message names for lost; ask who can write to the file.',
  },
  ERR_MONITOR_UNEXPECTED_CERTIFICATE: {
    retryable: false,
    about: 'A certificate was issued for a watched name, with a key that is no pin of it.',
    fix: 'Ask who ordered it. If nobody did, have the CA revoke it; if somebody did, add its key to the pins.',
  },
  ERR_MONITOR_CURSOR_INVALID: {
    retryable: false,
    about: 'What says how far a watch has come cannot be read. Nothing was asked, so that nothing is skipped.',
    fix: 'Restore the file, or remove it: the watch then begins anew, and tells again what it told before.',
  },
  ERR_MONITOR_DELIVERY_FAILED: {
    retryable: true,
    about: 'A listener did not take an alert. It is told again.',
    fix: 'See the cause; the cursor stays before what was not delivered.',
  },
  ERR_MONITOR_SOURCE_UNREACHABLE: {
    retryable: true,
    about: 'A source of issuances could not be reached, or did not finish its answer in time.',
    fix: 'See the cause. While a source is not read, nobody tells of what it knows.',
  },
  ERR_MONITOR_SOURCE_STATUS: {
    retryable: true,
    about: 'A source of issuances answered with a status that is no success.',
    fix: 'Compare the base URL and the token with the account of the source.',
  },
  ERR_MONITOR_SOURCE_LIMITED: {
    retryable: true,
    about: 'A source of issuances was asked more often than it allows (429).',
    fix: 'Ask less often, or with a token.',
  },
  ERR_MONITOR_SOURCE_REDIRECT: {
    retryable: false,
    about: 'A source of issuances answered with a redirect; none is followed.',
    fix: 'Give the base URL where the source is now.',
  },
  ERR_MONITOR_SOURCE_TOO_LARGE: {
    retryable: false,
    about: 'A source of issuances answered more than any answer needs.',
    fix: 'Watch fewer names at once; if the answer is endless, it is not the source that answers.',
  },
  ERR_MONITOR_SOURCE_MALFORMED: {
    retryable: true,
    about: 'The answer of a source of issuances is not of the documented shape. Nothing of it was taken.',
    fix: 'Look at the base URL; public sources answer with a web page when they are overloaded.',
  },
  ERR_MONITOR_LOG_CHECKPOINT: {
    retryable: false,
    about: 'The checkpoint of a log is no signed tree head.',
    fix: 'Give the monitoring prefix of a log of the static API, not its submission prefix.',
  },
  ERR_MONITOR_LOG_ORIGIN: {
    retryable: false,
    about: 'A checkpoint names another log than the one that is watched.',
    fix: 'The origin is the submission prefix without https:// and final slash; compare it with the log list.',
  },
  ERR_MONITOR_LOG_SIGNATURE: {
    retryable: false,
    about: 'A checkpoint or tree head is not signed by the log.',
    fix: 'Compare the key with the log list. If it is the right one, somebody serves a forged tree.',
  },
  ERR_MONITOR_LOG_STALE: {
    retryable: true,
    about: 'A checkpoint or tree head is more than a day old, or of the future: entries may be kept back.',
    fix: 'Ask the operator of the log; look at the clock of this machine.',
  },
  ERR_MONITOR_LOG_SHRUNK: {
    retryable: false,
    about: 'A log has fewer entries than it had before. No honest log forgets.',
    fix: 'Keep both checkpoints, and show them to the operator of the log and to those who run the log lists.',
  },
  ERR_MONITOR_LOG_FORKED: {
    retryable: false,
    about: 'The tree of a log does not continue the one that it showed before.',
    fix: 'Keep both checkpoints: they prove that the log tells different stories.',
  },
  ERR_MONITOR_LOG_TILE: {
    retryable: false,
    about: 'A tile or an entry of a log cannot be read, or does not belong to the tree that the log signed.',
    fix: 'Try again, in case it broke on the way; a log that goes on serving it is lying.',
  },
} as const satisfies Record<
  `ERR_${string}`,
  { readonly retryable: boolean; readonly about: string; readonly fix: string }
>

/** Every code, as `error.code` has it and `pinfetch explain` explains it. */
export type ErrorCode = keyof typeof CODES
/** The codes of one domain: `CodeIn<'TRUST'>` are those of TrustError. */
export type CodeIn<Domain extends string> = Extract<ErrorCode, `ERR_${Domain}_${string}`>

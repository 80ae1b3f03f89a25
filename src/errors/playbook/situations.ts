/** What many codes have in common. */
export interface Situation {
  readonly data: string
  /** In this order. */
  readonly firstMinutes: readonly string[]
  readonly call: string
  readonly prevent: string
  readonly events: readonly string[]
}

export const SITUATIONS = {
  configuration: {
    data: 'Nothing was sent: the client or the command did not start with these options.',
    firstMinutes: [
      'Read the message: it names the option, what was expected and what was given.',
      'Compare with the last deployment that worked: what changed in options, files or environment?',
      'Roll that change back if a service is down; a client that does not start harms no data.',
    ],
    call: 'Whoever deployed last. Ask: which option or file changed, and was it reviewed?',
    prevent:
      'Run `pinfetch doctor <config>` in CI with the file that is deployed; createClient throws at start, so test the start.',
    events: ['posture'],
  },
  clientCertificate: {
    data: 'No request was sent with a wrong identity. A client that runs keeps the certificate in force; a new one does not start.',
    firstMinutes: [
      'Look at the file: `pinfetch inspect client.pem` shows names, purposes and dates.',
      'Compare the clock of this machine with the dates in the message.',
      'Look whether the job that renews (cert-manager, ACME, a PKI agent) wrote key and certificate together.',
    ],
    call: 'Whoever runs the internal CA. Ask: was this certificate issued for this service, with clientAuth, and for this key?',
    prevent:
      'Alert on `certificate.renewalDue`; write key and certificate in one rename; renew at two thirds of the life.',
    events: ['certificate.rejected', 'certificate.source', 'certificate.expiring', 'expiry.near'],
  },
  logList: {
    data: 'Nothing was sent: the command stopped before the list became part of a manifest.',
    firstMinutes: [
      'Fetch list and signature again, together, over another network.',
      'Compare the digests of both downloads.',
      'Keep the list in use: certificates are judged by it until it is 70 days old.',
    ],
    call: 'The publisher of the log list, if two networks give the same wrong file. Ask: what are version and digest of the newest list?',
    prevent: 'Import a list every week with `pinfetch manifest ct import`, in a job that alerts when it fails.',
    events: ['expiry.near'],
  },
  imposter: {
    data: 'Nothing of the request was sent: neither headers nor body nor client certificate. The peer saw a ClientHello and the host name.',
    firstMinutes: [
      'Do not add the new pin, and do not switch to report mode: that is what an attacker waits for.',
      'Keep the evidence: `pinfetch evidence verify <file>`, then copy it off the machine.',
      'Connect from another network: `pinfetch inspect https://host`. Same chain there: the server changed. Other chain: this network is in the middle.',
      'Look how many machines see it, since when, and whether `tls.anomaly` or `dns.mismatch` came before.',
      'If it may be an attack: `client.contain(host, reason)`, or the containment of the manifest, then revoke what was used over other clients.',
    ],
    call: 'The owner of the API over a number that you already had. Ask: did you rotate keys, which SPKI is right, who ordered this certificate?',
    prevent:
      'Pin a backup key; agree that the owner announces rotations; watch issuances with `pinfetch ct watch`; rehearse with `pinfetch drill`.',
    events: ['tls.rejected', 'tls.handshake', 'tls.interception', 'tls.keyChanged', 'tls.anomaly', 'dns.mismatch'],
  },
  uncovered: {
    data: 'Nothing was sent; mostly no packet at all, since no rule says whom to trust there.',
    firstMinutes: [
      'Read `client.health()`: state of the manifest, its version, and the last failure.',
      'Look whether one host or all are refused: one is a missing entry, all are a manifest that is missing or over.',
      'Compare the version in force with the one that is published: `pinfetch manifest verify <url> --root root.json`.',
    ],
    call: 'Whoever publishes the manifest. Ask: is the host in it, is it published, and when was the last status signed?',
    prevent:
      'Lint before signing, alert on `manifest.stale` and `expiry.near`, and ship `bootstrap` for starts without a network.',
    events: ['manifest.stale', 'manifest.expired', 'manifest.rejected', 'expiry.near'],
  },
  chain: {
    data: 'Nothing of the request was sent: the chain was refused inside of the handshake.',
    firstMinutes: [
      'See the chain as it was presented: `pinfetch inspect https://host`, and again from another network.',
      'Other clients work? They may repair what this one refuses; the message names certificate and rule.',
      'Compare with the chain of yesterday in the validation log or in evidence.',
      'Several hosts at once: look at this machine first, its clock and what sits in its network.',
    ],
    call: 'The operator of the server. Ask: which chain do you deploy, when did it change, and does the CA know the serial number?',
    prevent:
      'Watch certificates with `pinfetch monitor <host>`; have the server test its chain with a strict verifier before it goes live.',
    events: ['tls.rejected', 'tls.handshake', 'tls.anomaly', 'expiry.near'],
  },
  revoked: {
    data: 'Nothing of the request was sent. What went to this key before it was revoked may have been read by whoever has it.',
    firstMinutes: [
      'Read in the message who revoked and since when: the CA, the signed manifest, or its deny list.',
      'Treat secrets that were sent to this key since then as known: tokens, passwords, API keys.',
      'Look for the pinned backup: once the server presents it, calls work again without a change here.',
      'Contain the host if its tokens have to be revoked now.',
    ],
    call: 'The owner of the API and whoever signs the manifest. Ask: what was compromised, since when, and which key comes next?',
    prevent:
      'Keep a backup key in another place, pinned before it is needed, and rehearse the change with `pinfetch rotate`.',
    events: ['tls.rejected', 'tls.retired', 'manifest.deny', 'revocation.checked'],
  },
  revocationStatus: {
    data: 'In soft-fail the peer was accepted without this answer, and requests were sent; in hard-fail nothing was.',
    firstMinutes: [
      'See the mode: with hard-fail this is an outage, with soft-fail a gap in what is known.',
      'Fetch the URL in the message by hand, from here and from another network.',
      'Look whether all certificates of this CA are affected, or one server.',
      'Compare the clock of this machine.',
    ],
    call: 'The CA, or the operator of the server for a staple. Ask: is the responder or the list in order, and what is the status of this serial?',
    prevent:
      'Have servers staple, let this machine reach the CA, and alert on `revocation.failed` before lists run out.',
    events: ['revocation.checked', 'revocation.failed', 'revocation.refreshed'],
  },
  transparency: {
    data: 'Where CT is required nothing was sent; in report mode the request was, and `ct.checked` tells of it.',
    firstMinutes: [
      'Read the findings: each SCT is named with the reason why it does not count.',
      'Look how old the log list is: one that is old makes good certificates look bad.',
      'Search the certificate in a monitor (crt.sh): one that no log knows was perhaps never meant to be seen.',
    ],
    call: 'The CA over the operator of the server. Ask: to which logs was this certificate submitted, and can it be issued again?',
    prevent:
      'Import log lists weekly, watch your names with `pinfetch ct watch`, and start with `report` before `require`.',
    events: ['ct.checked', 'ct.unexpected', 'tls.rejected'],
  },
  handshake: {
    data: 'No request was sent: there was no connection that it could have gone over.',
    firstMinutes: [
      'See `cause` for the word of OpenSSL, and `pinfetch inspect https://host` for what the server offers.',
      'Try from another network: a device in between often breaks TLS 1.3 first.',
      'Ask whether the server was updated, or a load balancer put before it.',
    ],
    call: 'The operator of the server. Ask: what do your logs say of the handshake at this second from this address?',
    prevent: 'Run `pinfetch doctor https://host <config>` against a new server before traffic goes there.',
    events: ['tls.handshake', 'tls.rejected', 'tls.timing'],
  },
  resumption: {
    data: 'Nothing of the request was sent on this connection: it was closed.',
    firstMinutes: [
      'Keep log and evidence: this does not happen with an honest peer and an unmodified process.',
      'Look at what was loaded into the process: patched `tls`, agents that instrument, changed Node flags.',
      'Take the instance out of traffic if it comes again.',
    ],
    call: 'Whoever owns the runtime of this service, then the maintainers with the evidence. Ask: what patches node:tls or undici here?',
    prevent:
      'Load no code that patches node:tls; pin the versions of Node and undici; run `pinfetch doctor` at deployment.',
    events: ['tls.handshake', 'posture'],
  },
  network: {
    data: 'See `requestSent` of the error: `no` means that nothing was; `maybe` means that the server may have acted on it.',
    firstMinutes: [
      'Look at `requestSent` before anything is sent again: what is not idempotent may have happened.',
      'Reach the host by other means: resolve the name, open the port, look at the status page of the API.',
      'One instance: its network. All of them: the server, DNS, or a firewall rule of today.',
    ],
    call: 'The network team, then the operator of the API. Ask: what changed at firewall, DNS or load balancer since it began?',
    prevent:
      'Use `retry` for what is idempotent, `breaker` for what fails for long, and watch `http.exchange` for ratios.',
    events: ['http.exchange', 'tls.handshake', 'retry.stopped', 'breaker.opened', 'traffic.anomaly'],
  },
  answer: {
    data: 'The request was sent, and the server may have acted on it; its answer was not handed over.',
    firstMinutes: [
      'Find out by another call whether the server acted, before anything is sent again.',
      'Compare with the documentation of the API: did its shape or size change today?',
      'Keep path and time: the operator finds the exchange by them.',
    ],
    call: 'The operator of the API. Ask: what did you answer to this request at this time, and is that what you meant?',
    prevent:
      'Test against the API before its releases; give limits and schemas the room that the documentation promises.',
    events: ['http.exchange', 'verify.result'],
  },
  proxy: {
    data: 'Nothing of the request was sent: there was no tunnel. The proxy knows host and port that were asked for.',
    firstMinutes: [
      'Reach the proxy by hand with the URL that is configured: `curl -x <proxy> https://host`.',
      'Look whether other programs get through it, and to other hosts.',
      'Check that nobody changed `proxy`, or the variables that `environment` reads.',
    ],
    call: 'Whoever runs the proxy. Ask: what does its log say of this host and port at this time, and did its rules change?',
    prevent:
      'Name the proxy in the options rather than in the environment, and have its rules name the hosts of the manifest.',
    events: ['tls.handshake', 'network.proxySign', 'posture'],
  },
  ownRules: {
    data: 'Nothing was sent: a rule of this client refused the request before any connection.',
    firstMinutes: [
      'Find the caller: which code built this URL, and from whose input?',
      'Is the target one that this service should ever ask? If not, treat it as an attempt (SSRF, injection).',
      'Look for other requests of the same caller or user around that time.',
    ],
    call: 'The team of the calling code. Ask: where does this value come from, and can somebody outside choose it?',
    prevent:
      'Keep `egress` and `operations` as narrow as the service needs; never build hosts or paths from input unchecked.',
    events: ['redirect.followed', 'dns.mismatch', 'policy.sunset'],
  },
  redirect: {
    data: 'The first request was sent and answered with a redirect; nothing was sent to where it leads.',
    firstMinutes: [
      'See where it leads: a login page, another region, or a host that nobody knows?',
      'Ask the target by hand, without credentials, from another network.',
      'Another origin that nobody announced: treat the server as misconfigured or taken over.',
    ],
    call: 'The operator of the API. Ask: do you redirect this path on purpose, and is the target yours?',
    prevent: 'Configure the final URL; allow by `redirect` only the origins that the API documents.',
    events: ['redirect.followed', 'redirect.stripped'],
  },
  contained: {
    data: 'Nothing was sent; what was under way when it began ended with `requestSent: maybe`. Code and signals also revoke the tokens of the host; the manifest does not.',
    firstMinutes: [
      'Read the message. If the manifest contains the host, its entry and `containment.begun` have the reason; else `client.health().contained` has reason, scope and time.',
      'Do not release because something is down: find the incident that it belongs to first.',
      'Have a list ready of what waits for this host, for the moment of release.',
    ],
    call: 'Who contained it: the reason names the incident. Ask: what closes it, and who decides?',
    prevent:
      'Rehearse with `pinfetch drill --contain`; write the name of the incident and of its owner into the reason.',
    events: ['containment.begun', 'containment.ended', 'token.revoked'],
  },
  check: {
    data: 'No data of yours was involved: a check that somebody ran did not pass.',
    firstMinutes: [
      'Read the first line that failed: it says what was expected and what was seen.',
      'Is what it checked in production now? Then stop the roll-out, and look at events since it began.',
      'Run it again after each correction.',
    ],
    call: 'Whoever changed the configuration or the manifest last. Ask: is this meant, and who approved it?',
    prevent: 'Run the same command in CI and before each deployment, so that it fails there.',
    events: ['posture', 'tls.reported'],
  },
  manifestFetch: {
    data: 'Requests go on with the manifest in force, or with the one in the cache. Without either they are refused, and nothing is sent.',
    firstMinutes: [
      'See `client.health().manifest`: until when the one in force serves.',
      'Open the URL by hand from this machine: status, redirect, error page, proxy?',
      'Several sources in `urls`: do all fail, or one?',
    ],
    call: 'Whoever hosts the manifest. Ask: is the file there, since when not, and what stands before it (CDN, proxy, login)?',
    prevent:
      'Configure a second mirror at another host, `cacheDir`, and `bootstrap`; alert on `manifest.poll` failures.',
    events: ['manifest.poll', 'manifest.rejected', 'manifest.stale', 'manifest.source'],
  },
  manifestForged: {
    data: 'The document was not taken; requests go on under the manifest in force. Nobody was trusted because of it.',
    firstMinutes: [
      'Keep the refused document as it was served, with its headers and the address that it came from.',
      'Fetch it over another network and from the publisher’s own disk; compare digests.',
      'Look into the publisher’s log: did somebody sign at that time, with which key, from where?',
      'Other digests: somebody stands before the source. Same digests: find out who signed.',
    ],
    call: 'The holders of the manifest keys, by phone. Ask each: did you sign this version, and where is your key now?',
    prevent: 'Thresholds above one, keys in hardware, every signature logged; alert on `manifest.security` at once.',
    events: ['manifest.security', 'manifest.rejected'],
  },
  manifestMade: {
    data: 'The document was not taken; requests go on under the manifest in force until it ends.',
    firstMinutes: [
      'Verify what is published: `pinfetch manifest verify <url> --root root.json`.',
      'Compare with what the publisher signed: was it edited, converted or cut on its way?',
      'Publish the last good version under a higher number if the present one ends soon.',
    ],
    call: 'Whoever publishes the manifest. Ask: which tool made this version, and did lint pass?',
    prevent: 'Make documents with `pinfetch manifest` alone, lint before signing, and verify the URL after publishing.',
    events: ['manifest.rejected', 'manifest.wouldBreak'],
  },
  manifestTime: {
    data: 'Nothing is sent to hosts that only this manifest covers once it is over; until then requests go on as before.',
    firstMinutes: [
      'Compare the clock of this machine with another: a wrong clock ends every manifest.',
      'See when the last status was signed, and whether the heartbeat job runs.',
      'Sign and publish a new one; clients take it at their next poll, or at once by `client.manifest.refresh()`.',
    ],
    call: 'Who runs the heartbeat job, then who holds the signing keys. Ask: when did it last succeed, and why not since?',
    prevent:
      'Alert on `expiry.near` and `manifest.stale`; run the heartbeat several times within one lifetime; watch NTP.',
    events: ['manifest.stale', 'manifest.expired', 'manifest.expiring', 'manifest.clock', 'expiry.near'],
  },
  disk: {
    data: 'Nothing was sent because of it, and nothing was trusted. What could not be stored is lost with this process.',
    firstMinutes: [
      'Look at path, owner, mode and free space: `ls -ld`, `df`.',
      'Find out who else writes there: another service, another user, a backup.',
      'Do not delete the directory of tokens or of a manifest cache before it is copied.',
    ],
    call: 'Whoever runs the machine. Ask: what changed on this volume, and who has access to it?',
    prevent: 'A directory of its own with mode 700 for each service, on a volume that is watched for space.',
    events: ['manifest.cacheError', 'store.failed', 'outlet.failed'],
  },
  tokenStore: {
    data: 'Requests go on while the token in memory lasts. A stored token that cannot be used was sent nowhere.',
    firstMinutes: [
      'See whether the store answers, and whether other services on it have trouble.',
      'Keep processes alive that hold a token which was not stored: with them goes the only copy.',
      'Look which version and which keys each process runs with: a roll-out half done looks like this.',
    ],
    call: 'Whoever runs the store. Ask: what failed, who may write under this prefix, and was anything restored from a backup?',
    prevent: 'Add keys to the ring before they seal; one prefix a service; alert on `store.failed`.',
    events: ['store.failed', 'store.recovered', 'store.lease_wait', 'token.adopted'],
  },
  secret: {
    data: 'Nothing was sent with a wrong secret; a client that runs keeps the one it has.',
    firstMinutes: [
      'Look whether variable, file or vault entry is there for this user, without printing it.',
      'Compare with the last deployment: names, mounts, modes.',
      'If others could read the file, replace the secret: assume that they did.',
    ],
    call: 'Whoever runs the secret store. Ask: was this secret rotated, moved or locked, and who read it last?',
    prevent:
      'Mount secrets as files of mode 400, follow rotations by `secret.changed`, and alert on `secret.rejected`.',
    events: ['secret.rejected', 'secret.source', 'secret.changed'],
  },
  tokenService: {
    data: 'The request was not sent. Whether the authorization server took something is said by `requestSent`; the token in force serves on.',
    firstMinutes: [
      'Look at the status page and the token endpoint of the authorization server.',
      'See how long the token in force lasts: that is the time there is.',
      'Do not restart all instances: each would ask for a token of its own at once.',
    ],
    call: 'The operator of the authorization server. Ask: what does your log say of this client_id at this time?',
    prevent: 'Share tokens by a store, renew early, and alert on `token.refresh` that fails twice.',
    events: ['token.refresh', 'token.age', 'retry.stopped'],
  },
  credential: {
    data: 'The request was not sent, or was answered with a refusal: nothing was changed by it. The credential went to its own server alone.',
    firstMinutes: [
      'Read `oauthError` or the challenge: the server names its reason.',
      'Look whether secret, key, scope or audience was changed on either side today.',
      'One tenant or all? One: its grant. All: the client’s own registration.',
      'If nobody changed anything, look at where this client_id was used from.',
    ],
    call: 'The operator of the authorization server. Ask: was this client changed, locked or seen from another place?',
    prevent: 'Overlap old and new secrets when rotating; ask for the scopes that are needed and no more.',
    events: ['token.refused', 'token.refresh', 'token.scopeChanged', 'auth.stepUp'],
  },
  session: {
    data: 'No further request is sent for this user. If a refresh token was stolen, its thief may have acted until it was revoked.',
    firstMinutes: [
      'Read `reason`: a lost answer is an accident, reuse may be theft.',
      'Look at `token.refresh` and `store.failed` before it: a crash between renewal and storing explains it.',
      'No such cause: have the server revoke the whole grant, and list what the token was used for since its last good renewal.',
    ],
    call: 'The authorization server’s operator, and the user. Ask: from which addresses was this refresh token used, and when?',
    prevent:
      'Store tokens with a lease so that one process renews; bind them by DPoP or mTLS, so that a copy is worthless.',
    events: ['token.reauthRequired', 'token.refresh', 'token.revoked', 'store.failed'],
  },
  authRules: {
    data: 'Nothing was sent with this credential: the client refused before the request left.',
    firstMinutes: [
      'Find the code that made the request: which origin, and where does it come from?',
      'If a secret stood in a URL, take it for known: URLs are logged in many places. Replace it.',
      'If an unknown origin asked for a credential, look at who could choose that origin.',
    ],
    call: 'The team of the calling code. Ask: should this origin get this credential at all?',
    prevent: 'List origins in `allowedOrigins`; review changes of endpoints and metadata like code.',
    events: ['token.refused', 'auth.overridden', 'auth.notReplayed', 'redirect.stripped'],
  },
  approval: {
    data: 'Nothing was sent: a request that has to be confirmed was not.',
    firstMinutes: [
      'Find out what was asked, by whom, and who was shown it: `approval.asked` has a digest of it.',
      'Ask the person whether they saw this request, before it is made anew.',
      'A mismatch means that the request changed after it was shown: stop the caller until it is clear who did that.',
    ],
    call: 'Whoever approves, and the owner of the calling program. Ask: what was on the screen, and what was to be sent?',
    prevent: 'Freeze method, target, body and Idempotency-Key before asking; show what will be sent, not a summary.',
    events: ['approval.asked', 'approval.granted', 'approval.refused'],
  },
  received: {
    data: 'What was received was not handed over. If it was the answer to a request, the server may have acted on that.',
    firstMinutes: [
      'Keep what was received with headers and time, without passing it on.',
      'Compare clock and keys with the sender’s: a rotation or a clock explains many at once.',
      'One message among many good ones: treat it as changed or forged, and look at where it came from.',
    ],
    call: 'Whoever signs, over a channel you had before. Ask: did you send this, with which key, and at what time?',
    prevent: 'Announce keys before they sign; verify over pins as well; alert on `verify.result` refused.',
    events: ['verify.result'],
  },
  signing: {
    data: 'Nothing was sent: a request that cannot be signed as configured does not leave.',
    firstMinutes: [
      'Read which component or key the message names.',
      'Look at what changed: headers set by the caller, interceptors, the signer’s key or its permissions.',
      'Do not switch signing off: the server refuses, or worse accepts, what is unsigned.',
    ],
    call: 'The owner of the calling code, or of the key service. Ask: which headers, key version and permissions changed?',
    prevent: 'Sign once in a test against the real verifier; let no code change headers after signing.',
    events: ['sign.overridden', 'sign.keyChanged', 'sign.acceptRefused', 'sign.retried'],
  },
  pace: {
    data: 'Nothing was sent.',
    firstMinutes: [
      'Look at `retryAfterMs`, and at which caller sends most.',
      'Is the load real, a loop, or somebody who lets this service ask for them?',
      'Raise no limit before it is known why it is reached.',
    ],
    call: 'The team with the most requests; then the operator of the API. Ask: what is our quota, and what did you see of us?',
    prevent: 'Give each caller its own limit, back off with jitter, and alert on `rate.refused`.',
    events: ['rate.refused', 'rate.paused', 'rate.waited', 'breaker.opened', 'traffic.anomaly'],
  },
  evidence: {
    data: 'No request was involved: a record of what happened cannot be relied on as it is.',
    firstMinutes: [
      'Stop writing to the file, and copy it with its times.',
      'Look for other copies: backups, SIEM records and log shippers have the same handshakes.',
      'List who and what can write there.',
    ],
    call: 'Who runs the incident, and who administers the machine. Ask: who had access to this file since it was written?',
    prevent: 'Sign bundles, keep heads of the log elsewhere, and ship records off the machine as they arise.',
    events: ['outlet.failed', 'tls.handshake'],
  },
  issuance: {
    data: 'No data was sent to it as long as clients pin: the certificate has none of the pinned keys. Clients without pins would trust it.',
    firstMinutes: [
      'Look at the certificate: names, CA, key, date; `crt.sh` shows it by its digest.',
      'Ask everybody who may order certificates: hosting, CDN, ACME jobs, other teams.',
      'Nobody did: have the CA revoke it, look at DNS records and at who could change them, and warn users without pins.',
    ],
    call: 'The CA’s problem-report address; it has to answer within 24 hours. Ask: who ordered it, and how was control proven?',
    prevent: 'CAA records with account binding, DNSSEC, few people who order, and `pinfetch ct watch` on every name.',
    events: ['ct.unexpected', 'ct.checked'],
  },
  issuanceSource: {
    data: 'No request was involved. While the source is not read, a certificate that was issued wrongly goes unnoticed.',
    firstMinutes: [
      'Ask the source by hand: does it answer others?',
      'See how long it was not read: `ct.watchFailed`, and the cursor.',
      'Add a second source if it lasts; the watch goes on where it stopped.',
    ],
    call: 'The operator of the source, or of your alerts. Ask: is there an outage or a limit for our account?',
    prevent: 'Watch two sources of different operators, with a token where there is one.',
    events: ['ct.watchFailed', 'outlet.failed'],
  },
  ctLog: {
    data: 'No request was involved. What this log says about certificates cannot be relied on now.',
    firstMinutes: [
      'Keep both checkpoints and the tiles as served: they are the proof.',
      'Fetch the same from another network: different answers mean that somebody shows you another tree.',
      'Watch another log meanwhile.',
    ],
    call: 'The operator of the log, and the list of those who run log programs (ct-policy). Ask: do you serve this tree head?',
    prevent: 'Watch logs of several operators, take keys and origins from the signed log list.',
    events: ['ct.watchFailed', 'ct.checked'],
  },
} as const satisfies Readonly<Record<string, Situation>>

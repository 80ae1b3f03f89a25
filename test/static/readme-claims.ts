/**
 * The sentences of README below each heading, without the marks of Markdown, by the tests that show them: path below `test/`, `#`, title;
 * or an example, which is run as it stands. A sentence of several parts stands at several tests.
 */
export const CLAIMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  pinfetch: {
    'integration/manifest#pins arrive signed, the server moves to its backup key, and a new manifest retires the old one, without a restart':
      [
        'fetch for Node services that call APIs, with certificate pins that rotate without a redeploy: a server with the wrong key is refused before the first byte of the request leaves.',
      ],
    'integration/pinning#a key that is not pinned is refused, and the error shows the verified path as pins to paste': [
      'fetch for Node services that call APIs, with certificate pins that rotate without a redeploy: a server with the wrong key is refused before the first byte of the request leaves.',
      'Refused by default, each with a typed error; a server that is refused has seen a TLS ClientHello, and nothing else: a key that is not pinned, even under a CA you trust',
      "What a wrong pin prints; the keys stand there as pins, to be pasted once you have compared them with the API's owner:",
    ],
    'readme-first-screen#a key that is not pinned, even under a CA you trust: ERR_TRUST_PIN_MISMATCH': [
      'Refused by default, each with a typed error; a server that is refused has seen a TLS ClientHello, and nothing else: a key that is not pinned, even under a CA you trust',
    ],
    'readme-first-screen#%s (%s): %s': [
      'Refused by default, each with a typed error; a server that is refused has seen a TLS ClientHello, and nothing else: a key that is not pinned, even under a CA you trust',
      'a broken or expired chain, a wrong name, a weak key or signature',
      'anything below TLS 1.3',
    ],
    'transport/bad-servers#%s: %s, and nothing sent': [
      'Refused by default, each with a typed error; a server that is refused has seen a TLS ClientHello, and nothing else: a key that is not pinned, even under a CA you trust',
      'a broken or expired chain, a wrong name, a weak key or signature',
    ],
    'readme-first-screen#a broken chain: ERR_TRUST_UNKNOWN_ISSUER': [
      'a broken or expired chain, a wrong name, a weak key or signature',
    ],
    'transport/bad-servers#${name}: ${code}, however loose up to ${policy}; nothing but a ClientHello is sent': [
      'Refused by default, each with a typed error; a server that is refused has seen a TLS ClientHello, and nothing else: a key that is not pinned, even under a CA you trust',
      'anything below TLS 1.3',
    ],
    'readme-first-screen#a denied key: ERR_TRUST_PIN_DENIED; a manifest that is older, expired, or signed by someone else':
      ['a denied key', 'a manifest that is unsigned, older, expired or for someone else.'],
    'readme-first-screen#a host that no policy covers: ERR_TRUST_HOST_NOT_COVERED; plain http: ERR_POLICY_PLAINTEXT': [
      'a host that no policy covers',
      'plain http',
    ],
    'readme-first-screen#redirects: ERR_POLICY_REDIRECT': ['redirects'],
    'manifest/envelope#a status that nobody of the role signed is refused with ERR_MANIFEST_SIG_THRESHOLD (case 38)': [
      'a manifest that is unsigned, older, expired or for someone else.',
    ],
    'manifest/payload#%s is refused with its code (cases 62 to 70)': [
      'a manifest that is unsigned, older, expired or for someone else.',
    ],
    'integration/environment#NODE_TLS_REJECT_UNAUTHORIZED=0 opens plain fetch to anyone; here the chain and the name count: ERR_TRUST_UNKNOWN_ISSUER':
      ['NODE_TLS_REJECT_UNAUTHORIZED=0 and its relatives change nothing.'],
    'integration/environment#NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, the system store and setDefaultCACertificates open plain fetch; here: ERR_TRUST_UNKNOWN_ISSUER':
      ['NODE_TLS_REJECT_UNAUTHORIZED=0 and its relatives change nothing.'],
    'integration/environment#--tls-min-v1.0, --tls-max-v1.2 and --tls-cipher-list move plain code down; here TLS 1.3 stays the floor: ERR_TLS_VERSION':
      ['NODE_TLS_REJECT_UNAUTHORIZED=0 and its relatives change nothing.'],
    'readme-first-screen#what a wrong pin prints': [
      "What a wrong pin prints; the keys stand there as pins, to be pasted once you have compared them with the API's owner:",
    ],
  },
  'Pin an API': {
    'cli/pin#prints each key of the verified path, sends nothing, and trusts nothing': [
      'Take the keys of an API from its owner, or compare them with him by another way than the network that you look through:',
    ],
    'integration/pinning#a server that alternates two pinned keys, RSA and ECDSA, always passes, and a third key is refused':
      ['Pins can live in code; two or more, so that the next key does not stop you:'],
    'integration/pinning#the control: a pinned server under a trusted CA answers': [
      'A pin matches the key of any certificate on the path that was verified, never a certificate that was merely sent.',
    ],
    'integration/pinning#%s: ERR_TRUST_PIN_MISMATCH, while walking the issuers finds it': [
      'A pin matches the key of any certificate on the path that was verified, never a certificate that was merely sent.',
    ],
    'encoding/host-pattern#one asterisk stands for exactly one label': [
      'The most specific pattern wins alone: api.example.com before *.example.com (one label) before **.example.com (the apex and any depth).',
    ],
    'encoding/host-pattern#two asterisks stand for the apex and any depth': [
      'The most specific pattern wins alone: api.example.com before *.example.com (one label) before **.example.com (the apex and any depth).',
    ],
    'encoding/host-pattern#the most specific rule wins alone, whatever the order': [
      'The most specific pattern wins alone: api.example.com before *.example.com (one label) before **.example.com (the apex and any depth).',
    ],
    'integration/manifest#pins in code serve as the fallback, for 90 days': [
      'Beside a manifest, pins are the fallback while no manifest was ever accepted, for 90 days unless notAfter says otherwise.',
    ],
    'integration/manifest#pins in code with a notAfter of their own serve as the fallback until then': [
      'Beside a manifest, pins are the fallback while no manifest was ever accepted, for 90 days unless notAfter says otherwise.',
    ],
    'integration/manifest#pins in code do not serve once a manifest was accepted': [
      'Beside a manifest, pins are the fallback while no manifest was ever accepted, for 90 days unless notAfter says otherwise.',
    ],
    'integration/pinning#report mode lets a mismatch through with an event, and nothing else': [
      "For an API that is in use already, begin with mode: 'report': a wrong key passes with an event, chain and name do not (examples/report-only-rollout.ts).",
    ],
    'peers/trustkit#CaPublicKeyAndBadHostname, WrongHost: ERR_TRUST_NAME_MISMATCH, under report mode too': [
      "For an API that is in use already, begin with mode: 'report': a wrong key passes with an event, chain and name do not (examples/report-only-rollout.ts).",
    ],
    'examples/report-only-rollout.ts': [
      "For an API that is in use already, begin with mode: 'report': a wrong key passes with an event, chain and name do not (examples/report-only-rollout.ts).",
    ],
  },
  'Get manifests to your fleet': {
    'integration/manifest#pins arrive signed, the server moves to its backup key, and a new manifest retires the old one, without a restart':
      ['A manifest is a signed list of hosts and pins that clients poll, so that a pin changes without a deployment.'],
    'manifest/lifecycle#comes back after the signed interval and its spread': [
      'A manifest is a signed list of hosts and pins that clients poll, so that a pin changes without a deployment.',
    ],
    'cli/manifest#make a directory that a client takes its pins from': [
      'It is made at your own command line and served by any static host; root.json, which the application ships, is all that a client trusts at first.',
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'cli/manifest#work over https, where a client would look': [
      'It is made at your own command line and served by any static host; root.json, which the application ships, is all that a client trusts at first.',
    ],
    'integration/manifest#F46: a manifest of a stranger’s keys: ERR_MANIFEST_SIG_THRESHOLD at start, and every request is refused':
      [
        'It is made at your own command line and served by any static host; root.json, which the application ships, is all that a client trusts at first.',
      ],
    'manifest/roots#follows three rotations of a single root key (case 7)': [
      'It is made at your own command line and served by any static host; root.json, which the application ships, is all that a client trusts at first.',
    ],
    'cli/changes#asks at a terminal, shows the chain before, and takes no for an answer': [
      "For somebody else's API, add-host api.bank.com --partner --dir ./pins looks at the server, proposes its key and its issuer's, and asks (in a script: --yes --expect sha256/…, a pin known another way).",
    ],
    'cli/changes#records the path it saw, and pins its key and its issuer': [
      "For somebody else's API, add-host api.bank.com --partner --dir ./pins looks at the server, proposes its key and its issuer's, and asks (in a script: --yes --expect sha256/…, a pin known another way).",
    ],
    'cli/changes#--expect takes any key of the verified path, and refuses with ERR_TRUST_PIN_MISMATCH what is not on it':
      [
        "For somebody else's API, add-host api.bank.com --partner --dir ./pins looks at the server, proposes its key and its issuer's, and asks (in a script: --yes --expect sha256/…, a pin known another way).",
      ],
    'cli/verify#says trusted, with the pins it considered, and sends no request': [
      'pinfetch verify https://api.bank.com --manifest ./public --root ./pins/root.json connects as a client does and says what it would say.',
    ],
    'cli/verify#another key is refused with every pin and the path, and exits with 1': [
      'pinfetch verify https://api.bank.com --manifest ./public --root ./pins/root.json connects as a client does and says what it would say.',
    ],
    'cli/publish#heartbeat signs and publishes a status alone, and says what is not signed': [
      'manifest heartbeat, from a job, keeps the status alive; the jobs that init writes do it.',
    ],
    'cli/jobs#cron: every line, from anywhere': [
      'manifest heartbeat, from a job, keeps the status alive; the jobs that init writes do it.',
    ],
    'cli/manifest-ct#puts the list into the next manifest, with the policy that was asked for': [
      "manifest ct import log_list.json --signature log_list.sig brings Chrome's signed list of transparency logs into the manifest, where it serves for 70 days.",
    ],
    'cli/manifest-ct#asks Chrome’s key where no other is given: ERR_CONFIG_LOG_LIST_SIGNATURE': [
      "manifest ct import log_list.json --signature log_list.sig brings Chrome's signed list of transparency logs into the manifest, where it serves for 70 days.",
    ],
    'cli/pin#%s has the pin of its key': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/pin#prints each key of the verified path, sends nothing, and trusts nothing': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/pin#is the key and its issuer, with the trade-off, ready to paste': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/inspect#answers with the verdict where roots or a name are given': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/inspect#--timeline draws what ends when: each certificate of the path, and the pins of a configuration': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/program#says what a code means': [
      'pinfetch pin <host or file> prints the pins of a server, certificate, key or request; pinfetch pin --partner proposes a set for an API that others run; pinfetch inspect shows what the library would say about a server, and with --timeline out.svg what of it ends when; pinfetch explain <code> explains an error.',
    ],
    'cli/doctor-grade#is lowered by %s': [
      'pinfetch doctor [url] [config] says what is weaker than it should be, on this machine, in a configuration and at a server, what to do about it, and gives a grade.',
    ],
    'cli/doctor#prints lines for people, a grade at the end, and exits with 5 for warnings under --strict': [
      'pinfetch doctor [url] [config] says what is weaker than it should be, on this machine, in a configuration and at a server, what to do about it, and gives a grade.',
    ],
    'cli/drill#passes every line, containment among them, and exits with 0': [
      'pinfetch drill [config] lets an interceptor loose on this machine, and says whether it was refused, told and kept.',
    ],
    'cli/drill#report mode: the interceptor is answered, and reads it: ERR_POLICY_DRILL': [
      'pinfetch drill [config] lets an interceptor loose on this machine, and says whether it was refused, told and kept.',
    ],
    'cli/monitor#says what lapses when, soonest first, and that all is well': [
      'What ends when: pinfetch monitor as exit code and text for a job, pinfetch report as a picture.',
    ],
    'cli/report#draws a repository in the terminal, as an image and as a page': [
      'What ends when: pinfetch monitor as exit code and text for a job, pinfetch report as a picture.',
    ],
    'cli/watch#tells of another certificate and of another verdict, each once, as a line of JSON and to a command': [
      'pinfetch watch looks at servers now and then and tells of another certificate, key or verdict, as a line of JSON and to a command of yours.',
    ],
    'cli/keys#makes a key for its holder and a public half for the root': [
      'pinfetch keys makes and lists keys, and signs the next root.',
    ],
    'cli/keys#keys list says which key of the root is where': [
      'pinfetch keys makes and lists keys, and signs the next root.',
    ],
    'cli/keys#extends the life of the root and changes nothing else': [
      'pinfetch keys makes and lists keys, and signs the next root.',
    ],
    'cli/program#of every command starts with an example, and has --json among its options': [
      'Every command has --json, and --help that begins with an example.',
    ],
    'cli/completion#offers every command and every option of the program, each where it may stand': [
      'With what pinfetch completion bash|zsh|fish prints, Tab completes commands, options and what they take.',
    ],
    'cli/completion#offers %s': [
      'With what pinfetch completion bash|zsh|fish prints, Tab completes commands, options and what they take.',
    ],
    'cli/completion#hands to zsh what may stand there': [
      'With what pinfetch completion bash|zsh|fish prints, Tab completes commands, options and what they take.',
    ],
    'cli/completion#fish offers what may stand there': [
      'With what pinfetch completion bash|zsh|fish prints, Tab completes commands, options and what they take.',
    ],
    'static/links#every link of %s leads to a file, and to a heading of it': ['How to keep the keys: pins/README.md.'],
    'manifest/network#a mirror that rolled back is passed over in silence (case 115)': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'manifest/sources#in a file is read, and noticed when it changes': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'manifest/sources#gets documents, says when there is a new one, and is closed once': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'examples/kubernetes-configmap.ts': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'examples/s3-source.ts': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'examples/redis-source.ts': [
      'Clients find it at an https URL or several, in a folder, in a file as one bundle (a ConfigMap, followed without a restart), or through functions of yours (S3, Redis).',
    ],
    'manifest/lifecycle#a cold start without network is fresh from a fresh cache, at once (case 133)': [
      'start, manifest host down, warm cacheDir | serves from the cache, verified again from root; once it is stale, health().state is degraded',
    ],
    'manifest/lifecycle#a cold start without network is stale from a stale cache (case 134)': [
      'start, manifest host down, warm cacheDir | serves from the cache, verified again from root; once it is stale, health().state is degraded',
    ],
    'manifest/cache#F54: %s is passed over with ERR_MANIFEST_CACHE_CORRUPT': [
      'start, manifest host down, warm cacheDir | serves from the cache, verified again from root; once it is stale, health().state is degraded',
    ],
    'integration/manifest#F48: past status, grace and manifest, hosts are closed, not open: ERR_TRUST_PINSET_EXPIRED': [
      'start, manifest host down, warm cacheDir | serves from the cache, verified again from root; once it is stale, health().state is degraded',
      'manifest and status run out | enforced through the grace, then ERR_TRUST_PINSET_EXPIRED: closed, not open',
    ],
    'integration/manifest#ready() rejects with the reason after startupMs, and requests are refused: ERR_TRUST_NO_TRUSTED_MANIFEST':
      [
        'start, manifest host down, nothing cached | waits startupMs, then ERR_TRUST_NO_TRUSTED_MANIFEST; pins in code serve if they cover the host',
      ],
    'integration/manifest#pins in code serve as the fallback, for 90 days': [
      'start, manifest host down, nothing cached | waits startupMs, then ERR_TRUST_NO_TRUSTED_MANIFEST; pins in code serve if they cover the host',
    ],
    'transport/dispatcher#a live connection to a removed key is closed and gets no further request: ERR_TRUST_PIN_MISMATCH':
      [
        'a new manifest changes a host | its live connections are judged again at once; refused ones get no further request, denied ones are cut',
      ],
    'integration/manifest#a deny cuts idle connections and those with a request in flight, in the tick it arrives: ERR_TRUST_PIN_DENIED (case 149)':
      [
        'a new manifest changes a host | its live connections are judged again at once; refused ones get no further request, denied ones are cut',
      ],
    'manifest/faults#%s is %s: what is in force stays, and an event says so': [
      'a document is forged, older or malformed | refused with its ERR_MANIFEST_…, event manifest.rejected; the previous good state stays',
    ],
  },
  Rotate: {
    'cli/rotate#announces, waits five polls, sees the server change, retires, and a client never notices': [
      'Announce, wait until every client has polled five times, swap the key of the server, retire the old pin: each run does what can be done, and refuses to retire a key that the server still shows.',
    ],
    'cli/rotate#a server that goes back between the look and the publication keeps its pin': [
      'Announce, wait until every client has polled five times, swap the key of the server, retire the old pin: each run does what can be done, and refuses to retire a key that the server still shows.',
    ],
    'transport/dispatcher#a live connection to a removed key is closed and gets no further request: ERR_TRUST_PIN_MISMATCH':
      ['A live connection to a key that is retired is closed, and gets no further request (examples/rotate-a-pin.ts).'],
    'examples/rotate-a-pin.ts': [
      'A live connection to a key that is retired is closed, and gets no further request (examples/rotate-a-pin.ts).',
    ],
  },
  'Kill a key': {
    'cli/drills#kill a key: the status key alone stops it within a poll, and the manifest takes it over': [
      'The status key is enough.',
      'Clients know within a poll: connections to that key are cut with their requests, ERR_TRUST_PIN_DENIED, and no pin admits it again until the manifest keys say so (examples/kill-a-key.ts).',
    ],
    'integration/manifest#a deny cuts idle connections and those with a request in flight, in the tick it arrives: ERR_TRUST_PIN_DENIED (case 149)':
      [
        'Clients know within a poll: connections to that key are cut with their requests, ERR_TRUST_PIN_DENIED, and no pin admits it again until the manifest keys say so (examples/kill-a-key.ts).',
      ],
    'manifest/emergency#a newer manifest ends a deny only by `undeny` (case 146)': [
      'Clients know within a poll: connections to that key are cut with their requests, ERR_TRUST_PIN_DENIED, and no pin admits it again until the manifest keys say so (examples/kill-a-key.ts).',
    ],
    'examples/kill-a-key.ts': [
      'Clients know within a poll: connections to that key are cut with their requests, ERR_TRUST_PIN_DENIED, and no pin admits it again until the manifest keys say so (examples/kill-a-key.ts).',
    ],
    'client/containment#requests, bodies, other clients’ requests and lent sockets of the origin end; another origin is served':
      [
        'contain is the switch for one process: calls to the origins end with ERR_POLICY_CONTAINED, over every seam, their connections and TLS sessions are dropped, and the tokens for them are revoked.',
        'client.health().contained lists what is contained, by whom and why.',
      ],
    'client/containment#the TLS session of before is not resumed after the release': [
      'contain is the switch for one process: calls to the origins end with ERR_POLICY_CONTAINED, over every seam, their connections and TLS sessions are dropped, and the tokens for them are revoked.',
    ],
    'client/containment#those for %s are revoked at their server, and nothing else is asked there': [
      'contain is the switch for one process: calls to the origins end with ERR_POLICY_CONTAINED, over every seam, their connections and TLS sessions are dropped, and the tokens for them are revoked.',
    ],
    'client/containment#while everything is contained no other manifest comes into force; the release asks for it': [
      'With *, no other manifest comes into force either.',
    ],
    'client/containment#the signed manifest ends what is under way to a host that it contains; its next version lets it go':
      [
        'In the manifest it is "contained": true at a host.',
        'client.health().contained lists what is contained, by whom and why.',
      ],
    'client/containment#%s: nothing goes through it, what bypasses it does; released, it is used again': [
      'A proxy is contained by its name: nothing goes through it then, lists of revoked certificates neither.',
    ],
    'client/containment#nor are lists of revoked certificates fetched through it': [
      'A proxy is contained by its name: nothing goes through it then, lists of revoked certificates neither.',
    ],
  },
  'Add tokens': {
    'integration/auth#is fetched once over the pinned client, and goes with every request': [
      'Tokens are fetched through the same pinned client, renewed ahead of their end and once for all who wait; a request that is answered 401 is sent once more with the new one, if its body is text, bytes, URLSearchParams, Blob or FormData.',
    ],
    'auth/token-manager#a hundred requests that have no token yet share one request to the token endpoint': [
      'Tokens are fetched through the same pinned client, renewed ahead of their end and once for all who wait; a request that is answered 401 is sent once more with the new one, if its body is text, bytes, URLSearchParams, Blob or FormData.',
    ],
    'auth/token-manager#in the last two minutes of a long life, in the background: nobody waits (TOK-14)': [
      'Tokens are fetched through the same pinned client, renewed ahead of their end and once for all who wait; a request that is answered 401 is sent once more with the new one, if its body is text, bytes, URLSearchParams, Blob or FormData.',
    ],
    'integration/auth#refused again after it was renewed: the second 401 is the caller’s, and nothing goes on': [
      'Tokens are fetched through the same pinned client, renewed ahead of their end and once for all who wait; a request that is answered 401 is sent once more with the new one, if its body is text, bytes, URLSearchParams, Blob or FormData.',
    ],
    'client/authorize#%s is the same both times, type and idempotency key included (TOK-09)': [
      'Tokens are fetched through the same pinned client, renewed ahead of their end and once for all who wait; a request that is answered 401 is sent once more with the new one, if its body is text, bytes, URLSearchParams, Blob or FormData.',
    ],
    'client/authorize#%s is not: the caller has the answer, and ERR_AUTH_BODY_NOT_REPLAYABLE is told (TOK-07)': [
      'A stream is not: you get the 401, and auth.notReplayed.',
    ],
    'auth/token-authenticator#and a body that cannot be sent again: renewed, not resent (TOK-07)': [
      'A stream is not: you get the 401, and auth.notReplayed.',
    ],
    'client/authorize#goes nowhere else: another origin is ERR_AUTH_ORIGIN_NOT_ALLOWED before anything is sent (BIND-01)':
      [
        'With auth, an origin that no scheme names is refused, ERR_AUTH_ORIGIN_NOT_ALLOWED, unless withoutAuth does; a credential header that you set yourself stands.',
      ],
    'client/authorize#an origin that withoutAuth names is asked without one': [
      'With auth, an origin that no scheme names is refused, ERR_AUTH_ORIGIN_NOT_ALLOWED, unless withoutAuth does; a credential header that you set yourself stands.',
    ],
    'client/authorize#of the caller takes the place of the scheme’s, told by an event; there is one such field (BIND-05)':
      [
        'With auth, an origin that no scheme names is refused, ERR_AUTH_ORIGIN_NOT_ALLOWED, unless withoutAuth does; a credential header that you set yourself stands.',
      ],
    'client/authorize#%s goes to its origin, on both roads, with the fields of the caller': [
      'A scheme of your own is an AuthScheme: an object of four members.',
    ],
    'client/auth-approval#another %s has another digest': [
      'An approval is bound to method, URL, content digest and Idempotency-Key; under such a key the answer stands for ten minutes, a no as well.',
    ],
    'client/auth-approval#does not stand for another request under the same key: ERR_APPROVAL_MISMATCH (OOB-04)': [
      'An approval is bound to method, URL, content digest and Idempotency-Key; under such a key the answer stands for ten minutes, a no as well.',
    ],
    'client/auth-approval#stands for ten minutes where nothing else is said (OOB-04)': [
      'An approval is bound to method, URL, content digest and Idempotency-Key; under such a key the answer stands for ten minutes, a no as well.',
    ],
    'client/auth-approval#that was no stands as well: ERR_APPROVAL_DENIED without asking again (OOB-03)': [
      'An approval is bound to method, URL, content digest and Idempotency-Key; under such a key the answer stands for ten minutes, a no as well.',
    ],
    'examples/auth-client-credentials.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
    'examples/auth-refresh-token-redis.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
    'examples/auth-dpop.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
    'examples/auth-mtls.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
    'examples/auth-api-key-rotation.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
    'examples/auth-vault.ts': [
      'Examples that run: client credentials, a refresh token shared over Redis, DPoP, mutual TLS, key rotation, vault and key service.',
    ],
  },
  'What may be asked, and what may be answered': {
    'client/operations#%s is refused: ERR_POLICY_REQUEST_INVALID': [
      'A request that does not fit is refused before a lookup, a token or a byte, and a response that does not fit before you see it; error.issues names the places, never the values.',
      'JSON with a member twice is refused both ways, since two parsers may disagree about it.',
    ],
    'client/operations#%s that its schema refuses: ERR_POLICY_REQUEST_INVALID': [
      'operations names what a client may ask for, with schemas of zod or any other library for path, query, header fields, body and response.',
    ],
    'client/operations#of any library that speaks Standard Schema do; their messages, which print values, do not: ERR_POLICY_REQUEST_INVALID':
      [
        'operations names what a client may ask for, with schemas of zod or any other library for path, query, header fields, body and response.',
      ],
    'client/operations#%s is refused: ERR_POLICY_RESPONSE_INVALID': [
      'operations names what a client may ask for, with schemas of zod or any other library for path, query, header fields, body and response.',
      'JSON with a member twice is refused both ways, since two parsers may disagree about it.',
    ],
    'integration/operations#what is refused causes no lookup, no token and no connection, and what is not goes on as without operations':
      [
        'A request that does not fit is refused before a lookup, a token or a byte, and a response that does not fit before you see it; error.issues names the places, never the values.',
      ],
    'integration/operations#one that it does not take is never seen, and leaves its connection to others: ERR_POLICY_RESPONSE_INVALID':
      [
        'A request that does not fit is refused before a lookup, a token or a byte, and a response that does not fit before you see it; error.issues names the places, never the values.',
      ],
    'client/operations#is not changed by a schema that transforms': ['Schemas judge and change nothing.'],
    'client/operations#that its schema takes is handed over as it came': ['Schemas judge and change nothing.'],
    'client/operations#%s is none: ERR_POLICY_OPERATION_UNLISTED': [
      "A request that is none of the operations is refused, unless unlisted: 'allow' says otherwise.",
    ],
    'client/operations#one that no operation describes may pass where the option says so; what is ambiguous never: ERR_POLICY_OPERATION_UNLISTED':
      ["A request that is none of the operations is refused, unless unlisted: 'allow' says otherwise."],
    'fetch/header-injection#a value with %s goes nowhere: ERR_POLICY_HEADER_INVALID': [
      'A header field with a line break, NUL or any other control character but the tab in it is refused anyway, ERR_POLICY_HEADER_INVALID, and its value is not printed.',
    ],
    'fetch/header-injection#a value with %s is sent': [
      'A header field with a line break, NUL or any other control character but the tab in it is refused anyway, ERR_POLICY_HEADER_INVALID, and its value is not printed.',
    ],
  },
  Sign: {
    'integration/signing#a signature over all that the client says holds for what the server gets': [
      "pinfetch/signing signs requests (RFC 9421) with their bodies (RFC 9530), verifies responses before you see an octet of them, and is the server's half as well: a signed request, changed or sent twice, is refused.",
    ],
    'integration/signing#one changed byte of what was signed is refused by a server that verifies': [
      "pinfetch/signing signs requests (RFC 9421) with their bodies (RFC 9530), verifies responses before you see an octet of them, and is the server's half as well: a signed request, changed or sent twice, is refused.",
    ],
    'integration/verify#a body with one octet changed is never handed over: ERR_VERIFY_DIGEST_MISMATCH (VER-09)': [
      "pinfetch/signing signs requests (RFC 9421) with their bodies (RFC 9530), verifies responses before you see an octet of them, and is the server's half as well: a signed request, changed or sent twice, is refused.",
    ],
    'examples/signed-request.ts': [
      "pinfetch/signing signs requests (RFC 9421) with their bodies (RFC 9530), verifies responses before you see an octet of them, and is the server's half as well: a signed request, changed or sent twice, is refused.",
    ],
    'signing/verify-webhooks#every bit of the body and of the signature counts: ERR_VERIFY_FAILED': [
      'So are webhooks; Signature Version 4 and a key in a token are there too.',
    ],
    'signing/verify-webhooks#a message that comes twice is ERR_VERIFY_REPLAY, and once more it is so after the tolerance for its time':
      ['So are webhooks; Signature Version 4 and a key in a token are there too.'],
    'examples/signing-webhook.ts': ['So are webhooks; Signature Version 4 and a key in a token are there too.'],
    'examples/signing-sigv4.ts': ['So are webhooks; Signature Version 4 and a key in a token are there too.'],
    'examples/signing-pkcs11.ts': ['So are webhooks; Signature Version 4 and a key in a token are there too.'],
  },
  'A payment': {
    'readme#the payment of the README runs as printed, against a bank on loopback that verifies all of it': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#is taken once, signed both ways, under one interaction id and one Idempotency-Key': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#with a token that was stolen from another client is not taken': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#an assertion by another key gets no token': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#an answer by another key is not believed: ERR_VERIFY_FAILED': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/retry#after a cut response the server sees one Idempotency-Key twice': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#a payment that nobody approves is not sent: ERR_APPROVAL_DENIED': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'integration/payment#one beyond the limit is not sent: ERR_RATE_LIMITED': [
      'Mutual TLS with pins, a token bound to the certificate, a client that proves itself by key, signed requests and signed answers, one interaction id for each call and one Idempotency-Key for all its attempts, an approval, a limit:',
    ],
    'examples/payment.ts': [
      'examples/payment.ts runs the same against a bank on loopback, whose half is written with pinfetch/signing as well.',
    ],
  },
  'Mutual TLS': {
    'integration/client-certificate-reload#%s: a request in flight finishes on the old connection; the next shows the new certificate, in a full handshake':
      [
        'The files are followed: the next connection shows the new certificate, and nothing restarts (examples/mutual-tls-reload.ts).',
      ],
    'examples/mutual-tls-reload.ts': [
      'The files are followed: the next connection shows the new certificate, and nothing restarts (examples/mutual-tls-reload.ts).',
    ],
    'integration/pinning#the client certificate is used for a pinned server and never reaches a refused one': [
      'A refused server is never shown it.',
    ],
    'examples/acme.ts': [
      'examples/acme.ts orders it from an ACME server; a token that is bound to it is renewed with it.',
    ],
    'examples/auth-mtls.ts': [
      'examples/acme.ts orders it from an ACME server; a token that is bound to it is renewed with it.',
    ],
    'integration/certificate-bound-token#tokens are bound to the client certificate: the first request with a new one gets a token of its own first (BIND-11)':
      ['examples/acme.ts orders it from an ACME server; a token that is bound to it is renewed with it.'],
  },
  Test: {
    'testing/fake-client#keeps the contract of fetch: https, redirects and wrong URLs': [
      'fakeClient() of pinfetch/testing keeps the contract of client.fetch over msw or any injected fetch, for a service and its tests; real TLS takes a few lines more.',
    ],
    'testing/fake-client#refuses uncovered hosts and named ones, before the injected fetch is asked': [
      'fakeClient() of pinfetch/testing keeps the contract of client.fetch over msw or any injected fetch, for a service and its tests; real TLS takes a few lines more.',
    ],
    'examples/accounts.test.ts': [
      'fakeClient() of pinfetch/testing keeps the contract of client.fetch over msw or any injected fetch, for a service and its tests; real TLS takes a few lines more.',
    ],
    'examples/test-your-service.test.ts': [
      'fakeClient() of pinfetch/testing keeps the contract of client.fetch over msw or any injected fetch, for a service and its tests; real TLS takes a few lines more.',
    ],
    'testing/ca#issues and signs with %s keys': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/servers#presents every certificate it is given, in order, forged and expired ones included': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/servers#counts whole records of both directions and passes the bytes on': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/servers#a client that trusts its CA gets the real answer and gives its token away': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/servers#serves files with an ETag, answers 304 to it and 404 to what it does not have': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/fault-server#a function says what goes wrong, request by request': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/fault-server#a reset, a FIN and silence, one connection each, and then all is well': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/fault-server#garbage, other bytes, half of a record, a reset and silence: none is finished': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/fault-server#a throttled one takes its time': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'testing/runtime#runs due timers in order, each at its own instant, and leaves later ones waiting': [
      'The same entry has an in-process CA, TLS servers that present exactly what they are told, a relay that counts records, an interceptor, a manifest server, a server that fails by script (startFaultServer: it stalls, cuts, resets, throttles or talks garbage at any stage) and a clock that a test moves.',
    ],
    'faults/faults#%s': ['npm run faults prints what this client does then.'],
    'static/readme#every `npm run` of README is a script': ['npm run faults prints what this client does then.'],
  },
  'It watches itself': {
    'monitor/bypass#%s: a pinned host that is asked by %s is told, once': [
      "watchBypasses(client, tell) of pinfetch/monitor tells what in the process goes around the client to a pinned or contained host: the runtime's fetch, another undici, node:http and node:https.",
    ],
    'monitor/bypass#a contained host is told, though nobody can say its pins; after close nothing is': [
      "watchBypasses(client, tell) of pinfetch/monitor tells what in the process goes around the client to a pinned or contained host: the runtime's fetch, another undici, node:http and node:https.",
    ],
    'integration/monitor#a server that rotates its certificate is told of once in each respect, with both fingerprints':
      [
        'Pins say who may answer; that somebody began to read along, or that a certificate is not renewed, is seen by looking for a while.',
        'A client does so unless it is told not to (monitor: false), and refuses nobody for what it sees.',
        'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
      ],
    'integration/monitor#a server certificate that nobody renewed is told of when it is shown': [
      'Pins say who may answer; that somebody began to read along, or that a certificate is not renewed, is seen by looking for a while.',
      'expiry.near | 30, 14, 7, 1 and 0 days before something ends, where that is less than a quarter of its life: nobody is woken for what renews itself',
    ],
    'integration/monitor#monitor: false watches nothing and sets no timer; parts of it can be left out': [
      'A client does so unless it is told not to (monitor: false), and refuses nobody for what it sees.',
    ],
    'monitor/anomalies#another certificate of another CA is told once in each respect, with before and after': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#after %i of 90 days a renewal is %j': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#a life of %i days that becomes one of %i is %j': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#SCTs that were there and are not are told, by the extension and by what the logs say': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#a key that another host shows too is told, with the host that showed it first': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#a host that moves to another network after it stayed in one is told of once': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/anomalies#a place of one’s own takes the place of blocks': [
      'tls.anomaly | another certificate, issuer, anchor or key; renewed in the first half of its life; a life more than twice as long, or less than half; SCTs that are missing; the key of another host; an address in another network (or, with monitor.addressOf, another AS or country)',
    ],
    'monitor/baseline#after 200 handshakes of %i ms, %i ms are within ten milliseconds or a tenth, %i ms are told': [
      'tls.timing | connecting, TLS or the first byte takes over 10 ms and a tenth longer, or shorter, than in the 200 samples before',
    ],
    'monitor/baseline#the time until the first byte is watched too': [
      'tls.timing | connecting, TLS or the first byte takes over 10 ms and a tenth longer, or shorter, than in the 200 samples before',
    ],
    'monitor/baseline#each phase and each origin has a level of its own, and so have resumed handshakes; the verdict’s time does not count':
      [
        'tls.timing | connecting, TLS or the first byte takes over 10 ms and a tenth longer, or shorter, than in the 200 samples before',
      ],
    'integration/monitor#a relay that adds forty milliseconds after 200 connections is noticed once in each phase that it delays':
      [
        'tls.timing | connecting, TLS or the first byte takes over 10 ms and a tenth longer, or shorter, than in the 200 samples before',
      ],
    'monitor/baseline#four times as much as in the busiest minute is told once for each measure, in the minute in which it happens':
      [
        'traffic.anomaly | requests, failures or octets of a minute are more than four times those of the busiest minute of the last day; an hour is learned first.',
      ],
    'monitor/baseline#bodies that are many times as long, and failures, are told where the number of requests is usual':
      [
        'traffic.anomaly | requests, failures or octets of a minute are more than four times those of the busiest minute of the last day; an hour is learned first.',
      ],
    'monitor/baseline#the first hour says nothing, and neither does what is little': [
      'traffic.anomaly | requests, failures or octets of a minute are more than four times those of the busiest minute of the last day; an hour is learned first.',
    ],
    'monitor/baseline#what was the busiest minute is forgotten after a day': [
      'traffic.anomaly | requests, failures or octets of a minute are more than four times those of the busiest minute of the last day; an hour is learned first.',
    ],
    'monitor/baseline#a silence is told once it is five times the longest pause of the week': [
      'Or nobody asks any more (silence): five times the longest pause of a week, looked at once an hour; a day is learned first',
    ],
    'monitor/baseline#of an origin that is not known for a day, or was asked a few times, silence is not news': [
      'Or nobody asks any more (silence): five times the longest pause of a week, looked at once an hour; a day is learned first',
    ],
    'integration/monitor#an origin that falls silent is told when its hour comes, once': [
      'Or nobody asks any more (silence): five times the longest pause of a week, looked at once an hour; a day is learned first',
    ],
    'monitor/expiry#a life of %i days is told of %j days before its end': [
      'expiry.near | 30, 14, 7, 1 and 0 days before something ends, where that is less than a quarter of its life: nobody is woken for what renews itself',
    ],
  },
  'Tell your SIEM': {
    'integration/outlets#an interception is told of at once, reaches the SIEM and wakes somebody: one detection, one message':
      [
        'pinfetch/monitor carries what a client tells to where people look.',
        'A refused peer is one detection (OCSF 2004, with the handshake beside it as 4001); renewed and refused tokens are 3002.',
        'A webhook is signed as Standard Webhooks says, told once in ten minutes, and holds the code, what it means and what to do.',
      ],
    'integration/outlets#collectors that refuse, hang or are not there, and a file that takes nothing, change no answer':
      [
        'It goes out behind the requests, never in front of them: queues are bounded, what fails is tried again for five minutes, and outlet.failed says what was lost.',
      ],
    'monitor/outlets/delivery#where nobody takes them, the queue fills, the newest are dropped, and it is told once when it begins and once when it ends':
      [
        'It goes out behind the requests, never in front of them: queues are bounded, what fails is tried again for five minutes, and outlet.failed says what was lost.',
      ],
    'monitor/outlets/delivery#what fails for five minutes is lost, and the next is tried': [
      'It goes out behind the requests, never in front of them: queues are bounded, what fails is tried again for five minutes, and outlet.failed says what was lost.',
    ],
    'integration/outlets#a collector of OpenTelemetry gets the refused peer as a request of logs': [
      'otlp sends log records to a collector of OpenTelemetry, with the names of its conventions; leef is for QRadar.',
    ],
    'monitor/outlets/records#a log record says of a handshake what the conventions have names for, in their words': [
      'otlp sends log records to a collector of OpenTelemetry, with the names of its conventions; leef is for QRadar.',
    ],
    'monitor/outlets/records#has a LEEF line wherever it means something': [
      'otlp sends log records to a collector of OpenTelemetry, with the names of its conventions; leef is for QRadar.',
    ],
    'monitor/outlets/records#one pin mismatch is one detection, and one connection that was blocked': [
      'A refused peer is one detection (OCSF 2004, with the handshake beside it as 4001); renewed and refused tokens are 3002.',
    ],
    'monitor/outlets/records#a token that was renewed and one that was refused are authentications (3002)': [
      'A refused peer is one detection (OCSF 2004, with the handshake beside it as 4001); renewed and refused tokens are 3002.',
    ],
    'monitor/outlets/collectors#a message says what happened, what it means and what to do, and our receiving half takes it':
      [
        'A webhook is signed as Standard Webhooks says, told once in ten minutes, and holds the code, what it means and what to do.',
      ],
    'monitor/outlets/collectors#the same is told once in ten minutes, then with how often it was kept quiet; something else at once':
      [
        'A webhook is signed as Standard Webhooks says, told once in ten minutes, and holds the code, what it means and what to do.',
      ],
    'integration/outlets#no secret that is in play stands in any record of any outlet': [
      'Records have names, keys, times and codes; no header, token, body or path is part of any.',
    ],
    'integration/monitor#nothing secret is part of what is told: neither header nor query, body or user': [
      'Records have names, keys, times and codes; no header, token, body or path is part of any.',
    ],
  },
  'OpenTelemetry and diagnostics_channel': {
    'otel/requests#a request has one span, which the server is told of, and its connection is part of it': [
      "Spans: one for each client.fetch, with traceparent for the server, and its connections, token renewals and polls of the manifest; a refused peer's says why.",
      'Work is traced on tracing:pinfetch.request, pinfetch.connect, pinfetch.manifest.refresh and pinfetch.token.refresh.',
      'No message, span or metric holds a token, a header field, a body or a query; of a path they hold words and versions.',
    ],
    'otel/otel#of every span and its attributes': [
      "Spans: one for each client.fetch, with traceparent for the server, and its connections, token renewals and polls of the manifest; a refused peer's says why.",
    ],
    'otel/requests#a peer that is refused ends the span with ERR_TRUST_PIN_MISMATCH, and the connection says why': [
      "Spans: one for each client.fetch, with traceparent for the server, and its connections, token renewals and polls of the manifest; a refused peer's says why.",
    ],
    'otel/requests#beside the instrumentation of undici there is one span, and one duration': [
      "Where something listens to undici's channel of requests, as OpenTelemetry's own instrumentation does, the span of a request and http.client.request.duration are left to that, so that there are not two: spans and durations say otherwise.",
    ],
    'otel/requests#spans: false gives none, and true gives one whatever else does': [
      "Where something listens to undici's channel of requests, as OpenTelemetry's own instrumentation does, the span of a request and http.client.request.duration are left to that, so that there are not two: spans and durations say otherwise.",
    ],
    'otel/otel#of every metric and its attributes': [
      'Names are those of the semantic conventions, or begin with pinfetch.: pin.validations, manifest.refreshes, manifest.version, token.refreshes, retries, ratelimit.waits, tls.handshake.duration, validation.duration, and certificate.expiry, manifest.expiry, pin.expiry, revocation_list.expiry, log_list.expiry and legacy_host.expiry in seconds left.',
    ],
    'otel/otel#show what ends, the soonest of each kind': [
      'Names are those of the semantic conventions, or begin with pinfetch.: pin.validations, manifest.refreshes, manifest.version, token.refreshes, retries, ratelimit.waits, tls.handshake.duration, validation.duration, and certificate.expiry, manifest.expiry, pin.expiry, revocation_list.expiry, log_list.expiry and legacy_host.expiry in seconds left.',
    ],
    'otel/requests#open connections are active while they carry a request, and idle then: HTTP/%s': [
      'http.client.open_connections are those of fetch and dispatcher, active or idle.',
    ],
    'otel/otel#of 1,000 origins are those of 100 and one more': [
      'In metrics, servers beyond the first maxServers (100) are _other.',
    ],
    'otel/otel#name no server at all where maxServers is 0, and refuse what is no number of servers': [
      'In metrics, servers beyond the first maxServers (100) are _other.',
    ],
    'otel/otel#name our code as error.type, the status of an answer otherwise, and nothing that a server made up': [
      'error.type is our code, or the status of the answer.',
    ],
    'monitor/channels#a message is the event, for every client of the process': [
      'Every event of every client is published as well: the message is the event, as client.on gives it.',
    ],
    'monitor/channels#every channel stands in the README, and no other': [
      'Every event of every client is published as well: the message is the event, as client.on gives it.',
    ],
    'monitor/channels#a request is traced from its start to the head of its answer, and so is its connection': [
      'Work is traced on tracing:pinfetch.request, pinfetch.connect, pinfetch.manifest.refresh and pinfetch.token.refresh.',
      'No message, span or metric holds a token, a header field, a body or a query; of a path they hold words and versions.',
    ],
    'monitor/channels#a poll of the manifest is traced with its result, one that fails with its code': [
      'Work is traced on tracing:pinfetch.request, pinfetch.connect, pinfetch.manifest.refresh and pinfetch.token.refresh.',
    ],
    'monitor/channels#a renewal of a token is traced, and publishes no token': [
      'Work is traced on tracing:pinfetch.request, pinfetch.connect, pinfetch.manifest.refresh and pinfetch.token.refresh.',
    ],
    'integration/leak-canary#no secret comes out, whatever the API and the authorization server do': [
      'No message, span or metric holds a token, a header field, a body or a query; of a path they hold words and versions.',
    ],
  },
  'Watch for certificates that you did not order': {
    'monitor/issuance/sources#an issuance with an unknown key is told once, a known backup pin is silent (case 616)': [
      'A certificate for your name with a key that is not yours: a CA, a DNS or an account is in other hands, and the logs of Certificate Transparency tell.',
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/sources#is who is asked where no source is named': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/sources#one issuance that two of them know of is told once': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
      'Precertificate and certificate are one issuance, from however many sources.',
    ],
    'monitor/issuance/static-log#tells of a rogue certificate and of a rogue precertificate; known keys and others’ names are silent':
      [
        'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
      ],
    'monitor/issuance/static-log#a checkpoint of another key is ERR_MONITOR_LOG_SIGNATURE (case 614)': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/static-log#%s: %s is ERR_MONITOR_LOG_TILE (case 613)': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/rfc6962-log#a rogue certificate and a rogue precertificate; known keys and others’ names are silent':
      [
        'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
      ],
    'monitor/issuance/rfc6962-log#whose %s was changed is ERR_MONITOR_LOG_SIGNATURE': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/rfc6962-log#of which one was rewritten, %s, are ERR_MONITOR_LOG_TILE, and none is told': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'monitor/issuance/watch#tells of what is issued while it watches, and of each once': [
      'watchIssuances asks those who read them, Cert Spotter by default, crtSh() beside it, and compares keys with yours; staticLog and rfc6962Log read one log themselves, and believe only what its signature proves.',
    ],
    'cli/ct-watch#known pins, of the command line or of a manifest, are silent': [
      'pinfetch ct watch is the same as a command, with the pins of a manifest.',
    ],
    'cli/ct-watch#prints a line of JSON for each event, and ends when it is interrupted': [
      'pinfetch ct watch is the same as a command, with the pins of a manifest.',
    ],
    'monitor/issuance/sources#precertificate and certificate are one issuance': [
      'Precertificate and certificate are one issuance, from however many sources.',
    ],
    'monitor/issuance/names#%s: %j': [
      'Wildcards, names with a NUL and labels that cannot be read match whatever some client could take them for.',
    ],
    'cli/ct-watch#an issuance with an unknown key is exit code 1, and says which': [
      'pinfetch/testing has startIssuanceServer, createTestLog and startLogServer to try it on.',
    ],
    'cli/ct-watch#a log is read with its key alone': [
      'pinfetch/testing has startIssuanceServer, createTestLog and startLogServer to try it on.',
    ],
    'monitor/issuance/rfc6962-log#from the end on, and each once': [
      'pinfetch/testing has startIssuanceServer, createTestLog and startLogServer to try it on.',
    ],
  },
  'When it refuses': {
    'errors/errors#is carried by the class of its domain': [
      "Every refusal and every failure is a PinfetchError, which is a TypeError as WHATWG fetch promises, with code, retryable and requestSent ('no' | 'maybe' | 'yes').",
      'One class for each way to react: TrustError (the peer), TlsError, TransportError (the network), PolicyError (the request, or a response that does not fit it), ManifestError, StoreError, AuthError (tokens), KeyError (secrets), SignError, VerifyError (signatures), RateError, ApprovalError, MonitorError (what watches), ConfigurationError.',
    ],
    'integration/fetch#a connection cut before the response: ERR_TRANSPORT_CLOSED, and the request may have arrived': [
      "Every refusal and every failure is a PinfetchError, which is a TypeError as WHATWG fetch promises, with code, retryable and requestSent ('no' | 'maybe' | 'yes').",
    ],
    'transport/limits#%s: ERR_TRANSPORT_%s': [
      "Every refusal and every failure is a PinfetchError, which is a TypeError as WHATWG fetch promises, with code, retryable and requestSent ('no' | 'maybe' | 'yes').",
    ],
    'integration/fetch#rejects with the signal’s own reason: before the call, while waiting, and in the body': [
      'An abort rejects with the reason of its signal, and what is wrong with an argument is told by the runtime.',
    ],
    'integration/fetch#leaves wrong arguments to the runtime': [
      'An abort rejects with the reason of its signal, and what is wrong with an argument is told by the runtime.',
    ],
    'fetch/lean#a connection that breaks: terminated, with a cause that has a code': [
      "A body that breaks off after its headers rejects as with the runtime's fetch, TypeError: terminated, whose cause is the PinfetchError.",
    ],
    'errors/errors#every class belongs to one domain, and every domain has a code': [
      'One class for each way to react: TrustError (the peer), TlsError, TransportError (the network), PolicyError (the request, or a response that does not fit it), ManifestError, StoreError, AuthError (tokens), KeyError (secrets), SignError, VerifyError (signatures), RateError, ApprovalError, MonitorError (what watches), ConfigurationError.',
    ],
  },
  Evidence: {
    'monitor/evidence/interceptions#a key that is not pinned: ERR_TRUST_PIN_MISMATCH': [
      'A peer that is refused, reported or seen to be intercepted leaves one file: what was shown, what was expected, why, from where, and enough of the policy to judge again.',
      'None of it holds a request.',
    ],
    'monitor/evidence/interceptions#report mode leaves evidence of whom it let through': [
      'A peer that is refused, reported or seen to be intercepted leaves one file: what was shown, what was expected, why, from where, and enough of the policy to judge again.',
    ],
    'monitor/evidence/interceptions#a product for interception that is let through leaves evidence too': [
      'A peer that is refused, reported or seen to be intercepted leaves one file: what was shown, what was expected, why, from where, and enough of the policy to judge again.',
    ],
    'monitor/validation-log#writes one line for each handshake, the first says since when, and the chain holds': [
      'Every handshake leaves one line of a log, each with the SHA-256 of the one before.',
    ],
    'monitor/validation-log#each line that is edited is named': [
      'Every handshake leaves one line of a log, each with the SHA-256 of the one before.',
    ],
    'monitor/evidence/collect#every member that is changed, every one that is left out and every one that is added is found':
      [
        'Without a signature the digest shows accidents alone, and a chain without its head kept elsewhere does not show that its end is missing or that all of it was written anew.',
      ],
    'monitor/validation-log#each line that is removed is missed, but for the last': [
      'Without a signature the digest shows accidents alone, and a chain without its head kept elsewhere does not show that its end is missing or that all of it was written anew.',
    ],
    'monitor/validation-log#a log that was written anew from some line on does not have the head that was kept': [
      'Without a signature the digest shows accidents alone, and a chain without its head kept elsewhere does not show that its end is missing or that all of it was written anew.',
    ],
    'monitor/evidence/interceptions#a list that says revoked: of the list, the bundle has what it says about the certificate':
      ['Of a revocation list a bundle has what it said, not the list.'],
    'monitor/validation-log#what an event gains is not written before somebody names it': [
      'None of it holds a request.',
    ],
    'transport/handshake-record#nothing secret is part of it: no header, no body, no credential, no session, no key': [
      'None of it holds a request.',
    ],
  },
  Trust: {
    'integration/dangerous#refuses %s': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'integration/dangerous#refuses a look-alike that pinfetch/dangerous did not make: ERR_CONFIG_INVALID': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'integration/dangerous#is told at start with its reason': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'integration/dangerous#is told at start, and that its review is overdue': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'client/legacy#names a legacy host, with the days that are left, or that none is': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'client/revocation#the loosening is told at start': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'integration/ct#single hosts may be asked for something else': [
      'What lets a host do without pins, TLS 1.3, revocation or Certificate Transparency is an import of pinfetch/dangerous with a reason, so that a reviewer can find it, and is told at every start.',
    ],
    'client/legacy#ends requests, and the live connection too: ERR_POLICY_SUNSET, whatever the server speaks by then': [
      'A legacy host is refused from its sunset on, with ERR_POLICY_SUNSET; policy.sunset tells 30, 14, 7 and 1 days before.',
    ],
    'client/legacy#is told 30, 14, 7 and 1 days before and at the end, once each; on standard error in the last week': [
      'A legacy host is refused from its sunset on, with ERR_POLICY_SUNSET; policy.sunset tells 30, 14, 7 and 1 days before.',
    ],
    'client/legacy#gets 32 connections at once where another host gets as many as it asks for': [
      'Until then it gets 32 connections of at most a minute, full handshakes and HTTP/1.1.',
    ],
    'client/legacy#uses no connection for longer than a minute': [
      'Until then it gets 32 connections of at most a minute, full handshakes and HTTP/1.1.',
    ],
    'client/legacy#makes a full handshake each time, where a host of TLS 1.2 resumes': [
      'Until then it gets 32 connections of at most a minute, full handshakes and HTTP/1.1.',
    ],
    'client/legacy#is not offered HTTP/2, and where that is required is refused: ERR_TLS_ALPN': [
      'Until then it gets 32 connections of at most a minute, full handshakes and HTTP/1.1.',
    ],
    'keys/secret-source#gives its value': ['A secret comes from a variable, a file, or a function.'],
    'keys/secret-source#with %s at its end loses one at most (KEY-06)': [
      'A secret comes from a variable, a file, or a function.',
    ],
    'keys/secret-source#is asked when the secret is first needed, once for all who wait': [
      'A secret comes from a variable, a file, or a function.',
    ],
    'keys/secret-source#that is %s is ERR_KEY_SOURCE_INVALID (KEY-06)': [
      'A file that everybody on the machine can read is refused, one that its group can read is told: in Kubernetes mount it with mode 0400, and not 0644, the default.',
    ],
    'keys/secret-source#that its group can read is used, and told (KEY-06)': [
      'A file that everybody on the machine can read is refused, one that its group can read is told: in Kubernetes mount it with mode 0400, and not 0644, the default.',
    ],
    'keys/secret-source#that its owner alone can read, by mode %i, is used, and nothing is told': [
      'A file that everybody on the machine can read is refused, one that its group can read is told: in Kubernetes mount it with mode 0400, and not 0644, the default.',
    ],
    'keys/secret-source#is accepted from a %s where the application says why, and told at the start': [
      'One of less than 16 bytes needs allowShortSecret.',
    ],
    'keys/secret-source#is ERR_KEY_SOURCE_INVALID without, and with a reason below 8 bytes, or a placeholder': [
      'One of less than 16 bytes needs allowShortSecret.',
    ],
    'transport/groups#a server that has $groups alone is told as $group, after $hellos ClientHello': [
      "tls.connected names version, suite and group of a connection; tls.interception names an interception product of the manifest's list, which interception: 'refuse' turns away though it be pinned.",
    ],
    'client/interception#the list beats a pin: a box whose key is pinned is refused all the same, ERR_TRUST_INTERCEPTION':
      [
        "tls.connected names version, suite and group of a connection; tls.interception names an interception product of the manifest's list, which interception: 'refuse' turns away though it be pinned.",
      ],
    'client/interception#or refused, where the option says so: ERR_TRUST_INTERCEPTION, nothing sent': [
      "tls.connected names version, suite and group of a connection; tls.interception names an interception product of the manifest's list, which interception: 'refuse' turns away though it be pinned.",
    ],
  },
  Revocation: {
    'integration/revocation#the control: Node accepts a certificate that its staple and the list of its CA call revoked, and asks for neither':
      ['Node reads no stapled OCSP response and no CRL.'],
    'integration/revocation#%s is refused, and nothing is sent': [
      "pinfetch does, by default: what the server staples is verified inside the handshake, and the CA's CRL is fetched beside the requests, so that the next verdict knows it; live connections are judged again when it arrives.",
      'A certificate that any of them calls revoked is refused, ERR_TRUST_CERT_REVOKED.',
      'A certificate with must-staple is refused without its staple, in soft-fail too.',
    ],
    'integration/revocation#is fetched beside the first request, and cuts the connection when it lists the certificate: ERR_TRUST_CERT_REVOKED':
      [
        "pinfetch does, by default: what the server staples is verified inside the handshake, and the CA's CRL is fetched beside the requests, so that the next verdict knows it; live connections are judged again when it arrives.",
        'A certificate that any of them calls revoked is refused, ERR_TRUST_CERT_REVOKED.',
        'The default is soft-fail: where nothing is known, the peer passes, and revocation.checked says why.',
        "Nothing waits for the network unless fetch: 'blocking' says so.",
      ],
    'client/revocation#a word is a mode, and what is left out stays as it is': [
      'The default is soft-fail: where nothing is known, the peer passes, and revocation.checked says why.',
    ],
    'integration/revocation#%s passes': [
      'The default is soft-fail: where nothing is known, the peer passes, and revocation.checked says why.',
    ],
    'integration/revocation#is waited for where the policy says so': [
      "Nothing waits for the network unless fetch: 'blocking' says so.",
    ],
    'integration/responders#has no staple for its first client, and one soon after (case 391)': [
      'nginx that asks the responder itself has no staple for its first client, and never one that says revoked.',
    ],
    'integration/responders#keeps a revocation to itself: nothing but a demand for a staple refuses it, with ERR_TRUST_STAPLE_MISSING':
      ['nginx that asks the responder itself has no staple for its first client, and never one that says revoked.'],
    'integration/responders#answers for %s: good passes, revoked is ERR_TRUST_CERT_REVOKED, unknown ERR_TRUST_OCSP_UNKNOWN':
      ["sources adds 'ocsp', which tells the responder what you connect to."],
    'integration/ct#nothing, where nobody gave a list': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'integration/ct#that suffice are accepted, and told': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'integration/ct#may come with the stapled OCSP response (case 611)': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'integration/ct#that enforces refuses, that reports tells, and whose policy is off asks for nothing': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'trust/transparency/check#with SCTs of two logs of one operator is ERR_TRUST_CT_NOT_ENOUGH_OPERATORS': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'trust/transparency/check#of %d ms with SCTs of %d logs is %s: ERR_TRUST_CT_NOT_ENOUGH_SCTS': [
      'Certificate Transparency is judged where there is a log list, of the manifest (ct) or in code: SCTs in the certificate or in its staple, of two logs of two operators, and of three logs where it lives longer than 180 days.',
    ],
    'integration/ct#a private CA is asked for nothing, unless SCTs are required: ERR_TRUST_CT_NOT_ENOUGH_SCTS': [
      "Of private CAs nothing is asked, unless requireSct of a host entry, or 'require', says so; then nobody is accepted without a list of the last 70 days, where 'enforce' lets pass and tells.",
    ],
    'integration/ct#that requires SCTs of a host asks a private CA for them, too: ERR_TRUST_CT_NOT_ENOUGH_SCTS': [
      "Of private CAs nothing is asked, unless requireSct of a host entry, or 'require', says so; then nobody is accepted without a list of the last 70 days, where 'enforce' lets pass and tells.",
    ],
    'integration/ct#refuses where SCTs are required: ERR_TRUST_CT_LOG_LIST_STALE': [
      "Of private CAs nothing is asked, unless requireSct of a host entry, or 'require', says so; then nobody is accepted without a list of the last 70 days, where 'enforce' lets pass and tells.",
    ],
    'integration/ct#that requires SCTs and has no list refuses the host: ERR_TRUST_CT_LOG_LIST_STALE': [
      "Of private CAs nothing is asked, unless requireSct of a host entry, or 'require', says so; then nobody is accepted without a list of the last 70 days, where 'enforce' lets pass and tells.",
    ],
    'integration/ct#enforces nothing, and an event says so': [
      "Of private CAs nothing is asked, unless requireSct of a host entry, or 'require', says so; then nobody is accepted without a list of the last 70 days, where 'enforce' lets pass and tells.",
    ],
  },
  'Time, limits and connections': {
    'transport/deadline#F11: no response headers: ERR_TRANSPORT_TIMEOUT, whose message names the option': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'transport/deadline#F14: a body that pauses: ERR_TRANSPORT_TIMEOUT': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'transport/deadline#F28: a drip that keeps every other time: ERR_TRANSPORT_TIMEOUT': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'client/legacy#waits longer for the handshake': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'transport/limits#F21: longer header fields: ERR_TRANSPORT_HEADERS_TOO_LARGE': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'transport/limits#a body that is announced longer is refused at its headers: ERR_TRANSPORT_BODY_TOO_LARGE': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'transport/limits#a body without a length that goes on: ERR_TRANSPORT_BODY_TOO_LARGE': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'fetch/limits#a body that %s blew up beyond 100 times: ERR_TRANSPORT_BODY_TOO_LARGE': [
      'Every stage of a call has its time, and a server cannot make the process hold or unpack more than it should; each error names the option that it ran into.',
    ],
    'integration/fetch#keeps connections alive for sequential requests': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/dispatcher#a live connection to a removed key is closed and gets no further request: ERR_TRUST_PIN_MISMATCH':
      [
        'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
      ],
    'transport/dispatcher#a pin that ends by the clock closes its connections without any event from outside': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/session-resumption#a new connection resumes, says so, and its own session is resumed in turn': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/session-resumption#a list arrived that revokes the certificate: ERR_TRUST_CERT_REVOKED': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/session-resumption#a certificate that ended meanwhile: ERR_TRUST_CERT_EXPIRED': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/session-resumption#a change that accepts the server too costs one full handshake': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/dispatcher-pool#an older connection gets no further request; a younger one does': [
      'Connections are kept and TLS sessions resumed as long as the verdict behind them holds: both are judged again when policy, pins, evidence or clock change it, and a connection older than ten minutes gets no further request.',
    ],
    'transport/dispatcher-pool#F30: %s goes out once more, over a new one': [
      'A request whose kept connection turned out to be closed is sent again, once, if its method is idempotent or it has an Idempotency-Key, and its body is no stream; others never.',
    ],
    'transport/dispatcher-pool#a POST does not: ERR_TRANSPORT_CLOSED, and nobody knows whether it arrived': [
      'A request whose kept connection turned out to be closed is sent again, once, if its method is idempotent or it has an Idempotency-Key, and its body is no stream; others never.',
    ],
    'transport/dispatcher-pool#a POST with an Idempotency-Key does, its body included': [
      'A request whose kept connection turned out to be closed is sent again, once, if its method is idempotent or it has an Idempotency-Key, and its body is no stream; others never.',
    ],
    'transport/dispatcher-pool#a PUT whose body is a stream does not: ERR_TRANSPORT_CLOSED': [
      'A request whose kept connection turned out to be closed is sent again, once, if its method is idempotent or it has an Idempotency-Key, and its body is no stream; others never.',
    ],
    'transport/dispatcher-pool#once and no more: ERR_TRANSPORT_CLOSED': [
      'A request whose kept connection turned out to be closed is sent again, once, if its method is idempotent or it has an Idempotency-Key, and its body is no stream; others never.',
    ],
    'transport/dispatcher-pool#close() lets what was begun finish: 0 failures': [
      'close() lets what was begun finish, for half a minute at most; destroy() ends it at once.',
    ],
    'transport/dispatcher-pool#close() ends what goes on after half a minute: ERR_TRANSPORT_CLIENT_CLOSED': [
      'close() lets what was begun finish, for half a minute at most; destroy() ends it at once.',
    ],
    'transport/dispatcher-pool#destroy() cuts everything at once: ERR_TRANSPORT_CLIENT_CLOSED with the reason': [
      'close() lets what was begun finish, for half a minute at most; destroy() ends it at once.',
    ],
    'client/close#destroy() ends a response that goes on: ERR_TRANSPORT_CLIENT_CLOSED with the reason as cause': [
      'close() lets what was begun finish, for half a minute at most; destroy() ends it at once.',
    ],
  },
  'Through a proxy': {
    'client/proxy#%s is %s': [
      "proxy: 'http://proxy.corp.example:3128' is enough where there is nothing more to say, and proxy: 'environment' follows https_proxy, all_proxy and no_proxy; without it no variable counts.",
    ],
    'client/proxy#%j is %s': [
      "proxy: 'http://proxy.corp.example:3128' is enough where there is nothing more to say, and proxy: 'environment' follows https_proxy, all_proxy and no_proxy; without it no variable counts.",
    ],
    'client/proxy#is read where the option says so, and nowhere else': [
      "proxy: 'http://proxy.corp.example:3128' is enough where there is nothing more to say, and proxy: 'environment' follows https_proxy, all_proxy and no_proxy; without it no variable counts.",
    ],
    'client/proxy#no_proxy is read along, commas and spaces apart, and what it cannot mean is skipped': [
      "proxy: 'http://proxy.corp.example:3128' is enough where there is nothing more to say, and proxy: 'environment' follows https_proxy, all_proxy and no_proxy; without it no variable counts.",
    ],
    'integration/proxy#the variables, and Node’s own use of them, have no effect without the option': [
      "proxy: 'http://proxy.corp.example:3128' is enough where there is nothing more to say, and proxy: 'environment' follows https_proxy, all_proxy and no_proxy; without it no variable counts.",
    ],
    'integration/proxy#the manifest itself comes through the proxy': [
      'Requests, the manifest and revocation lists go through the proxy.',
    ],
    'transport/evidence-fetch#comes through a proxy that the application names': [
      'Requests, the manifest and revocation lists go through the proxy.',
    ],
    'transport/proxy#a proxy that puts itself in the place of the server reads nothing: ERR_TRUST_UNKNOWN_ISSUER': [
      'It is asked for a tunnel, inside of which TLS to the server is judged as without it: one that intercepts is refused, unless you pin its key.',
    ],
    'transport/proxy#a key that is not pinned is refused before a byte, over TLS %s: ERR_TRUST_PIN_MISMATCH': [
      'It is asked for a tunnel, inside of which TLS to the server is judged as without it: one that intercepts is refused, unless you pin its key.',
    ],
    'integration/bypass#the proxy’s key is accepted where it was added to the pins on purpose, and on no other host': [
      'It is asked for a tunnel, inside of which TLS to the server is judged as without it: one that intercepts is refused, unless you pin its key.',
    ],
    'integration/proxy#host and port, and nothing that the caller sends': ['Of requests it hears host and port alone.'],
    'integration/proxy#%s: %s is refused, and the option is named: ERR_CONFIG_INVALID': [
      'fetch(url, { dispatcher }) and { agent } are refused: they would go around every check.',
    ],
  },
  'Where requests may go': {
    'fetch/redirect-origins#not to a host without pins, listed or not: ERR_TRUST_HOST_NOT_COVERED, nobody connects': [
      'A redirect that is followed is judged as a request of its own.',
    ],
    'fetch/redirect-origins#not to a host with other pins: ERR_TRUST_PIN_MISMATCH, no byte of the request': [
      'A redirect that is followed is judged as a request of its own.',
    ],
    'fetch/redirect-origins#not past the rule of `egress` for %s: %s': [
      'A redirect that is followed is judged as a request of its own.',
    ],
    'fetch/redirect-origins#not to an address that is denied: ERR_POLICY_ADDRESS_DENIED, no packet': [
      'A redirect that is followed is judged as a request of its own.',
    ],
    'fetch/redirect-origins#takes no credential along, on the %s road': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'fetch/redirect-origins#takes no body along, on the %s road: ERR_POLICY_REDIRECT_BODY': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'fetch/redirect-origins#stays so when a later hop comes back, on the %s road': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'fetch/redirect-origins#to http, on the %s road: ERR_POLICY_PLAINTEXT, nobody connects': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'client/credentials#%s is one': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'client/credentials#is what a scheme says, in any case': [
      'To another origin it takes no body along and no header that carries a credential, known by list, by name or from your auth schemes, and none of them comes back with a later hop; http is never followed.',
    ],
    'integration/addresses#is not connected to, as %s: ERR_POLICY_ADDRESS_DENIED, no packet': [
      'Addresses are judged before a connection is made, by allow, deny and private, in IPv6 clothes too; link-local ones and the metadata services of clouds are refused by default.',
    ],
    'integration/addresses#%s: ERR_POLICY_ADDRESS_DENIED, no packet': [
      'Addresses are judged before a connection is made, by allow, deny and private, in IPv6 clothes too; link-local ones and the metadata services of clouds are refused by default.',
    ],
    'transport/address-policy#%j is not connected to': [
      'Addresses are judged before a connection is made, by allow, deny and private, in IPv6 clothes too; link-local ones and the metadata services of clouds are refused by default.',
    ],
    'transport/address-policy#with an allow list, nothing else is connected to': [
      'Addresses are judged before a connection is made, by allow, deny and private, in IPv6 clothes too; link-local ones and the metadata services of clouds are refused by default.',
    ],
    'transport/address-policy#deny wins over allow': [
      'Addresses are judged before a connection is made, by allow, deny and private, in IPv6 clothes too; link-local ones and the metadata services of clouds are refused by default.',
    ],
    'integration/proxy#names are left to an HTTP proxy where no address is judged, and resolved here where one is': [
      'Behind a proxy that holds as well: where addresses, resolver or the manifest judge addresses, it is asked for a permitted one; otherwise it resolves the name.',
    ],
    'integration/proxy#a denied one is not asked for: ERR_POLICY_ADDRESS_DENIED, the proxy hears nothing': [
      'Behind a proxy that holds as well: where addresses, resolver or the manifest judge addresses, it is asked for a permitted one; otherwise it resolves the name.',
    ],
    'integration/proxy#a tunnel to a name gets no further request once addresses are judged: the next is to an address':
      [
        'Behind a proxy that holds as well: where addresses, resolver or the manifest judge addresses, it is asked for a permitted one; otherwise it resolves the name.',
      ],
    'transport/dot#is asked for in both address families, over one pinned connection that speaks dot': [
      'dotResolver({ host, pins }) (DNS over TLS), compareResolvers, staticResolver, unixSockets and localAddress are there too.',
    ],
    'transport/resolvers#other ones raise dns.mismatch, once for each change, and the first answer counts': [
      'dotResolver({ host, pins }) (DNS over TLS), compareResolvers, staticResolver, unixSockets and localAddress are there too.',
    ],
    'transport/resolvers#answers for its names, however they are written': [
      'dotResolver({ host, pins }) (DNS over TLS), compareResolvers, staticResolver, unixSockets and localAddress are there too.',
    ],
    'integration/addresses#localAddress is the address that the server sees': [
      'dotResolver({ host, pins }) (DNS over TLS), compareResolvers, staticResolver, unixSockets and localAddress are there too.',
    ],
    'integration/addresses#a Unix socket stands for a host: TLS over it, the name of the URL, no name resolved': [
      'dotResolver({ host, pins }) (DNS over TLS), compareResolvers, staticResolver, unixSockets and localAddress are there too.',
    ],
  },
  'Everyone else’s client': {
    'integration/seams#another key: ERR_TRUST_PIN_MISMATCH, nothing but a ClientHello is sent, the client certificate unseen':
      ['What your other clients send goes through the same verdict.'],
    'integration/seams#client.tlsOptions: tls.connect of others refuses another key, before it writes anything: ERR_TRUST_PIN_MISMATCH':
      ['What your other clients send goes through the same verdict.'],
    'integration/seams#a host without pins: ERR_TRUST_HOST_NOT_COVERED, no connection': [
      'What your other clients send goes through the same verdict.',
    ],
    'integration/seams#the control: the pinned server answers': [
      'client.dispatcher is for undici and whatever takes a dispatcher, client.agent for node:https and what is built on it, client.connect() answers a verified TLSSocket, and client.tlsOptions() is for clients that call tls.connect themselves.',
    ],
    'integration/seams#client.tlsOptions, the control: the pinned server gets what is written': [
      'client.dispatcher is for undici and whatever takes a dispatcher, client.agent for node:https and what is built on it, client.connect() answers a verified TLSSocket, and client.tlsOptions() is for clients that call tls.connect themselves.',
    ],
    'clients/clients#README has the table of this run': [
      'client.dispatcher is for undici and whatever takes a dispatcher, client.agent for node:https and what is built on it, client.connect() answers a verified TLSSocket, and client.tlsOptions() is for clients that call tls.connect themselves.',
      'Each of these packages is run by the tests.',
    ],
    'integration/seams#what goes over client.%s has no token and no signature, counts for no rate, and is not tried again':
      ['Tokens, signatures, rates and retries are of client.fetch alone.'],
    'integration/seams#what was made with client.tlsOptions outlives a change of the pins; the next one is judged by it: ERR_TRUST_PIN_MISMATCH':
      [
        'A connection that is lent is judged again when the policy changes; one that a client makes with tlsOptions is judged when it is made, at the end of its handshake, and not again.',
      ],
    'transport/lent-sockets#is judged again, and goes on where the peer is still trusted': [
      'A connection that is lent is judged again when the policy changes; one that a client makes with tlsOptions is judged when it is made, at the end of its handshake, and not again.',
    ],
    'clients/clients#a request': ['Each of these packages is run by the tests.'],
    'clients/clients#a server with another key gets no request: ERR_TRUST_PIN_MISMATCH': [
      'A server with another key than the pinned one got no request of any.',
    ],
  },
  'From a checkServerIdentity recipe': {
    'readme-migration#the hash of `cert.pubkey` of a recipe is a pin for %s: %s': [
      'A recipe compares a hash in checkServerIdentity of an agent.',
      'Where it is the SHA-256 of the whole SubjectPublicKeyInfo, it is a pin as it stands; of cert.pubkey that holds for RSA keys and not for elliptic curves, of which Node gives the bare point, and of fingerprint256 never.',
    ],
    'readme-migration#%s: the sample gets its answer, and a stranger none: ERR_TRUST_PIN_MISMATCH': [
      'Where it is the SHA-256 of the whole SubjectPublicKeyInfo, it is a pin as it stands; of cert.pubkey that holds for RSA keys and not for elliptic curves, of which Node gives the bare point, and of fingerprint256 never.',
    ],
    'cli/pin#%s has the pin of its key': ['npx pinfetch pin cert.pem prints the pin.'],
    'integration/pinning#a certificate for another name is refused under the right pin: ERR_TRUST_NAME_MISMATCH': [
      'What changes: the name is checked as well, which this recipe forgot; a refused server is shown no client certificate, which the recipe shows it under TLS 1.2; and a resumed session, for which Node does not ask the recipe, counts only while the verdict behind it holds.',
    ],
    'readme-migration#a recipe does not look at the name of a server, unless it says so itself': [
      'What changes: the name is checked as well, which this recipe forgot; a refused server is shown no client certificate, which the recipe shows it under TLS 1.2; and a resumed session, for which Node does not ask the recipe, counts only while the verdict behind it holds.',
    ],
    'integration/pinning#the client certificate is used for a pinned server and never reaches a refused one': [
      'What changes: the name is checked as well, which this recipe forgot; a refused server is shown no client certificate, which the recipe shows it under TLS 1.2; and a resumed session, for which Node does not ask the recipe, counts only while the verdict behind it holds.',
    ],
    'readme-migration#under TLS 1.2 a recipe looks after the client certificate was shown, and never at all when a session is resumed':
      [
        'What changes: the name is checked as well, which this recipe forgot; a refused server is shown no client certificate, which the recipe shows it under TLS 1.2; and a resumed session, for which Node does not ask the recipe, counts only while the verdict behind it holds.',
      ],
    'transport/session-resumption#a list arrived that revokes the certificate: ERR_TRUST_CERT_REVOKED': [
      'What changes: the name is checked as well, which this recipe forgot; a refused server is shown no client certificate, which the recipe shows it under TLS 1.2; and a resumed session, for which Node does not ask the recipe, counts only while the verdict behind it holds.',
    ],
  },
  'From static pins': {
    'readme-migration#From static pins: they serve while no manifest could be had, and no longer once one was accepted':
      ['Keep them: beside a manifest they are what serves until the first one was accepted, and then no longer.'],
  },
  'From a list like HPKP’s': {
    'readme-migration#%s: the sample gets its answer, and a stranger none: ERR_TRUST_PIN_MISMATCH': [
      'A Public-Key-Pins header (RFC 7469) has the same hashes.',
    ],
    'integration/pinning#report mode lets a mismatch through with an event, and nothing else': [
      "Public-Key-Pins-Report-Only is mode: 'report', report-uri is violationReports of pinfetch/monitor.",
    ],
    'monitor/outlets/collectors#a violated pin is reported with the members of RFC 7469 §3': [
      "Public-Key-Pins-Report-Only is mode: 'report', report-uri is violationReports of pinfetch/monitor.",
    ],
    'client/policies#pins in code that were seen to be over stay so when the clock is set back: ERR_TRUST_PINSET_EXPIRED':
      ['Past notAfter the host is refused.'],
  },
  'What it runs on, and what it withstands': {
    'cli/lab#pinfetch withstands what fetch falls for: exit 0, a row an attack and a column a client': [
      'npx pinfetch lab attacks clients on your machine, yours too (--client ./my-client.mjs), and counts who withstood; SECURITY.md has every attack.',
    ],
    'cli/lab#a client that withstands passes: exit 0': [
      'npx pinfetch lab attacks clients on your machine, yours too (--client ./my-client.mjs), and counts who withstood; SECURITY.md has every attack.',
    ],
    'static/tables#SECURITY.md has a row for each attack of the lab, and none that pinfetch loses': [
      'npx pinfetch lab attacks clients on your machine, yours too (--client ./my-client.mjs), and counts who withstood; SECURITY.md has every attack.',
    ],
  },
  Examples: {
    'examples/examples.test.ts': [
      'Those of one idea run as they stand, against servers of their own: npx tsx examples/quickstart.ts.',
    ],
    'examples/auth.test.ts': [
      'Those of one idea run as they stand, against servers of their own: npx tsx examples/quickstart.ts.',
    ],
    'examples/signing.test.ts': [
      'Those of one idea run as they stand, against servers of their own: npx tsx examples/quickstart.ts.',
    ],
  },
  'How it decides': {
    'platform/peer-events#getPeerCertificate(true), then getPeerX509Certificate() once, hold every presented certificate in order':
      ['Node shows JavaScript the chain that was presented, and links it by name, not by signature.'],
    'platform/peer-events#neither view follows signatures: the forged root and the expired intermediate are linked in':
      ['Node shows JavaScript the chain that was presented, and links it by name, not by signature.'],
    'integration/pinning#%s: ERR_TRUST_PIN_MISMATCH, while walking the issuers finds the pin': [
      'pinfetch searches and verifies the path itself (RFC 5280 §6), matches the name (RFC 9525: subject alternative names only), and compares pins with that path alone.',
    ],
    'integration/pinning#%s: ERR_TRUST_PIN_MISMATCH, while walking the issuers finds it': [
      'pinfetch searches and verifies the path itself (RFC 5280 §6), matches the name (RFC 9525: subject alternative names only), and compares pins with that path alone.',
    ],
    'conformance/path#x509-limbo, security cases, default profile: all 144': [
      'pinfetch searches and verifies the path itself (RFC 5280 §6), matches the name (RFC 9525: subject alternative names only), and compares pins with that path alone.',
    ],
    'trust/identity#never reads the Common Name': [
      'pinfetch searches and verifies the path itself (RFC 5280 §6), matches the name (RFC 9525: subject alternative names only), and compares pins with that path alone.',
    ],
    'platform/peer-events#destroying the socket in it leaves the ClientHello as the only record of the client': [
      "It does so inside the handshake, in the OCSPResponse event, which comes after the server's certificates and before the client's next flight: a refused server has seen a ClientHello, no request and no client certificate.",
      'A refused server is told nothing but a closed connection.',
    ],
    'integration/pinning#the client certificate is used for a pinned server and never reaches a refused one': [
      "It does so inside the handshake, in the OCSPResponse event, which comes after the server's certificates and before the client's next flight: a refused server has seen a ClientHello, no request and no client certificate.",
    ],
    'transport/tls-policy#a runtime in which the event of the verdict never fires gets nothing: ERR_TRUST_NODE_REFUSED':
      [
        "It does so inside the handshake, in the OCSPResponse event, which comes after the server's certificates and before the client's next flight: a refused server has seen a ClientHello, no request and no client certificate.",
      ],
    'integration/bypass#every connection of a client, the manifest’s included, is made with the same strict options': [
      "Node's own verification stays on beside it; a connection needs both.",
    ],
    'integration/path#the intermediate’s twin that comes first %s (%s)': [
      "Node's own verification stays on beside it; a connection needs both.",
    ],
    'transport/dispatcher#a handshake that finished without our verdict: ERR_TLS_NO_VERDICT': [
      "Node's own verification stays on beside it; a connection needs both.",
    ],
    'x509/certificate#refuses %s': [
      'The certificate reader on that path is ours, strict and synchronous: the event leaves no room for an await.',
    ],
    'x509/der#on any bytes: a value or a DerError, nothing else': [
      'The certificate reader on that path is ours, strict and synchronous: the event leaves no room for an await.',
    ],
    'x509/second-reader#in certificates with a %s key': [
      'The certificate reader on that path is ours, strict and synchronous: the event leaves no room for an await.',
    ],
    'platform/peer-events#under TLS 1.3 one await before the verdict shows the client certificate': [
      'The certificate reader on that path is ours, strict and synchronous: the event leaves no room for an await.',
    ],
    'integration/pinning#a key that is not pinned is refused, and the error shows the verified path as pins to paste': [
      'A refused server is told nothing but a closed connection.',
    ],
    'trust/revocation/crl#of %i octets reads as in one': [
      'OCSP responses and CRLs are read by it too, a list in the pieces it arrives in.',
    ],
    'conformance/revocation#$title: all $cases, but for the ledger': [
      'OCSP responses and CRLs are read by it too, a list in the pieces it arrives in.',
    ],
    'conformance/path#x509-limbo, security and form cases, default profile: each difference is in the ledger': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
    ],
    'conformance/path#BetterTLS path building: all 81': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
    ],
    'conformance/path#NIST PKITS without revocation lists, rfc5280 profile: 176 of 178': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
    ],
    'conformance/names#no name is accepted that the tables refuse': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
    ],
    'conformance/names#each name that only we refuse is in the ledger': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
    ],
    'static/readme#every `npm run` of README is a script': [
      'Paths and host names are judged as x509-limbo, BetterTLS, NIST PKITS and the tables of Chromium and Go ask, but for what is written down as a difference; npm run conformance:report gives the scores, npm run bench measures.',
      'SECURITY.md says what is promised and what is not, test/static/readme.test.ts which tests carry which part of this page; npm run docs builds the reference; CONTRIBUTING.md how to work here.',
    ],
    'static/links#every link of %s leads to a file, and to a heading of it': [
      'SECURITY.md says what is promised and what is not, test/static/readme.test.ts which tests carry which part of this page; npm run docs builds the reference; CONTRIBUTING.md how to work here.',
      'MIT licence.',
    ],
    'static/links#SECURITY.md says of every guarantee what it rests on, and which test shows it': [
      'SECURITY.md says what is promised and what is not, test/static/readme.test.ts which tests carry which part of this page; npm run docs builds the reference; CONTRIBUTING.md how to work here.',
    ],
    'static/readme#every claim names a test that is there, by its title': [
      'SECURITY.md says what is promised and what is not, test/static/readme.test.ts which tests carry which part of this page; npm run docs builds the reference; CONTRIBUTING.md how to work here.',
    ],
    'static/readme#README names every command, and the reference has every option of each with what it does': [
      'SECURITY.md says what is promised and what is not, test/static/readme.test.ts which tests carry which part of this page; npm run docs builds the reference; CONTRIBUTING.md how to work here.',
    ],
  },
}

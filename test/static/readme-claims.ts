/** Headings below which sentences are still without claims. */
export const NOT_YET: readonly string[] = [
  'Add tokens',
  'What may be asked, and what may be answered',
  'Sign',
  'A payment',
  'Mutual TLS',
  'Test',
  'Monitor',
  'It watches itself',
  'Tell your SIEM',
  'OpenTelemetry and diagnostics_channel',
  'Watch for certificates that you did not order',
  'When it refuses',
  'Evidence',
  'Where the defaults do not fit',
  'Trust',
  'Revocation',
  'Time, limits and connections',
  'Through a proxy',
  'Where requests may go',
  'Everyone else’s client',
  'Move here',
  'From a checkServerIdentity recipe',
  'From static pins',
  'From a list like HPKP’s',
  'What it runs on, and what it withstands',
  'Examples',
  'How it decides',
]

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
}

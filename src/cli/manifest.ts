import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { isLintId, LINT_RULES, type LintId } from '../publisher/lint-rules.ts'
import type { DocumentType } from '../publisher/sign.ts'
import type { Allowance } from '../publisher/simulate.ts'
import type { HostOptions } from './manifest-hosts.ts'
import type { PinOptions } from './manifest-pins.ts'
import type { PublishOptions } from './manifest-publish.ts'
import { UsageError } from './outcome.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import type { Run } from './program.ts'
import type { SignOptions } from './sign-next.ts'

/** Directories of a repository. What may be published and what never may be lie apart, so that copying one is safe. */
export interface Places {
  /** Signed documents, the working list, and the root for applications: all of it may be published. */
  readonly directory: string
  readonly keys: string
}

export interface PlaceOptions {
  readonly dir: string
  readonly keys?: string
}

/** The verbs are loaded when they are called: with the libraries behind them they would triple the start of every command. */
export function addManifest(program: Command, run: Run): Command {
  const manifest = program
    .command('manifest')
    .summary('make, sign, publish and verify a repository of pins')
    .addHelpText('before', MANIFEST_EXAMPLE)
  addInit(manifest, run)
  addHostVerbs(manifest, run)
  addSigningVerbs(manifest, run)
  addLookingVerbs(manifest, run)
  return manifest
}

/** `pinfetch init` and `pinfetch manifest init`: one command, two spellings. */
export function addInit(parent: Command, run: Run): void {
  parent
    .command('init')
    .summary('a new repository: root, spare root, manifest and status keys, and the first root document')
    .argument('[dir]', 'where the documents go; all of it may be published (default: ./pins)')
    .option('--dir <dir>', 'the same')
    .option(
      '--repo <name>',
      'whose pins these are, such as acme/pins (default: the name in package.json, or the folder)',
    )
    .option('--env <name>', 'which environment', 'prod')
    .addOption(KEYS())
    .addOption(new Option('--profile <name>', 'keys and lifetimes').choices(Object.keys(PROFILES)).default('solo'))
    .addHelpText('before', parent.parent === null ? INIT_EXAMPLE : MANIFEST_EXAMPLE)
    .action((dir: string | undefined, options: InitOptions) =>
      run(async (io) => {
        if (dir !== undefined && options.dir !== undefined && resolve(dir) !== resolve(options.dir)) {
          throw new UsageError('two folders are given', `Leave one out: pinfetch init ${dir}`)
        }
        const places = placesOf({ ...options, dir: dir ?? options.dir ?? './pins' })
        return (await import('./manifest-init.ts')).init({ ...options, ...places }, io)
      }),
    )
}

function addHostVerbs(manifest: Command, run: Run): void {
  manifest
    .command('add-host')
    .summary('put a host and its pins into the next manifest')
    .argument('<pattern>', 'api.example.com, *.example.com or **.example.com')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--pin <pin...>', 'sha256/… of the key in use and of one held in reserve')
    .option('--backup <file...>', 'a key held in reserve: key, request or certificate')
    .option('--partner', 'somebody else runs the host: look at it and propose its key and its issuer')
    .option('--sibling <pem>', 'with --partner: another issuer that the API’s owner may move to')
    .option('--yes', 'with --partner: ask nobody; needs --expect')
    .option('--expect <pin...>', 'a pin known another way, which must be on the verified path')
    .option('--ca <pem>', 'roots to verify the server with, in place of Node’s')
    .option('--sni <name>', 'name to ask the server for, and to expect in its certificate')
    .option('--connect <host[:port]>', 'the server to look at, where the pattern is none')
    .option('--single-pin', 'there is no second key; losing the first closes the host')
    .option('--report', 'let mismatches pass and report them, where the client allows it')
    .option('--port <number>', 'this port only')
    .option('--replace', 'in place of the entry that is there')
    .addHelpText('before', ADD_HOST_EXAMPLE)
    .action((pattern: string, options: PlaceOptions & HostOptions) =>
      run(async (io) =>
        (await import('./manifest-hosts.ts')).addHost(pattern, { ...options, ...placesOf(options) }, io),
      ),
    )

  manifest
    .command('add-pin')
    .summary('put a pin beside those of a host')
    .argument('<pattern>', 'as it stands in the list')
    .argument('[pins...]', 'sha256/…')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--backup <file...>', 'a key file in place of its pin')
    .option('--port <number>', 'the entry of this port')
    .option('--not-before <time>', 'active from then on')
    .option('--not-after <time>', 'active until then')
    .option('--label <text>', 'what it is')
    .addHelpText('before', PIN_EXAMPLE)
    .action((pattern: string, pins: string[], options: PlaceOptions & Omit<PinOptions, keyof Places>) =>
      run(async (io) =>
        (await import('./manifest-pins.ts')).addPins(pattern, pins, { ...options, ...placesOf(options) }, io),
      ),
    )

  manifest
    .command('remove-pin')
    .summary('take a pin out of a host’s')
    .argument('<pattern>', 'as it stands in the list')
    .argument('<pins...>', 'sha256/…')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--port <number>', 'the entry of this port')
    .addHelpText('before', REMOVE_PIN_EXAMPLE)
    .action((pattern: string, pins: string[], options: PlaceOptions & { port?: string }) =>
      run(async () =>
        (await import('./manifest-pins.ts')).removePins(pattern, pins, { ...options, ...placesOf(options) }),
      ),
    )

  manifest
    .command('report')
    .summary('let mismatches of a host pass for a while, where clients allow it; then it enforces again by itself')
    .argument('<pattern>', 'as it stands in the list')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--port <number>', 'the entry of this port')
    .option('--for <time>', 'how long', '4h')
    .option('--end', 'now, in place of later')
    .addHelpText('before', REPORT_EXAMPLE)
    .action((pattern: string, options: PlaceOptions & { port?: string; for: string; end?: true }) =>
      run(async (io) =>
        (await import('./manifest-report.ts')).report(pattern, { ...options, ...placesOf(options) }, io),
      ),
    )

  manifest
    .command('deny')
    .summary('a key that no client may accept any more; the status key alone publishes it')
    .argument('<pin>', 'sha256/…')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--reason <text>', 'what clients log')
    .option('--hosts <pattern...>', 'on these hosts alone')
    .addHelpText('before', DENY_EXAMPLE)
    .action((pin: string, options: PlaceOptions & { reason?: string; hosts?: string[] }) =>
      run(async () => (await import('./manifest-denies.ts')).deny(pin, { ...options, ...placesOf(options) })),
    )

  manifest
    .command('undeny')
    .summary('take a deny back; the manifest keys must sign it')
    .argument('<pin>', 'sha256/…')
    .requiredOption('--dir <dir>', 'the repository')
    .addHelpText('before', UNDENY_EXAMPLE)
    .action((pin: string, options: PlaceOptions) =>
      run(async () => (await import('./manifest-denies.ts')).undeny(pin, placesOf(options))),
    )
}

function addSigningVerbs(manifest: Command, run: Run): void {
  manifest
    .command('sign')
    .summary('sign the next manifest and status with the keys that are here')
    .argument('[document]', 'one file that somebody handed over, in place of --dir')
    .option('--dir <dir>', 'the repository')
    .addOption(KEYS())
    .addOption(SIGNER())
    .option('--status-only', 'say that nothing changed: what a job does every few hours')
    .option('--restart', 'drop the signatures of a pending manifest that the list no longer says')
    .addOption(TYPE())
    .addOption(ALLOW())
    .addOption(POLL())
    .addHelpText('before', SIGN_EXAMPLE)
    .action((document: string | undefined, options: SigningOptions & { type?: DocumentType }) =>
      run(async (io, paint) => {
        const { sign } = await import('./manifest-sign.ts')
        if (document === undefined) return sign({ ...options, ...signing(options) }, io, paint)
        return sign({ ...options, ...signing({ keys: '.', ...options, dir: options.dir ?? '.' }), document }, io, paint)
      }),
    )

  manifest
    .command('merge')
    .summary('unite the signatures of copies')
    .argument('<documents...>', 'copies of one document')
    .option('--dir <dir>', 'into the pending document of this repository')
    .option('--out <file>', 'into this file (default: the first)')
    .addHelpText('before', MERGE_EXAMPLE)
    .action((documents: string[], options: { dir?: string; out?: string }) =>
      run(async () => (await import('./manifest-merge.ts')).merge(documents, options)),
    )

  const publishing = (name: string, summary: string, example: string): Command =>
    manifest
      .command(name)
      .summary(summary)
      .requiredOption('--dir <dir>', 'the repository')
      .option('--to <dir>', 'the folder that a web server serves')
      .option('--command <line>', 'a program for each file: "aws s3 cp {file} s3://pins/{path}"')
      .option('--url <https>', 'where clients find it: asked before, and read back from')
      .option('--ca <pem>', 'roots for --url and --probe, in place of Node’s')
      .addOption(KEYS())
      .addOption(SIGNER())
      .addOption(ALLOW())
      .addOption(POLL())
      .addHelpText('before', example)

  publishing('publish', 'lint, sign, verify as a client would, then write, status.json last', PUBLISH_EXAMPLE)
    .option('--probe', 'look at the hosts first, and hold the list against what they show')
    .option('--restart', 'drop the signatures of a pending manifest that the list no longer says')
    .action((options: SigningOptions & Omit<PublishOptions, keyof SignOptions>) =>
      run(async (io, paint) =>
        (await import('./manifest-publish.ts')).publish(
          { ...options, ...signing(options), onlyIfChanged: true },
          io,
          paint,
        ),
      ),
    )

  publishing(
    'heartbeat',
    'sign a new status and publish it: what a job does every few hours',
    HEARTBEAT_EXAMPLE,
  ).action((options: SigningOptions & Omit<PublishOptions, keyof SignOptions>) =>
    run(async (io, paint) =>
      (await import('./manifest-publish.ts')).publish({ ...options, ...signing(options), statusOnly: true }, io, paint),
    ),
  )
}

function addLookingVerbs(manifest: Command, run: Run): void {
  manifest
    .command('verify')
    .summary('read a repository as a client would, and say until when clients will')
    .argument('[url]', 'the https URL that clients are given')
    .option('--dir <dir>', 'a directory in place of a URL')
    .option('--root <json>', 'the root that the application ships (default: root.json in --dir)')
    .option('--ca <pem>', 'roots for the connection, in place of Node’s')
    .option('--at <time>', 'as of another time: 2027-01-31, 7d')
    .addHelpText('before', VERIFY_EXAMPLE)
    .action((url: string | undefined, options: { dir?: string; root?: string; ca?: string; at?: string }) =>
      run(async (io) => (await import('./manifest-verify.ts')).verify(url, options, io)),
    )

  manifest
    .command('lint')
    .summary('what would go wrong if the list were published now')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--probe', 'look at the hosts first, and hold the list against what they show')
    .option('--ca <pem>', 'roots for --probe, in place of Node’s')
    .addOption(ALLOW())
    .addHelpText('before', LINT_EXAMPLE)
    .action((options: PlaceOptions & { probe?: true; ca?: string; allow?: string[] }) =>
      run(async (io, paint) =>
        (await import('./manifest-lint.ts')).lintRepository(
          { ...options, ...placesOf(options), allow: (options.allow ?? []).map(lintId) },
          io,
          paint,
        ),
      ),
    )

  manifest
    .command('diff')
    .summary('what changes from one manifest to another')
    .argument('<a>', 'a file, or a repository; alone, its list against what is signed')
    .argument('[b]', 'a file, or a repository')
    .addHelpText('before', DIFF_EXAMPLE)
    .action((a: string, b: string | undefined) =>
      run(async (io, paint) => (await import('./manifest-diff.ts')).diff(a, b, io, paint)),
    )

  manifest
    .command('simulate')
    .summary('what clients would do at a time, if nobody signed anything until then')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--at <time>', '2027-01-31, 2027-01-31T12:00:00Z, or 7d, 36h from now')
    .addOption(new Option('--may <loosening...>', 'what clients let a manifest loosen').choices(['report', 'stale']))
    .addHelpText('before', SIMULATE_EXAMPLE)
    .action((options: PlaceOptions & { at?: string; may?: Allowance[] }) =>
      run(async (io, paint) =>
        (await import('./manifest-simulate.ts')).simulateAt({ ...options, ...placesOf(options) }, io, paint),
      ),
    )
}

export function placesOf({ dir, keys }: PlaceOptions): Places {
  const directory = resolve(dir)
  return { directory, keys: resolve(keys ?? `${directory}.keys`) }
}

interface InitOptions {
  readonly dir?: string
  readonly keys?: string
  readonly repo?: string
  readonly env: string
  readonly profile: ProfileName
}

interface SigningOptions extends Omit<SignOptions, 'directory' | 'keys' | 'statusOnly' | 'pollSeconds'> {
  readonly dir?: string
  readonly keys?: string
  readonly statusOnly?: true
  readonly pollInterval?: string
}

function signing({ dir, keys, statusOnly, pollInterval, allow = [] }: SigningOptions): SignOptions {
  if (dir === undefined) throw new UsageError('--dir is missing', 'pinfetch manifest sign --dir ./pins')
  return {
    ...placesOf({ dir, ...(keys === undefined ? {} : { keys }) }),
    statusOnly: statusOnly === true,
    allow: allow.map(lintId),
    pollSeconds: pollInterval === undefined ? undefined : secondsOf(pollInterval),
  }
}

export function lintId(text: string): LintId {
  if (isLintId(text)) return text
  throw new UsageError(
    `--allow ${JSON.stringify(text)}: no such finding`,
    `There are: ${Object.keys(LINT_RULES).join(', ')}`,
  )
}

function secondsOf(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,5}$/.test(text) && seconds >= 15 && seconds <= 86_400) return seconds
  throw new UsageError(
    `--poll-interval ${JSON.stringify(text)}: not seconds`,
    'Give 15 to 86400; clients keep to that range.',
  )
}

export const KEYS = (): Option => new Option('--keys <dir>', 'where the private keys are (default: <dir>.keys)')
export const SIGNER = (): Option =>
  new Option(
    '--signer <command...>',
    'signs for a key that is no file here: bytes on stdin, signature on stdout; kid=command where there are several',
  )
const TYPE = (): Option =>
  new Option('--type <type>', 'what the document is (default: manifest)').choices(['manifest', 'root', 'status'])
export const ALLOW = (): Option => new Option('--allow <finding...>', 'set findings of lint aside, by name')
const POLL = (): Option => new Option('--poll-interval <seconds>', 'how often clients ask, from the next status on')

const INIT_EXAMPLE = `Example:
  pinfetch init ./pins
  pinfetch init --profile team --repo acme/pins ./pins
`
const MANIFEST_EXAMPLE = `Example:
  pinfetch manifest init ./pins --repo acme/pins --env prod
`
const ADD_HOST_EXAMPLE = `Example:
  pinfetch manifest add-host api.example.com --dir pins --pin sha256/… --backup next-key.pem
  pinfetch manifest add-host api.bank.com --partner --dir pins
`
const PIN_EXAMPLE = `Example:
  pinfetch manifest add-pin api.example.com --backup next-key.pem --dir pins
`
const REMOVE_PIN_EXAMPLE = `Example:
  pinfetch manifest remove-pin api.example.com sha256/… --dir pins
`
const REPORT_EXAMPLE = `Example:
  pinfetch manifest report api.bank.com --for 4h --dir pins
`
const DENY_EXAMPLE = `Example:
  pinfetch manifest deny sha256/… --reason "key leaked" --dir pins
  pinfetch manifest heartbeat --dir pins --to public
`
const UNDENY_EXAMPLE = `Example:
  pinfetch manifest undeny sha256/… --dir pins
  pinfetch manifest publish --dir pins --to public
`
const SIGN_EXAMPLE = `Example:
  pinfetch manifest sign --dir pins
  pinfetch manifest sign pending/manifest.json --keys ./bob
`
const MERGE_EXAMPLE = `Example:
  pinfetch manifest merge from-bob.json --dir pins
`
const PUBLISH_EXAMPLE = `Example:
  pinfetch manifest publish --dir pins --to public
  pinfetch manifest publish --dir pins --command "aws s3 cp {file} s3://pins/{path}" --url https://pins.example.com/
`
const HEARTBEAT_EXAMPLE = `Example:
  pinfetch manifest heartbeat --dir pins --to public
`
const VERIFY_EXAMPLE = `Example:
  pinfetch manifest verify --dir pins
  pinfetch manifest verify https://pins.example.com/ --root root.json
`
const LINT_EXAMPLE = `Example:
  pinfetch manifest lint --dir pins --probe
`
const DIFF_EXAMPLE = `Example:
  pinfetch manifest diff pins                 # what is not signed yet
  pinfetch manifest diff old.json new.json
`
const SIMULATE_EXAMPLE = `Example:
  pinfetch manifest simulate --dir pins --at 10d
`

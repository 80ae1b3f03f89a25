import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { HostOptions } from './manifest-hosts.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import type { Run } from './program.ts'

/** Directories of a repository. What may be published and what never may be lie apart, so that copying one is safe. */
export interface Places {
  /** Signed documents, the working list, and the root for applications: all of it may be published. */
  readonly directory: string
  readonly keys: string
}

interface PlaceOptions {
  readonly dir: string
  readonly keys?: string
}

/** The verbs are loaded when they are called: with the libraries behind them they would triple the start of every command. */
export function addManifest(program: Command, run: Run): void {
  const manifest = program
    .command('manifest')
    .summary('make, sign and verify a repository of pins')
    .addHelpText('before', INIT_EXAMPLE)

  manifest
    .command('init')
    .summary('a new repository: root, spare root, manifest and status keys, and the first root document')
    .requiredOption('--dir <dir>', 'where the documents go; all of it may be published')
    .requiredOption('--repo <name>', 'whose pins these are, such as acme/pins')
    .requiredOption('--env <name>', 'which environment, such as prod')
    .option('--keys <dir>', 'where the private keys go (default: <dir>.keys)')
    .addOption(new Option('--profile <name>', 'keys and lifetimes').choices(Object.keys(PROFILES)).default('solo'))
    .addHelpText('before', INIT_EXAMPLE)
    .action((options: PlaceOptions & { repo: string; env: string; profile: ProfileName }) =>
      run(async (io) => (await import('./manifest-init.ts')).init({ ...options, ...placesOf(options) }, io)),
    )

  manifest
    .command('add-host')
    .summary('put a host and its pins into the next manifest')
    .argument('<pattern>', 'api.example.com, *.example.com or **.example.com')
    .requiredOption('--dir <dir>', 'the repository')
    .requiredOption('--pin <pin...>', 'sha256/… of the key in use and of one held in reserve')
    .option('--partner', 'somebody else runs the host: an issuer may stand in for the reserve')
    .option('--single-pin', 'there is no second key; losing the first closes the host')
    .option('--report', 'let mismatches pass and report them, where the client allows it')
    .option('--port <number>', 'this port only')
    .option('--replace', 'in place of the entry that is there')
    .addHelpText('before', ADD_HOST_EXAMPLE)
    .action((pattern: string, options: PlaceOptions & HostOptions) =>
      run(async () => (await import('./manifest-hosts.ts')).addHost(pattern, { ...options, ...placesOf(options) })),
    )

  manifest
    .command('sign')
    .summary('sign the next manifest and status with the keys that are here')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--keys <dir>', 'where the private keys are (default: <dir>.keys)')
    .option('--status-only', 'say that nothing changed: what a job does every few hours')
    .addHelpText('before', SIGN_EXAMPLE)
    .action((options: PlaceOptions & { statusOnly?: true }) =>
      run(async (io) => {
        const { sign } = await import('./manifest-sign.ts')
        return sign({ ...placesOf(options), statusOnly: options.statusOnly === true }, io)
      }),
    )

  manifest
    .command('verify')
    .summary('read a repository as a client would, and say until when clients will')
    .argument('[url]', 'the https URL that clients are given')
    .option('--dir <dir>', 'a directory in place of a URL')
    .option('--root <json>', 'the root that the application ships (default: root.json in --dir)')
    .option('--ca <pem>', 'roots for the connection, in place of Node’s')
    .addHelpText('before', VERIFY_EXAMPLE)
    .action((url: string | undefined, options: { dir?: string; root?: string; ca?: string }) =>
      run(async (io) => (await import('./manifest-verify.ts')).verify(url, options, io)),
    )
}

function placesOf({ dir, keys }: PlaceOptions): Places {
  const directory = resolve(dir)
  return { directory, keys: resolve(keys ?? `${directory}.keys`) }
}

const INIT_EXAMPLE = `Example:
  pinfetch manifest init --dir pins --repo acme/pins --env prod
`
const ADD_HOST_EXAMPLE = `Example:
  pinfetch manifest add-host api.example.com --dir pins --pin sha256/… --pin sha256/…
`
const SIGN_EXAMPLE = `Example:
  pinfetch manifest sign --dir pins
  pinfetch manifest sign --dir pins --status-only   # from a job, every few hours
`
const VERIFY_EXAMPLE = `Example:
  pinfetch manifest verify --dir pins
  pinfetch manifest verify https://pins.example.com/ --root root.json
`

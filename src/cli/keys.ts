import { resolve } from 'node:path'
import { Argument, type Command, Option } from 'commander'
import type { SigningAlgorithm } from '../publisher/keys.ts'
import type { RotateOptions } from './keys-root.ts'
import { KEYS, type PlaceOptions, placesOf, SIGNER } from './manifest.ts'
import type { Run } from './program.ts'

export function addKeys(program: Command, run: Run): void {
  const keys = program.command('keys').summary('keys that sign: make, list, rotate').addHelpText('before', EXAMPLE)

  keys
    .command('new')
    .summary('a key for a role, with the public half apart')
    .addArgument(new Argument('<role>', 'what it will sign').choices(['root', 'manifest', 'status']))
    .requiredOption('--keys <dir>', 'where it goes')
    .addOption(new Option('--alg <name>', 'algorithm').choices(['Ed25519', 'ES256']).default('Ed25519'))
    .option('--holder <name>', 'who holds it; keys of one holder count once')
    .option('--name <name>', 'what the file is called after the role (default: the holder, or a number)')
    .option('--break-glass', 'kept for emergencies: lint lets it do nothing but a report of four hours')
    .addHelpText('before', EXAMPLE)
    .action(
      (
        role: 'root' | 'manifest' | 'status',
        options: { keys: string; alg: SigningAlgorithm; holder?: string; name?: string; breakGlass?: true },
      ) =>
        run(async (io) =>
          (await import('./keys-files.ts')).newKey(role, { ...options, keys: resolve(options.keys) }, io),
        ),
    )

  keys
    .command('list')
    .summary('every key of the root, and which of them are here')
    .requiredOption('--dir <dir>', 'the repository')
    .addOption(KEYS())
    .addHelpText('before', LIST_EXAMPLE)
    .action((options: PlaceOptions) =>
      run(async (io) => (await import('./keys-files.ts')).listKeys(placesOf(options), io)),
    )

  keys
    .command('rotate-root')
    .summary('the next root: a longer life, other keys, other thresholds')
    .requiredOption('--dir <dir>', 'the repository')
    .addOption(KEYS())
    .option('--add <role:file...>', 'a key that joins a role: its .pub.json, or its .pem')
    .option('--remove <kid...>', 'a key that leaves every role')
    .option('--threshold <role:number...>', 'how many holders must sign')
    .addOption(
      new Option('--raise-epoch <role...>', 'keys of the role were stolen: what they signed no longer counts').choices([
        'manifest',
        'status',
      ]),
    )
    .addOption(SIGNER())
    .option('--restart', 'drop a root that waits for signatures')
    .addHelpText('before', ROTATE_EXAMPLE)
    .action((options: PlaceOptions & Omit<RotateOptions, 'directory' | 'keys'>) =>
      run(async (io) => (await import('./keys-root.ts')).rotateRoot({ ...options, ...placesOf(options) }, io)),
    )
}

const EXAMPLE = `Example:
  pinfetch keys new manifest --keys ./alice --holder alice
`
const LIST_EXAMPLE = `Example:
  pinfetch keys list --dir ./pins
`
const ROTATE_EXAMPLE = `Example:
  pinfetch keys rotate-root --dir ./pins
  pinfetch keys rotate-root --dir ./pins --add manifest:manifest-alice.pub.json --remove Qk3n8sXe
`

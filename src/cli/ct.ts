import { type Command, Option } from 'commander'
import type { CtWatchOptions } from './ct-watch.ts'
import type { Run } from './program.ts'

export function addCt(program: Command, run: Run): void {
  program
    .command('ct')
    .summary('certificate transparency: what is issued for your names')
    .command('watch')
    .summary('tell of certificates that were issued with a key that is not yours')
    .argument('<domain...>', 'registered domains, or names below them')
    .option('--pins <pin...>', 'of the keys of your servers: in use, backup, to come')
    .option(
      '--manifest <place>',
      'a repository that holds them: a folder, a bundle in a .json file, or the https URL that clients are given',
    )
    .option('--root <json>', 'the root that the application ships; with --manifest')
    .addOption(
      new Option('--source <name...>', 'who is asked (default: certspotter, unless --log is given)').choices([
        'certspotter',
        'crtsh',
      ]),
    )
    .option('--base-url <https>', 'where the source is, in place of its public address')
    .option('--token-env <name>', 'environment variable with the token of a Cert Spotter account')
    .option('--log <https>', 'monitoring prefix of a log of the static API, or a log of RFC 6962: read entry by entry')
    .addOption(
      new Option('--log-api <api>', 'what the log answers to').choices(['static', 'rfc6962']).default('static'),
    )
    .option('--log-key <key>', 'its public key: a PEM file, or base64 as log lists have it')
    .option('--log-origin <origin>', 'submission prefix of a static log without https:// (default: as --log)')
    .option('--log-from <index>', 'where to begin without a cursor (default: at the end)')
    .option('--cursor <file>', 'how far it came; the next run goes on from there')
    .option('--exact', 'without names below the domains')
    .option('--interval <minutes>', 'between two looks (default: 60)')
    .option('--once', 'look once; exit code 1 for an unexpected certificate')
    .option('--ca <pem>', 'roots for the connections, in place of Node’s')
    .addHelpText('before', EXAMPLE)
    .action((domains: readonly string[], options: CtWatchOptions) =>
      run(async (io, paint) => (await import('./ct-watch.ts')).ctWatch(domains, options, io, paint)),
    )
}

const EXAMPLE = `Example:
  pinfetch ct watch example.com --manifest ./public --root pins/root.json --cursor ct.json --once
`

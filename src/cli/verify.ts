import type { Command } from 'commander'
import type { Run } from './program.ts'
import type { VerifyUrlOptions } from './verify-url.ts'

export function addVerify(program: Command, run: Run): void {
  program
    .command('verify')
    .summary('what a client with this root and manifest would say about a server')
    .argument('<url>', 'what the application requests')
    .requiredOption(
      '--manifest <place>',
      'the repository: a folder, a bundle in a .json file, or the https URL that clients are given',
    )
    .requiredOption('--root <json>', 'the root that the application ships')
    .option('--ca <pem>', 'roots for both connections, in place of Node’s')
    .option('--explain', 'every pin and the whole path, also when it is trusted')
    .option('--at <time>', 'as of another time: 2027-01-31, 7d')
    .addHelpText('before', EXAMPLE)
    .action((url: string, options: VerifyUrlOptions) =>
      run(async (io, paint) => (await import('./verify-url.ts')).verifyUrl(url, options, io, paint)),
    )
}

const EXAMPLE = `Example:
  pinfetch verify https://api.example.com --manifest ./public --root ./pins/root.json
`

import type { Command } from 'commander'
import type { LabOptions } from './lab-run.ts'
import type { Run } from './program.ts'

export function addLab(program: Command, run: Run): void {
  program
    .command('lab')
    .summary('attack pinfetch, fetch, undici and your own client on this machine, and see who withstands what')
    .option(
      '--client <module>',
      'your client: a module that exports createClient, which answers with { fetch, close? }',
    )
    .option('--attack <ids>', 'these alone: L01,L20')
    .option('--html <file>', 'the answer as one page that stands alone')
    .option('--list', 'what there is, without attacking anybody')
    .addHelpText('before', EXAMPLE)
    .action((options: LabOptions) =>
      run(async (io, paint) => (await import('./lab-run.ts')).runLab(options, io, paint)),
    )
}

const EXAMPLE = `Example:
  pinfetch lab --client ./my-client.mjs  # all attacks, your client beside the others
`

import { type Command, Option } from 'commander'
import { type PlaceOptions, placesOf } from './manifest.ts'
import type { ImportOptions } from './manifest-ct.ts'
import type { Run } from './program.ts'

/** `pinfetch manifest ct …`: the list of Certificate Transparency logs that the manifest carries. */
export function addCtVerbs(manifest: Command, run: Run): void {
  const ct = manifest
    .command('ct')
    .summary('the list of transparency logs that the manifest carries')
    .addHelpText('before', IMPORT_EXAMPLE)

  ct.command('import')
    .summary('put a signed log list into the next manifest')
    .argument('<list>', 'log_list.json (version 3)')
    .requiredOption('--signature <file>', 'log_list.sig, as published beside it')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--key <pem>', 'the RSA key of who signed it, where that is not Chrome’s log list key')
    .addOption(
      new Option('--policy <policy>', 'what clients do about certificates that were not logged').choices([
        'report',
        'enforce',
      ]),
    )
    .addHelpText('before', IMPORT_EXAMPLE)
    .addHelpText('after', SOURCES)
    .action((list: string, options: PlaceOptions & Pick<ImportOptions, 'signature' | 'policy'> & { key?: string }) =>
      run(async (io) =>
        (await import('./manifest-ct.ts')).importLogList(list, { ...options, ...placesOf(options) }, io),
      ),
    )

  ct.command('show')
    .summary('the policy, the list, and until when clients use it')
    .requiredOption('--dir <dir>', 'the repository')
    .addHelpText('before', SHOW_EXAMPLE)
    .action((options: PlaceOptions) =>
      run(async (io) => (await import('./manifest-ct.ts')).showCt(placesOf(options), io)),
    )

  ct.command('remove')
    .summary('take policy and list out of the next manifest')
    .requiredOption('--dir <dir>', 'the repository')
    .addHelpText('before', REMOVE_EXAMPLE)
    .action((options: PlaceOptions) => run(async () => (await import('./manifest-ct.ts')).removeCt(placesOf(options))))
}

const IMPORT_EXAMPLE = `Example:
  pinfetch manifest ct import log_list.json --signature log_list.sig --dir pins
`
const SOURCES = `
Chrome publishes its list and the signature every day:
  https://www.gstatic.com/ct/log_list/v3/log_list.json
  https://www.gstatic.com/ct/log_list/v3/log_list.sig
The key that is asked by default is https://www.gstatic.com/ct/log_list/v3/log_list_pubkey.pem
`
const SHOW_EXAMPLE = `Example:
  pinfetch manifest ct show --dir pins
`
const REMOVE_EXAMPLE = `Example:
  pinfetch manifest ct remove --dir pins
`

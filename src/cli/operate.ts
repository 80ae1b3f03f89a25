import { type Command, Option } from 'commander'
import { ALLOW, KEYS, lintId, type PlaceOptions, placesOf, SIGNER } from './manifest.ts'
import type { MonitorOptions } from './monitor.ts'
import type { Run } from './program.ts'
import type { ReportOptions } from './report.ts'
import type { RotateHostOptions } from './rotate.ts'
import type { WatchOptions } from './watch.ts'

/** A server's change of keys, guided. */
export function addRotate(program: Command, run: Run): void {
  program
    .command('rotate')
    .summary('change the key of a host without an outage: run it, do what it says, run it again')
    .argument('<pattern>', 'as it stands in the list')
    .requiredOption('--dir <dir>', 'the repository')
    .option('--backup <file>', 'the key that is to come: key, request or certificate; for the first run')
    .option('--pin <pin>', 'its pin in place of a file')
    .option('--retire <pin>', 'the pin that leaves (default: of the key that the server shows)')
    .option('--to <dir>', 'the folder that a web server serves')
    .option('--command <line>', 'a program for each file: "aws s3 cp {file} s3://pins/{path}"')
    .option('--url <https>', 'where clients find it: asked before, and read back from')
    .option('--port <number>', 'the entry of this port')
    .option('--connect <server...>', 'the servers to look at, where there are several or the pattern is none')
    .option('--sni <name>', 'name to ask the server for, and to expect in its certificate')
    .option('--ca <pem>', 'roots to verify the server with, in place of Node’s')
    .option('--abandon', 'forget the rotation; pins stay as they are')
    .addOption(KEYS())
    .addOption(SIGNER())
    .addOption(ALLOW())
    .addHelpText('before', ROTATE_EXAMPLE)
    .action((pattern: string, options: PlaceOptions & Omit<RotateHostOptions, 'directory' | 'keys'>) =>
      run(async (io, paint) =>
        (await import('./rotate.ts')).rotate(
          pattern,
          { ...options, ...placesOf(options), allow: (options.allow ?? []).map(lintId) },
          io,
          paint,
        ),
      ),
    )
}

/** What lapses when. */
export function addMonitor(program: Command, run: Run): void {
  program
    .command('monitor')
    .summary('what lapses when: root, manifest, status, pins, exceptions, certificates')
    .option('--dir <dir>', 'the repository')
    .option('--url <https>', 'where clients find it')
    .option('--root <json>', 'the root that the application ships (default: root.json in --dir)')
    .option('--connect', 'look at the hosts as well, for the ends of their certificates')
    .option('--ca <pem>', 'roots for the connections, in place of Node’s')
    .option('--at <time>', 'as of another time: 2027-01-31, 7d')
    .addOption(
      new Option('--fail-on <level>', 'exit code 5 for warnings; what has lapsed is 1 anyway').choices(['warn']),
    )
    .addHelpText('before', MONITOR_EXAMPLE)
    .action((options: MonitorOptions) =>
      run(async (io, paint) => (await import('./monitor.ts')).monitor(options, io, paint)),
    )
}

/** What is another than before. */
export function addWatch(program: Command, run: Run): void {
  program
    .command('watch')
    .summary('look at servers now and then, and tell of another certificate, key or verdict, and of what ends')
    .argument('<hosts...>', 'hosts, or their https URLs')
    .option(
      '--manifest <place>',
      'judge by this repository: a folder, a bundle in a .json file, or the https URL that clients are given; with --root',
    )
    .option('--root <json>', 'the root that the application ships')
    .option('--ca <pem>', 'roots for the connections, in place of Node’s')
    .option('--interval <minutes>', 'between two looks (default: 15)')
    .option('--on-change <command>', 'run by the shell for each change, which comes as JSON on its standard input')
    .option('--once', 'look once; exit code 1 for a server that is refused, 3 for one that is not reached')
    .addOption(
      new Option('--fail-on <level>', 'with --once: exit code 5 for a certificate that ends soon').choices(['warn']),
    )
    .addHelpText('before', WATCH_EXAMPLE)
    .action((hosts: readonly string[], options: WatchOptions) =>
      run(async (io, paint) => (await import('./watch.ts')).watch(hosts, options, io, paint)),
    )
}

/** The same as a picture, and where an outage comes. */
export function addReport(program: Command, run: Run): void {
  program
    .command('report')
    .summary('what ends when, as a picture: here, as an SVG image, or as one page with health and the attack lab')
    .argument('[sources...]', 'a repository, a configuration file, or servers by their https URL')
    .option('--url <https>', 'a repository where clients find it; with --root')
    .option('--root <json>', 'the root that the application ships (default: root.json in the folder)')
    .option('--connect', 'look at the hosts as well, for their certificates')
    .option('--ca <pem>', 'roots for the connections, in place of Node’s')
    .option('--at <time>', 'as of another time: 2027-01-31, 7d')
    .option('--lab <json>', 'what pinfetch lab --json wrote, for the page')
    .option('--svg <file>', 'write the picture as an image')
    .option('--html <file>', 'write a page that stands alone')
    .option('--width <columns>', 'of the picture here')
    .option('--days <number>', 'how far ahead (default: as far as there is something to see)')
    .addOption(
      new Option('--fail-on <level>', 'exit code 5 for an outage that is near; one that is there is 1 anyway').choices([
        'warn',
      ]),
    )
    .addHelpText('before', REPORT_EXAMPLE)
    .action((sources: readonly string[], options: ReportOptions) =>
      run(async (io, paint) => (await import('./report.ts')).report(sources, options, io, paint)),
    )
}

const ROTATE_EXAMPLE = `Example:
  pinfetch rotate api.example.com --dir pins --to public --backup next.pem
  pinfetch rotate api.example.com --dir pins --to public
`
const MONITOR_EXAMPLE = `Example:
  pinfetch monitor --url https://pins.example.com/ --root root.json --fail-on warn
`
const WATCH_EXAMPLE = `Example:
  pinfetch watch api.example.com --manifest https://pins.example.com/ --root root.json
`
const REPORT_EXAMPLE = `Example:
  pinfetch report pins --connect --html report.html
`

import type { Command } from 'commander'
import type { Run } from './program.ts'

export function addEvidence(program: Command, run: Run): void {
  const evidence = program
    .command('evidence')
    .summary('what a client kept of peers that it refused, and of every handshake')
  evidence
    .command('show')
    .summary('what was expected, what came, and what to do')
    .argument('<file>', 'evidence that collectEvidence wrote')
    .addHelpText('before', SHOW)
    .action((file: string) => run(async (_, paint) => (await import('./evidence-show.ts')).showEvidence(file, paint)))
  evidence
    .command('verify')
    .summary('whether evidence is as it was made, and gives the same verdict again; offline')
    .argument('<file>', 'evidence that collectEvidence wrote')
    .option('--key <file>', 'the public key that it is signed with: PEM or JWK')
    .addHelpText('before', VERIFY)
    .action((file: string, options: { readonly key?: string }) =>
      run(async (_, paint) => (await import('./evidence-verify.ts')).verifyEvidenceFile(file, options, paint)),
    )
  evidence
    .command('verify-log')
    .summary('whether lines of a validation log were edited, removed, inserted or moved')
    .argument('<file>', 'what validationLog wrote')
    .option('--head <digest>', 'the head that was kept elsewhere: without it, lines cut off the end are not missed')
    .addHelpText('before', LOG)
    .action((file: string, options: { readonly head?: string }) =>
      run(async (_, paint) => (await import('./evidence-log.ts')).verifyLogFile(file, options, paint)),
    )
}

const SHOW = `Example:
  pinfetch evidence show /var/lib/orders/evidence/20260101T000000.000Z-api.example.com-9f86d081884c.json
`
const VERIFY = `Example:
  pinfetch evidence verify evidence.json --key orders-1.pub.pem
`
const LOG = `Example:
  pinfetch evidence verify-log /var/log/orders/tls.jsonl --head 9f86d081884c7d65…
`

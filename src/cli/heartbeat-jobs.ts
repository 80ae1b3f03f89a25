import { basename, dirname } from 'node:path'
import type { ProfileName } from './profile.ts'
import { versionOfPackage } from './version.ts'

/**
 * Jobs that keep a status alive, for three places where jobs run: file name to text. `init` writes them beside the
 * documents, to be copied from there; test/cli/jobs.test.ts runs their commands.
 */
export function heartbeatJobs(directory: string, profile: ProfileName): ReadonlyMap<string, string> {
  const job: Job = {
    pins: basename(directory),
    around: dirname(directory),
    // Four times within a status's life is enough for three runs in a row to fail unnoticed by clients.
    schedule: profile === 'solo' ? '17 5 * * *' : '17 */4 * * *',
    pinfetch: `npx --yes pinfetch@${versionOfPackage()}`,
  }
  return new Map([
    ['heartbeat.github.yml', github(job)],
    ['heartbeat.crontab', crontab(job)],
    ['heartbeat.kubernetes.yml', kubernetes(job)],
  ])
}

interface Job {
  /** Name of the repository's folder, and the folder that it lies in. */
  readonly pins: string
  readonly around: string
  readonly schedule: string
  readonly pinfetch: string
}

const heartbeat = ({ pinfetch, pins }: Job, more = ''): string =>
  `${pinfetch} manifest heartbeat --dir ${pins} --to public${more}`
const monitor = ({ pinfetch, pins }: Job): string =>
  `${pinfetch} monitor --dir public --root ${pins}/root.json --fail-on warn`

const github = (job: Job): string => `\
# Copy to .github/workflows/pins-heartbeat.yml, and commit ${job.pins}/ and public/ (never ${job.pins}.keys/).
# Secrets: PINFETCH_STATUS_KEY, the text of status.pem; PINFETCH_PASSPHRASE, where the key has one.
name: pins heartbeat
on:
  schedule:
    - cron: '${job.schedule}'
  workflow_dispatch:
permissions:
  contents: write
concurrency: pins
jobs:
  heartbeat:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    env:
      PINFETCH_PASSPHRASE: \${{ secrets.PINFETCH_PASSPHRASE }}
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-node@v5
        with:
          node-version: 24
      - run: |
          umask 077
          mkdir -p "$RUNNER_TEMP/keys"
          printf '%s\\n' "$PINFETCH_STATUS_KEY" > "$RUNNER_TEMP/keys/status.pem"
        env:
          PINFETCH_STATUS_KEY: \${{ secrets.PINFETCH_STATUS_KEY }}
      - run: ${heartbeat(job, ' --keys "$RUNNER_TEMP/keys"')}
      - run: |
          git add ${job.pins}/status.json public
          git -c user.name=pins -c user.email=pins@localhost commit -m "pins: heartbeat"
          git push
      # Last, so that a warning turns the run red and does not keep the status from being published.
      - run: ${monitor(job)}
`

const crontab = (job: Job): string => `\
# For: crontab -e, as the user who may read ${job.pins}.keys/status.pem. What a run prints only when it fails, cron mails.
# PINFETCH_PASSPHRASE=…, where the key has one
${job.schedule} cd ${job.around} && ${heartbeat(job)} > heartbeat.log 2>&1 || cat heartbeat.log
47 7 * * * cd ${job.around} && ${monitor(job)} > monitor.log 2>&1 || cat monitor.log
`

const kubernetes = (job: Job): string => `\
# The volume claim \`pins\` holds ${job.pins}/ and public/; the secret \`pins-status-key\` holds status.pem, and
# \`passphrase\` where the key has one.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: pins-heartbeat
spec:
  schedule: '${job.schedule}'
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  jobTemplate:
    spec:
      backoffLimit: 2
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: heartbeat
              image: node:24-slim
              workingDir: /work
              command: [sh, -ec]
              args:
                - |
                  ${heartbeat(job, ' --keys /keys')}
                  ${monitor(job)}
              env:
                - name: HOME
                  value: /tmp
                - name: PINFETCH_PASSPHRASE
                  valueFrom:
                    secretKeyRef: { name: pins-status-key, key: passphrase, optional: true }
              volumeMounts:
                - { name: pins, mountPath: /work }
                - { name: keys, mountPath: /keys, readOnly: true }
          volumes:
            - name: pins
              persistentVolumeClaim: { claimName: pins }
            - name: keys
              secret: { secretName: pins-status-key }
`

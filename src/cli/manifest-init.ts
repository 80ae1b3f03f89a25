import { basename, dirname, join } from 'node:path'
import { parseStrictJson } from '../encoding/json.ts'
import { parseAnchor, verifyAnchor } from '../manifest/root.ts'
import { EnvName, RepoName, type RoleName } from '../manifest/schema.ts'
import { rootPayload } from '../publisher/documents.ts'
import { generateSigningKey, type SigningKey } from '../publisher/keys.ts'
import { signDocument } from '../publisher/sign.ts'
import { existing, makeDirectory, readIfPresent, writeWhole } from './files.ts'
import { heartbeatJobs } from './heartbeat-jobs.ts'
import type { Io } from './io.ts'
import { keyFileName, passphraseOf, writeKey } from './key-files.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'
import { workingListPath, writeWorkingList } from './working-list.ts'

interface InitOptions extends Places {
  /** Default: what package.json is called, else the folder that the repository lies in. */
  readonly repo?: string
  readonly env: string
  readonly profile: ProfileName
}

/** Makes a repository that has a root and nothing else. Refuses before it writes when any of its files is there. */
export async function init(options: InitOptions, io: Io): Promise<Outcome> {
  const { directory, keys: keyDirectory, env } = options
  const repo = options.repo ?? (await nameNear(directory))
  checkNames({ repo, env })
  const profile = PROFILES[options.profile]
  const made = {
    root: await makeKeys('root', profile.roles.root.keys),
    manifest: await makeKeys('manifest', profile.roles.manifest.keys),
    status: await makeKeys('status', profile.roles.status.keys),
  }
  const all = [...made.root, ...made.manifest, ...made.status]
  await refuseToOverwrite([
    join(directory, 'root.json'),
    join(directory, FIRST_ROOT),
    workingListPath(directory),
    ...all.map(({ file }) => join(keyDirectory, file)),
  ])

  const now = io.now()
  const roleOf = (role: RoleName) => ({
    keys: made[role].map(({ key }) => key),
    threshold: profile.roles[role].threshold,
  })
  const expires = now + profile.rootTtlMs
  const payload = rootPayload({
    repo,
    env,
    version: 1,
    issuedAt: now,
    expires,
    keys: all.map(({ key }) => key),
    roles: {
      root: roleOf('root'),
      manifest: { ...roleOf('manifest'), epoch: 1 },
      status: { ...roleOf('status'), epoch: 1, mayDeny: true },
    },
  })
  const document = await signDocument(payload, 'root', roleOf('root').keys)
  await verifyAnchor(parseAnchor(document, { repo, env })) // what no client would take is not written

  const passphrase = await newPassphrase(io)
  await makeDirectory(keyDirectory, 0o700)
  await makeDirectory(join(directory, 'roots'))
  for (const { key, file } of all) await writeKey(join(keyDirectory, file), key, passphrase)
  await writeWhole(join(keyDirectory, '.gitignore'), '*\n', { replace: true }) // a repository of code is no place for them
  await writeWhole(join(directory, FIRST_ROOT), document)
  await writeWhole(join(directory, 'root.json'), document)
  await writeWorkingList(directory, { profile: options.profile, hosts: [] }, false)
  const jobs = heartbeatJobs(directory, options.profile)
  await makeDirectory(join(directory, 'jobs'))
  for (const [name, text] of jobs) await writeWhole(join(directory, 'jobs', name), text, { replace: true })

  return {
    data: {
      repo,
      env,
      profile: options.profile,
      directory,
      keyDirectory,
      encrypted: passphrase !== undefined,
      root: { version: 1, expires: dateOf(expires) },
      keys: all.map(({ role, key, file }) => ({ role, kid: key.kid, file })),
      jobs: [...jobs.keys()].map((name) => `jobs/${name}`),
    },
    text: [
      ...table([
        ['root', `${shownPath(join(directory, 'root.json'))}  ships with the application`],
        ['until', `${dateOf(expires)}  ${fromNow(expires, now)}; sign a new root before`],
        ...all.map(({ role, key, file }) => [role, `${shownPath(join(keyDirectory, file))}  ${key.kid}`]),
      ]),
    ],
    warnings: [
      ...(passphrase === undefined
        ? ['the keys are not encrypted; set PINFETCH_PASSPHRASE before init to have them so']
        : []),
      `move the root keys off this machine, to two places: ${made.root.map(({ file }) => file).join(', ')}. Nothing but a new root needs them.`,
    ],
    notes: [
      `alive  every ${options.profile === 'solo' ? 'day' : '4 hours'}, from one of the jobs in ${shownPath(join(directory, 'jobs'))}: pinfetch manifest heartbeat`,
    ],
    next: `pinfetch manifest add-host <host> --partner --dir ${shownPath(directory)}   # your own host: --pin <key in use> --backup <key file>`,
  }
}

interface MadeKey {
  readonly role: RoleName
  readonly key: SigningKey
  readonly file: string
}

function makeKeys(role: RoleName, count: number): Promise<readonly MadeKey[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => ({
      role,
      key: await generateSigningKey(),
      file: keyFileName(role, index, count),
    })),
  )
}

/** `@acme/shop` of a package.json above becomes `acme/shop`; without one, the folder around the repository names it. */
async function nameNear(directory: string): Promise<string> {
  const around = dirname(directory)
  const bytes = await readIfPresent(join(around, 'package.json'))
  const json = bytes === undefined ? undefined : parseStrictJson(bytes)
  const named = json?.ok === true ? (json.value as { readonly name?: unknown } | null)?.name : undefined
  const text = typeof named === 'string' && named !== '' ? named : `${basename(around)}/${basename(directory)}`
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9._/-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, MAX_NAME)
  return RepoName.safeParse(name).success ? name : 'pins'
}

/** Typed twice, since nobody sees what is typed; nothing where nobody can be asked. */
async function newPassphrase(io: Io): Promise<string | undefined> {
  const first = await passphraseOf(io, 'Passphrase for the new keys (none: press Enter):')
  if (first === undefined || first === '') return undefined
  if (io.env['PINFETCH_PASSPHRASE'] !== undefined || io.prompts === undefined) return first
  const second = await (await io.prompts()).secret('Once more:')
  if (first !== second)
    throw new UsageError('the two passphrases differ', 'Run the command again; nothing was written.')
  return first
}

function checkNames({ repo, env }: { readonly repo: string; readonly env: string }): void {
  if (!RepoName.safeParse(repo).success) {
    throw new UsageError(
      `--repo ${JSON.stringify(repo)}: not a name`,
      'Lower-case letters, digits and . _ / -: acme/pins',
    )
  }
  if (!EnvName.safeParse(env).success) {
    throw new UsageError(`--env ${JSON.stringify(env)}: not a name`, 'Lower-case letters, digits and -: prod')
  }
}

async function refuseToOverwrite(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if ((await readIfPresent(path)) !== undefined) throw existing(path)
  }
}

const FIRST_ROOT = 'roots/1.json'
const MAX_NAME = 128

import { join } from 'node:path'
import { parseAnchor, verifyAnchor } from '../manifest/root.ts'
import { EnvName, RepoName, type RoleName } from '../manifest/schema.ts'
import { rootPayload } from '../publisher/documents.ts'
import { generateSigningKey, type SigningKey } from '../publisher/keys.ts'
import { signDocument } from '../publisher/sign.ts'
import { existing, makeDirectory, readIfPresent, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { keyFileName, writeKey } from './key-files.ts'
import type { Places } from './manifest.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { PROFILES, type ProfileName } from './profile.ts'
import { dateOf, fromNow, shownPath, table } from './text.ts'
import { workingListPath, writeWorkingList } from './working-list.ts'

interface InitOptions extends Places {
  readonly repo: string
  readonly env: string
  readonly profile: ProfileName
}

/** Makes a repository that has a root and nothing else. Refuses before it writes when any of its files is there. */
export async function init(options: InitOptions, io: Io): Promise<Outcome> {
  const { directory, keys: keyDirectory, repo, env } = options
  checkNames(options)
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

  const passphrase = io.env['PINFETCH_PASSPHRASE']
  await makeDirectory(keyDirectory, 0o700)
  await makeDirectory(join(directory, 'roots'))
  for (const { key, file } of all) await writeKey(join(keyDirectory, file), key, passphrase)
  await writeWhole(join(keyDirectory, '.gitignore'), '*\n', { replace: true }) // a repository of code is no place for them
  await writeWhole(join(directory, FIRST_ROOT), document)
  await writeWhole(join(directory, 'root.json'), document)
  await writeWorkingList(directory, { profile: options.profile, hosts: [] }, false)

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
    next: `pinfetch manifest add-host <host> --dir ${shownPath(directory)} --pin <key in use> --pin <key in reserve>`,
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

function checkNames({ repo, env }: InitOptions): void {
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

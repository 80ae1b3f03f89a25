import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { parseStrictJson } from '../encoding/json.ts'
import type { RoleName } from '../manifest/schema.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { generateSigningKey, type SigningAlgorithm } from '../publisher/keys.ts'
import type { RootKeyInput } from '../publisher/next-root.ts'
import { existing, makeDirectory, readBytes, readIfPresent, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { isEncrypted, keyFiles, passphraseOf, publicJwkOf, readKey, writeKey } from './key-files.ts'
import { type Outcome, UsageError } from './outcome.ts'
import { readRepository } from './repository-files.ts'
import { BREAK_GLASS } from './signers.ts'
import { shownPath, table } from './text.ts'

export interface NewKeyOptions {
  readonly keys: string
  readonly alg: SigningAlgorithm
  readonly holder?: string
  readonly name?: string
  readonly breakGlass?: boolean
}

/** A key for a role: the private half for its holder, the public half for whoever makes the next root. */
export async function newKey(role: RoleName, options: NewKeyOptions, io: Io): Promise<Outcome> {
  const { keys: directory, alg, holder } = options
  const name = fileNameOf(role, options.name ?? holder, await keyFiles(directory, role))
  const [privatePath, publicPath] = [join(directory, `${name}.pem`), join(directory, `${name}.pub.json`)]
  for (const path of [privatePath, publicPath]) if ((await readIfPresent(path)) !== undefined) throw existing(path)
  const key = await generateSigningKey({ alg, ...(holder === undefined ? {} : { holder }) })
  const passphrase = await passphraseOf(io, `Passphrase for ${name}.pem (none: press Enter):`)
  const isEncryptedNow = passphrase !== undefined && passphrase !== ''
  const publicText = {
    ...key.publicJwk,
    alg,
    kid: key.kid,
    ...(holder === undefined ? {} : { holder }),
    ...(options.breakGlass === true ? { note: BREAK_GLASS } : {}),
  }
  await makeDirectory(directory, 0o700)
  await writeKey(privatePath, key, isEncryptedNow ? passphrase : undefined)
  await writeWhole(publicPath, `${JSON.stringify(publicText, null, 2)}\n`)
  await writeWhole(join(directory, '.gitignore'), '*\n', { replace: true })
  return {
    data: {
      role,
      kid: key.kid,
      alg,
      holder: holder ?? null,
      file: privatePath,
      public: publicPath,
      encrypted: isEncryptedNow,
    },
    text: table([
      [role, `${key.kid}  ${alg}${holder === undefined ? '' : `  ${holder}`}`],
      ['private', `${shownPath(privatePath)}  for its holder alone`],
      ['public', `${shownPath(publicPath)}  for whoever makes the next root`],
    ]),
    warnings: isEncryptedNow ? [] : ['the key is not encrypted; PINFETCH_PASSPHRASE encrypts it'],
    next: `pinfetch keys rotate-root --dir <dir> --add ${role}:${shownPath(publicPath)}`,
  }
}

/** Every key of the root, and the files here: what is where, and what nobody needs. */
export async function listKeys(
  options: { readonly directory: string; readonly keys: string },
  io: Io,
): Promise<Outcome> {
  const { root } = await readRepository(options.directory, toUnixMs(io.now()))
  const here: {
    readonly role: RoleName
    readonly file: string
    readonly encrypted: boolean
    readonly kid: string | null
  }[] = []
  for (const role of ROLES) {
    for (const file of await keyFiles(options.keys, role)) {
      const path = join(options.keys, file)
      const encrypted = isEncrypted((await readFile(path)).toString('latin1'))
      const canOpen = !encrypted || io.env['PINFETCH_PASSPHRASE'] !== undefined
      here.push({ role, file, encrypted, kid: canOpen ? (await readKey(path, io)).kid : null })
    }
  }
  const keys = ROLES.flatMap((role) => {
    const { keys: known, threshold } = root.roles[role]
    return known.map(({ kid, alg, holder }) => {
      const file = here.find((one) => one.kid === kid)
      return {
        role,
        kid,
        alg,
        holder: holder ?? null,
        threshold,
        file: file?.file ?? null,
        encrypted: file?.encrypted ?? null,
      }
    })
  })
  const unknown = here.filter(({ kid }) => kid === null || !keys.some((key) => key.kid === kid))
  return {
    data: { root: root.version, keys, others: unknown },
    text: table([
      ...keys.map(({ role, kid, alg, holder, threshold, file, encrypted }) => [
        role,
        kid,
        alg,
        holder ?? '',
        `${threshold} must sign`,
        file === null ? 'elsewhere, or locked' : `${file}${encrypted === true ? '  encrypted' : ''}`,
      ]),
      ...unknown.map(({ role, file, kid }) => [
        role,
        kid ?? 'locked',
        '',
        '',
        '',
        `${file}  ${kid === null ? 'set PINFETCH_PASSPHRASE' : 'not in the root'}`,
      ]),
    ]),
    next: `pinfetch keys rotate-root --dir ${shownPath(options.directory)}   # a longer life, or other keys`,
  }
}

/** `role:file`, where the file holds a public or a private key. @throws UsageError */
export async function rootKeyFrom(
  text: string,
  io: Io,
): Promise<{ readonly role: RoleName; readonly key: RootKeyInput }> {
  const [, role = '', path = ''] = /^(root|manifest|status):(.+)$/.exec(text) ?? []
  if (!isRole(role)) {
    throw new UsageError(`--add ${JSON.stringify(text)}: not role:file`, 'Example: --add manifest:alice.pub.json')
  }
  const bytes = await readBytes(path)
  const json = parseStrictJson(bytes)
  if (!json.ok) {
    const { alg, publicJwk } = await readKey(path, io)
    return { role, key: { alg, publicJwk } }
  }
  const parsed = PublicKey.safeParse(json.value)
  const publicJwk = parsed.success ? publicJwkOf({ y: undefined, ...parsed.data }) : undefined
  if (!parsed.success || publicJwk === undefined) {
    throw new UsageError(
      `${path}: not a public key`,
      'Give the .pub.json that `pinfetch keys new` wrote.',
      'ERR_CONFIG_FILE',
    )
  }
  const { holder, note } = parsed.data
  const alg = publicJwk.kty === 'OKP' ? 'Ed25519' : 'ES256'
  return {
    role,
    key: { alg, publicJwk, ...(holder === undefined ? {} : { holder }), ...(note === undefined ? {} : { note }) },
  }
}

const isRole = (text: string): text is RoleName => ROLES.some((role) => role === text)

function fileNameOf(role: RoleName, name: string | undefined, taken: readonly string[]): string {
  if (name === undefined) {
    for (let number = taken.length + 1; ; number += 1)
      if (!taken.includes(`${role}-${number}.pem`)) return `${role}-${number}`
  }
  const safe = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  if (safe !== '') return `${role}-${safe}`
  throw new UsageError(`${JSON.stringify(name)}: no name for a file`, 'Use letters and digits: --name alice')
}

const ROLES = ['root', 'manifest', 'status'] as const satisfies readonly RoleName[]
const PublicKey = z.looseObject({
  kty: z.enum(['OKP', 'EC']),
  crv: z.enum(['Ed25519', 'P-256']),
  x: z.string(),
  y: z.string().exactOptional(),
  d: z.never().exactOptional(),
  holder: z.string().min(1).exactOptional(),
  note: z.string().exactOptional(),
})

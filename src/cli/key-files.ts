import { createPrivateKey } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../errors/errors.ts'
import type { RoleName } from '../manifest/schema.ts'
import { type PublicJwk, thumbprint } from '../manifest/verify.ts'
import type { SigningKey } from '../publisher/keys.ts'
import { DerError } from '../x509/der.ts'
import { openPrivateKey, PassphraseError } from '../x509/material.ts'
import { codeOf, readBytes, writeWhole } from './files.ts'
import type { Io } from './io.ts'
import { UsageError } from './outcome.ts'

/** Writes a private key as PKCS #8, readable by this user alone, encrypted when there is a passphrase. */
export async function writeKey(
  path: string,
  { privateJwk }: SigningKey,
  passphrase: string | undefined,
): Promise<void> {
  const key = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' })
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  const pem = key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString()
  await writeWhole(path, pem, { mode: 0o600 })
}

/**
 * The keys of a role that are here: `manifest.pem`, `manifest-2.pem`. Only files of the role are opened, so keys of other
 * roles may have another passphrase.
 *
 * @throws UsageError for a file that is no key, or whose passphrase is missing.
 */
export async function readKeys(directory: string, role: RoleName, io: Io): Promise<readonly SigningKey[]> {
  const keys: SigningKey[] = []
  for (const name of await keyFiles(directory, role)) keys.push(await readKey(join(directory, name), io)) // one question at a time
  return keys
}

/** Names of the files that hold keys of a role, in order. */
export async function keyFiles(directory: string, role: RoleName): Promise<readonly string[]> {
  const names = await filesOf(directory)
  return names.filter((name) => name.startsWith(role) && /^(-.*)?\.pem$/.test(name.slice(role.length))).sort()
}

/** The passphrase of PINFETCH_PASSPHRASE, else what somebody types, asked for once a command. */
export async function passphraseOf(io: Io, question: string): Promise<string | undefined> {
  const given = io.env['PINFETCH_PASSPHRASE'] ?? typed.get(io)
  if (given !== undefined || io.prompts === undefined) return given
  const answer = await (await io.prompts()).secret(question)
  typed.set(io, answer)
  return answer
}

const typed = new WeakMap<Io, string>()

/** `manifest.pem` for an only key, else `manifest-1.pem` and so on. */
export function keyFileName(role: RoleName, index: number, count: number): string {
  if (role === 'root' && count === 2) return index === 0 ? 'root.pem' : 'root-spare.pem'
  return count === 1 ? `${role}.pem` : `${role}-${index + 1}.pem`
}

/** @throws UsageError */
export async function readKey(path: string, io: Io): Promise<SigningKey> {
  const pem = Buffer.from(await readBytes(path)).toString('latin1')
  const passphrase = isEncrypted(pem) ? await passphraseOf(io, `Passphrase of ${path}:`) : undefined
  const { kty, crv, x, y, d } = openKey(path, pem, passphrase).export({ format: 'jwk' })
  const publicJwk = publicJwkOf({ kty, crv, x, y })
  if (publicJwk === undefined || d === undefined) {
    throw new UsageError(`${path}: not an Ed25519 or P-256 key`, 'Signing keys are made by: pinfetch keys new')
  }
  const alg = publicJwk.kty === 'OKP' ? 'Ed25519' : 'ES256'
  return { kid: thumbprint(publicJwk), alg, publicJwk, privateJwk: { ...publicJwk, d } }
}

export const isEncrypted = (pem: string): boolean => pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----')

function openKey(path: string, pem: string, passphrase: string | undefined) {
  try {
    return openPrivateKey(pem, passphrase)
  } catch (cause) {
    if (cause instanceof PassphraseError) {
      const hint = 'Set PINFETCH_PASSPHRASE for this one command.'
      throw new UsageError(`${path}: ${cause.message}`, hint, 'ERR_CONFIG_PASSPHRASE', cause)
    }
    if (!(cause instanceof DerError)) throw cause
    const hint = 'Give a private key as PKCS #8 in PEM; certificates and public keys cannot sign.'
    throw new UsageError(`${path}: ${cause.message}`, hint, 'ERR_CONFIG_CERTIFICATE', cause)
  }
}

export function publicJwkOf(jwk: { kty: unknown; crv: unknown; x: unknown; y: unknown }): PublicJwk | undefined {
  const { kty, crv, x, y } = jwk
  if (typeof x !== 'string') return undefined
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x }
  return kty === 'EC' && crv === 'P-256' && typeof y === 'string' ? { kty, crv, x, y } : undefined
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return []
    throw new StoreError('ERR_STORE_READ', `${directory}: cannot be read (${codeOf(cause)})`, { cause })
  }
}

import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { StoreError } from '../errors/errors.ts'
import { DerError } from '../x509/der.ts'
import { type Material, PassphraseError, readMaterial } from '../x509/material.ts'
import { readBytes, readIfPresent } from './files.ts'
import type { Io } from './io.ts'
import { UsageError } from './outcome.ts'

export type Source =
  | { readonly kind: 'host'; readonly origin: CanonicalOrigin }
  | { readonly kind: 'file'; readonly name: string; readonly bytes: Uint8Array }

/**
 * What an argument names. An `https:` URL and `host:port` are servers whatever files there are; any other name is a file
 * if one is there, else a server.
 *
 * @throws UsageError, or StoreError for a file that cannot be read.
 */
export async function openSource(text: string, io: Io): Promise<Source> {
  if (text === '-') return { kind: 'file', name: 'standard input', bytes: await readStandardInput(io) }
  const server = originOf(text)
  if (server !== undefined && IS_SURELY_SERVER.test(text)) return { kind: 'host', origin: server }
  const bytes = /^https?:/i.test(text) ? undefined : await readIfPresent(text)
  if (bytes !== undefined) return { kind: 'file', name: text, bytes }
  if (server === undefined || LOOKS_LIKE_FILE.test(text)) {
    if (/^https?:/i.test(text)) throw new UsageError(`${text}: not an https URL`, HINT)
    return { kind: 'file', name: text, bytes: await readBytes(text) } // says why it cannot be read
  }
  return { kind: 'host', origin: server }
}

/** An https URL that documents lie below. @throws UsageError */
export function baseUrl(text: string, hint = 'For a directory: --dir'): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    const message = `${JSON.stringify(text)}: not an https URL without user name and password`
    throw new UsageError(message, hint, 'ERR_CONFIG_URL')
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** The keys and certificates of a file. @throws UsageError when there are none, or the passphrase is missing. */
export function materialOf(name: string, bytes: Uint8Array, io: Io): readonly [Material, ...Material[]] {
  const [first, ...rest] = read(name, bytes, io)
  if (first !== undefined) return [first, ...rest]
  const message = `${name}: holds no certificate, request or key`
  throw new UsageError(
    message,
    'Give PEM or DER; for PKCS #12, extract the certificate first.',
    'ERR_CONFIG_CERTIFICATE',
  )
}

function read(name: string, bytes: Uint8Array, { env }: Io): readonly Material[] {
  try {
    return readMaterial(bytes, env['PINFETCH_PASSPHRASE'])
  } catch (cause) {
    if (cause instanceof PassphraseError) {
      const hint = 'Set PINFETCH_PASSPHRASE for this one command.'
      throw new UsageError(`${name}: ${cause.message}`, hint, 'ERR_CONFIG_PASSPHRASE', cause)
    }
    if (!(cause instanceof DerError)) throw cause
    const hint = 'Give PEM or DER with a certificate, a certificate request, a public or a private key.'
    throw new UsageError(`${name}: ${cause.message}`, hint, 'ERR_CONFIG_CERTIFICATE', cause)
  }
}

async function readStandardInput({ stdin }: Io): Promise<Uint8Array> {
  if (stdin.isTTY === true) {
    throw new UsageError('nothing is piped into standard input', 'Write `pinfetch pin - < file`, or name the file.')
  }
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MAX_INPUT_BYTES) throw new StoreError('ERR_STORE_READ', 'standard input: longer than 1 MiB')
    chunks.push(bytes)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function originOf(text: string): CanonicalOrigin | undefined {
  const isUrl = /^https:\/\//i.test(text)
  if (!isUrl && /[/?#@\\]/.test(text)) return undefined
  const bare = text.split(':').length > 2 && !text.startsWith('[') ? `[${text}]` : text // IPv6 without brackets
  const href = isUrl ? text : `https://${bare}/`
  return URL.canParse(href) ? canonicalOrigin(new URL(href)) : undefined
}

const IS_SURELY_SERVER = /^https:\/\/|:\d{1,5}$|^\[.*\]$/i
const LOOKS_LIKE_FILE = /[/\\]|\.(pem|crt|cer|der|key|csr|req|pub|spki|p7b|p12|pfx|json|txt)$/i
const HINT = 'Give a file, host, host:port, an https URL, or - for standard input.'
const MAX_INPUT_BYTES = 1024 * 1024

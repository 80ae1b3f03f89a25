/**
 * Requests signed with a key that never leaves its token: any PKCS #11 module, here by OpenSC's `pkcs11-tool`, one process a
 * signature. A service that signs often keeps a session open with a binding of its choice; `sign` is all that changes.
 * `pkcs11Signer({ module: '/usr/lib/softhsm/libsofthsm2.so', token: 'signing', id: '07', pinVariable: 'TOKEN_PIN', … })`.
 */
import { spawn } from 'node:child_process'
import type { KeyObject } from 'node:crypto'
import { externalSigner, type Signer } from 'pinfetch/signing'

export interface TokenKey {
  /** The library of the token's maker. */
  readonly module: string
  /** Label of the token. */
  readonly token: string
  /** Of the key pair (CKA_ID), in hexadecimal. */
  readonly id: string
  /** The environment variable that holds the PIN: an argument would be seen by every user of the machine. */
  readonly pinVariable: string
  /** As the server knows the key. */
  readonly keyId: string
  /** Its first signature is checked with it. */
  readonly publicKey: KeyObject
}

export function pkcs11Signer({ module, token, id, pinVariable, keyId, publicKey }: TokenKey): Signer {
  const key = ['--module', module, '--token-label', token, '--id', id, '--login', '--pin', `env:${pinVariable}`]
  return externalSigner({
    keyId,
    publicKey,
    algorithm: 'ecdsa-p256-sha256',
    input: 'digest', // CKM_ECDSA takes one, and answers r || s
    output: 'raw',
    concurrency: 4, // sessions that the token has for us
    sign: (digest, { signal }) => tool([...key, '--sign', '--mechanism', 'ECDSA'], digest, signal),
  })
}

/** What it prints beside the signature goes to stderr. */
function tool(args: readonly string[], input: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(PKCS11_TOOL, args, { signal, stdio: ['pipe', 'pipe', 'ignore'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(chunks))
      else reject(new Error(`pkcs11-tool ended with ${code}`))
    })
    child.stdin.on('error', () => undefined).end(input)
  })
}

const PKCS11_TOOL = 'pkcs11-tool'

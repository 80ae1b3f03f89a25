import { createSecretKey } from 'node:crypto'
import { type ClientAuth, ClientSecretBasic, ClientSecretPost, None, TlsClientAuth } from 'oauth4webapi'
import { encodeBase64Url } from '../encoding/base64.ts'
import { AuthError } from '../errors/errors.ts'
import type { ClockOffsets } from '../keys/clock-offset.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import {
  type OpenSecret,
  openSecret,
  type SecretSource,
  type SecretVersion,
  type SecretWorld,
} from '../keys/secret-source.ts'
import { localSigner, type Signer } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { createKeyChange, keyName, signerInForce } from './binding-key.ts'
import { signJwt } from './jwt.ts'

/** How the client proves to the authorization server who it is: the names of the IANA registry. */
export type ClientAuthentication =
  | { readonly method: 'none' }
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post' | 'client_secret_jwt'
      readonly secret: SecretSource
    }
  /** A ring where the key is to be replaced without a restart: the server knows the new one from its `jwks_uri`. */
  | { readonly method: 'private_key_jwt'; readonly signer: Signer | KeyRing }
  /** RFC 8705: by the certificate of the client's option `certificate`. */
  | { readonly method: 'tls_client_auth' | 'self_signed_tls_client_auth' }

export interface ClientCredentials {
  /**
   * What to authenticate the next attempt with.
   *
   * @throws AuthError `ERR_AUTH_CLIENT_REJECTED` where there is none that the server has not refused; nothing is sent then.
   */
  readonly next: () => Promise<ClientCredential>
  /** The assertion has a date, so that a wrong clock can be why it was refused. */
  readonly isDated: boolean
  readonly close: () => void
}

export interface ClientCredential {
  /** In the form of oauth4webapi; an assertion is made anew each time, since it counts once. `signal` ends the signer's work. */
  readonly apply: (origin: string, signal: AbortSignal) => ClientAuth
  readonly accepted: () => void
  /** Answers whether another one may turn up. */
  readonly refused: () => boolean
}

export interface CredentialWorld {
  readonly runtime: Runtime
  readonly emit: SecretWorld['emit']
  readonly offsets: ClockOffsets
  /** In messages: the host of the authorization server. */
  readonly host: string
  /** The server knows the secret before the newest only. */
  readonly onPrevious: () => void
  /** Another key of the ring signs the assertions, by the names of the keys. */
  readonly onKeyChanged: (before: string, after: string) => void
}

export function createClientCredentials(given: ClientAuthentication, world: CredentialWorld): ClientCredentials {
  if ('secret' in given) return ofSecret(given.method, given.secret, world)
  const apply = given.method === 'private_key_jwt' ? ofKeys(given.signer, world) : () => bare(given.method)
  const credential = { apply, accepted: () => undefined, refused: () => false }
  return { next: async () => credential, isDated: given.method === 'private_key_jwt', close: () => undefined }
}

function ofKeys(keys: Signer | KeyRing, world: CredentialWorld): ClientCredential['apply'] {
  const changed = createKeyChange(world.onKeyChanged)
  return (origin, signal) => {
    const signer = signerInForce(keys, world.runtime.clock)
    changed(keyName(signer))
    return assertion(signer, world, { origin, signal })
  }
}

const bare = (method: ClientAuthentication['method']): ClientAuth => (method === 'none' ? None() : TlsClientAuth())

function ofSecret(method: SecretMethod, source: SecretSource, world: CredentialWorld): ClientCredentials {
  const { runtime, emit } = world
  const secret = openSecret(source, { name: 'oauth client secret', runtime, emit })
  /** Versions that the server refused, and whether it has accepted another one since. */
  const rejected = new Map<string, boolean>()
  const credential = ({ version, secret: value }: SecretVersion): ClientCredential => ({
    apply: (origin, signal) => {
      if (method === 'client_secret_basic') return ClientSecretBasic(value.reveal())
      if (method === 'client_secret_post') return ClientSecretPost(value.reveal())
      const signer = localSigner(createSecretKey(value.revealBytes()), { algorithm: 'hmac-sha256' })
      return assertion(signer, world, { origin, signal })
    },
    accepted: () => {
      rejected.delete(version)
      for (const other of rejected.keys()) rejected.set(other, true)
    },
    refused: () => {
      rejected.set(version, false)
      return true
    },
  })
  return {
    next: async () => credential(await choose(secret, rejected, world)),
    isDated: method === 'client_secret_jwt',
    close: secret.close,
  }
}

/**
 * The secret in force. One that was refused is read again; where it is still the same, the one before may be what the server
 * knows, for as long as the overlap lasts. Afterwards it must be told apart whether the server learned the new one meanwhile.
 */
async function choose(
  secret: OpenSecret,
  rejected: Map<string, boolean>,
  { host, onPrevious }: CredentialWorld,
): Promise<SecretVersion> {
  const held = await secret.current()
  if (!rejected.has(held.version)) return held
  const current = await secret.current(held.version)
  if (!rejected.has(current.version)) return current
  const previous = secret.previous()
  if (previous !== undefined && !rejected.has(previous.version)) {
    onPrevious()
    return previous
  }
  if (rejected.get(current.version) === true) return current
  const message = `${host}: the authorization server refused the client secret (version ${current.version}), and there is no other; nothing was sent`
  throw new AuthError('ERR_AUTH_CLIENT_REJECTED', message, { host })
}

/** RFC 7523 §2.2. The audience is the issuer: an assertion for one server is worth nothing at another. */
function assertion(
  signer: Signer,
  { runtime, offsets }: CredentialWorld,
  { origin, signal }: { readonly origin: string; readonly signal: AbortSignal },
): ClientAuth {
  return async (server, client, body) => {
    const iat = Math.floor(offsets.now(origin) / 1_000)
    const claims = {
      iss: client.client_id,
      sub: client.client_id,
      aud: server.issuer,
      jti: encodeBase64Url(runtime.random(16)),
      iat,
      exp: iat + ASSERTION_SECONDS,
    }
    const header = signer.keyId === '' ? {} : { kid: signer.keyId }
    body.set('client_id', client.client_id)
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    body.set('client_assertion', await signJwt(signer, { header, claims, signal }))
  }
}

type SecretMethod = Extract<ClientAuthentication, { readonly secret: SecretSource }>['method']

const ASSERTION_SECONDS = 60

import { generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { Provider } from 'oidc-provider'
import { startTlsServer } from 'pinfetch/testing'
import { vi } from 'vitest'
import type { ProtocolOptions } from '../../src/auth/protocol-options.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { localSigner } from '../../src/keys/signer.ts'
import type { Runtime } from '../../src/ports/runtime.ts'
import { testClient, until } from '../support/client.ts'
import { ca, DISCOVERED, HOST, identity, protocolAt, SECRET, skewedRuntime } from './server-stage.ts'

export const API = 'https://api.example.com/'
const jwtKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ownCertificate = ca.issue({ subject: 'client-mtls', extendedKeyUsage: ['clientAuth'] })
const bySecret = { method: 'client_secret_basic', secret: { value: SECRET } } as const
const byKey = { method: 'private_key_jwt', signer: localSigner(jwtKey.privateKey, { keyId: 'k1' }) } as const
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

// It tells that it is not run in production.
for (const level of ['info', 'warn'] as const) vi.spyOn(console, level).mockReturnValue()

export interface StageOptions {
  /** By how much the client's clock is off. */
  readonly clockMs?: number
  /** Beside those of the stage. */
  readonly clients?: readonly object[]
  readonly features?: object
}

/** oidc-provider behind TLS on loopback, with what each test needs of clients and features. */
export async function startProvider({ clockMs = 0, ...more }: StageOptions = {}) {
  let provider: Provider | undefined
  const http = createServer((request, response) => provider?.callback()(request, response))
  const peer = await until(
    startTlsServer({ identity, requestCert: true, onSocket: (socket) => void http.emit('connection', socket) }),
  )
  const issuer = `https://${HOST}:${peer.port}`
  provider = new Provider(issuer, configuration(more))
  const events: ClientEvent[] = []
  const client = testClient({
    pins: { [HOST]: [identity.pin] },
    anchors: ca.anchorPem,
    certificate: { cert: ownCertificate.pem, key: ownCertificate.keyPem },
  })
  const host = {
    fetch: client.fetch,
    runtime: impatient(skewedRuntime(clockMs)),
    emit: (event: ClientEvent) => void events.push(event),
  }
  const protocol = (id: string, more: Partial<ProtocolOptions>) => {
    const authentication = id === 'by-key' ? byKey : bySecret
    return protocolAt({ issuer, host }, { ...DISCOVERED, client: { id, authentication }, ...more })
  }
  return { provider, issuer, events, protocol }
}

/** Who names no interval is asked every five seconds, which a test need not wait for. */
function impatient(runtime: Runtime): Runtime {
  return { ...runtime, schedule: (ms, run) => runtime.schedule(ms === 5_000 ? 50 : ms, run) }
}

function configuration({ clients = [], features = {} }: StageOptions): object {
  const common = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'], scope: 'read' }
  const jwk = (key: KeyObject, more: object) => ({ ...key.export({ format: 'jwk' }), ...more })
  return {
    clients: [
      { ...common, client_id: 'by-secret', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' },
      {
        ...common,
        client_id: 'by-key',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [jwk(jwtKey.publicKey, { kid: 'k1', use: 'sig', alg: 'ES256' })] },
      },
      {
        ...common,
        client_id: 'by-certificate',
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        tls_client_certificate_bound_access_tokens: true,
        jwks: {
          keys: [
            jwk(new X509Certificate(ownCertificate.der).publicKey, {
              kid: 'c1',
              x5c: [Buffer.from(ownCertificate.der).toString('base64')],
            }),
          ],
        },
      },
      {
        client_id: 'by-device',
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_basic',
        redirect_uris: [],
        response_types: [],
        grant_types: [DEVICE_CODE, 'refresh_token'],
        scope: 'openid offline_access',
      },
      ...clients,
    ],
    jwks: {
      keys: [
        jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, { kid: 's1', use: 'sig', alg: 'RS256' }),
      ],
    },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'offline_access', 'read'],
    findAccount: async (_: unknown, id: string) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    rotateRefreshToken: true,
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'self_signed_tls_client_auth'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true, allowReplay: false },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        getCertificate: ({ req }: { req: IncomingMessage }) => {
          const { raw } = (req.socket as TLSSocket).getPeerCertificate()
          return raw === undefined ? undefined : new X509Certificate(raw)
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: () => ({ scope: 'read', accessTokenFormat: 'jwt', accessTokenTTL: 600 }),
      },
      ...features,
    },
  }
}

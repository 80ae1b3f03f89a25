import { constants } from 'node:crypto'
import tls from 'node:tls'
import { TlsError } from '../errors/errors.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import type { HostPolicy } from '../trust/policy.ts'
import type { ClientIdentity } from './client-certificate.ts'
import { offeredGroups } from './groups.ts'

/** What a ClientHello offers: TLS 1.3 alone, also TLS 1.2, or also CBC suites. */
export type Offer = '1.3' | '1.2' | 'legacy'

export const offerOf = ({ minTlsVersion, profile }: HostPolicy): Offer => profile ?? minTlsVersion

/** Whether a connection of TLS 1.2 that was made under one offer may go on under another. */
export const isOffered = (suite: string, offer: Offer): boolean => SUITES[offer].includes(suite)

/**
 * One SecureContext for each client certificate, set of anchors and offer. Reading 120 roots takes OpenSSL 10 to 35 ms, so
 * connectors without a certificate of their own share them. Those of a certificate that is no longer used go with it.
 */
export function contextFor(policy: HostPolicy, identity: ClientIdentity | undefined): tls.SecureContext {
  const { anchors } = policy
  const offer = offerOf(policy)
  const contexts = identity === undefined ? sharedContexts : (ownContexts.get(identity) ?? new WeakMap())
  if (identity !== undefined) ownContexts.set(identity, contexts)
  const offers = contexts.get(anchors) ?? new Map<Offer, tls.SecureContext>()
  contexts.set(anchors, offers)
  const context = offers.get(offer) ?? createContext(anchors, offer, identity)
  offers.set(offer, context)
  return context
}

function createContext(anchors: AnchorSet, offer: Offer, identity: ClientIdentity | undefined): tls.SecureContext {
  const settings: tls.SecureContextOptions = {
    ca: [...anchors.pem],
    minVersion: offer === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: SUITES[offer].join(':'),
    sigalgs: SIGNATURE_ALGORITHMS,
    ecdhCurve: offeredGroups(),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION, // disableRenegotiation() does nothing on a client socket
    ...identity?.material,
  }
  try {
    return tls.createSecureContext(settings)
  } catch (cause) {
    if (identity === undefined) throw cause
    const reason = cause instanceof Error ? cause.message : 'unknown reason'
    const message = `certificate ${identity.serial} of ${identity.subject}: OpenSSL cannot use it any longer: ${reason}`
    throw new TlsError('ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE', message, { cause }) // a token that was pulled out
  }
}

type Contexts = WeakMap<AnchorSet, Map<Offer, tls.SecureContext>>

const sharedContexts: Contexts = new WeakMap()
const ownContexts = new WeakMap<ClientIdentity, Contexts>()
const TLS13_SUITES = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'] // RFC 8446 §B.4
// RFC 9325 §4.2: ephemeral key exchange and authenticated encryption, nothing else.
const TLS12_SUITES = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
]
// Ephemeral key exchange still; encryption that is authenticated after the fact, by HMAC (RFC 5289, RFC 8422).
const LEGACY_SUITES = [
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
]
const SUITES: Readonly<Record<Offer, readonly string[]>> = {
  '1.3': TLS13_SUITES,
  '1.2': [...TLS13_SUITES, ...TLS12_SUITES],
  legacy: [...TLS13_SUITES, ...TLS12_SUITES, ...LEGACY_SUITES],
}
// RFC 8446 §4.2.3 without SHA-1; the PKCS#1 ones serve certificate signatures only.
const SIGNATURE_ALGORITHMS = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'ed448',
  'rsa_pss_pss_sha256',
  'rsa_pss_pss_sha384',
  'rsa_pss_pss_sha512',
  'rsa_pss_rsae_sha256',
  'rsa_pss_rsae_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pkcs1_sha256',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha512',
].join(':')

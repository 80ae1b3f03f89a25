import tls from 'node:tls'

/**
 * The key exchange groups that are offered, in OpenSSL's notation, the favourite first. The hybrid of X25519 and ML-KEM-768, where
 * OpenSSL has it, keeps what is recorded today from a quantum computer of tomorrow; then X25519, P-256, P-384. A star sends a
 * key share along: with one for X25519 too, a server that lacks the hybrid asks for no second ClientHello.
 */
export function offeredGroups(): string {
  return hasHybrid() ? `*${HYBRID}:*X25519:P-256:P-384` : 'X25519:P-256:P-384'
}

/**
 * The group whose key exchange a connection rests on, by its name in the IANA registry. A session that was resumed under TLS 1.2
 * had none of its own. Node 22 says nothing at all of groups that are no curve; of those offered, the hybrid alone is none.
 */
export function groupOf(socket: tls.TLSSocket): string | undefined {
  if (socket.isSessionReused() && socket.getProtocol() !== 'TLSv1.3') return undefined
  const name: unknown = Reflect.get(socket.getEphemeralKeyInfo() ?? {}, 'name')
  if (typeof name === 'string') return IANA_NAMES[name] ?? name
  return hasHybrid() ? HYBRID : undefined
}

/** Asked once: the OpenSSL of Node 20 lacks it. */
function hasHybrid(): boolean {
  hybridIsThere ??= supports(HYBRID)
  return hybridIsThere
}

function supports(ecdhCurve: string): boolean {
  try {
    tls.createSecureContext({ ecdhCurve, ca: [] }) // no roots: reading them is what takes long
    return true
  } catch {
    return false
  }
}

let hybridIsThere: boolean | undefined
const HYBRID = 'X25519MLKEM768'
const IANA_NAMES: Readonly<Record<string, string>> = {
  X25519: 'x25519',
  prime256v1: 'secp256r1',
  'P-256': 'secp256r1',
  'P-384': 'secp384r1',
}

import tls from 'node:tls'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { systemRuntime } from '../ports/system.ts'
import type { Diagnosis } from './doctor.ts'

/** What a server still accepts that no client should be able to ask for: two handshakes that offer nothing else, and send nothing. */
export async function probeWeaknesses(
  origin: CanonicalOrigin,
  signal: AbortSignal | undefined,
): Promise<readonly Diagnosis[]> {
  const [old, weak] = await Promise.all([
    accepts(origin, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }, signal),
    accepts(origin, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: WEAK_SUITES }, signal),
  ])
  return [protocol(old), suite(weak)]
}

function protocol(accepted: Accepted | undefined): Diagnosis {
  const id = 'SERVER-TLS'
  const subject = 'old protocols'
  if (accepted === undefined) return { id, severity: 'ok', subject, message: 'nothing below TLS 1.2 is accepted' }
  const message = `${accepted.protocol} is accepted, which RFC 8996 retired`
  return { id, severity: 'warning', subject, message, fix: 'Have the server accept TLS 1.2 and 1.3 alone.' }
}

function suite(accepted: Accepted | undefined): Diagnosis {
  const id = 'SERVER-SUITE'
  const subject = 'weak suites'
  if (accepted === undefined) return { id, severity: 'ok', subject, message: 'none is accepted' }
  const message = `${accepted.suite} is accepted: no forward secrecy, or no AEAD`
  const fix = 'Have the server accept ECDHE with GCM or ChaCha20-Poly1305 alone (RFC 9325 §4.2).'
  return { id, severity: 'warning', subject, message, fix }
}

interface Accepted {
  readonly protocol: string
  /** By its name in the IANA registry. */
  readonly suite: string
}

/** `undefined` where the handshake is not finished: refused, too slow, or interrupted. The certificate does not matter here. */
function accepts(
  origin: CanonicalOrigin,
  offer: Pick<tls.ConnectionOptions, 'minVersion' | 'maxVersion' | 'ciphers'>,
  signal: AbortSignal | undefined,
): Promise<Accepted | undefined> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      ...offer,
      host: origin.host,
      port: origin.port,
      servername: origin.kind === 'dns' ? origin.host : '', // RFC 6066 §3: no address in SNI
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    })
    const end = (accepted: Accepted | undefined): void => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(accepted)
    }
    const onAbort = (): void => end(undefined)
    const cancel = systemRuntime.schedule(TIMEOUT_MS, onAbort)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', () =>
      end({ protocol: socket.getProtocol() ?? 'unknown', suite: socket.getCipher().standardName }),
    )
    socket.on('error', () => end(undefined))
    socket.once('close', () => end(undefined))
  })
}

/** RSA key transport, and CBC with ECDHE: what no part of the library offers by default. */
const WEAK_SUITES =
  'AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES128-SHA:AES256-SHA256:AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:@SECLEVEL=0'
const TIMEOUT_MS = 5_000

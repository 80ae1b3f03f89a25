import { ConfigurationError, PinfetchError, TlsError } from '../errors/errors.ts'
import type { Cancel, UnixMs } from '../ports/runtime.ts'
import type { ClientIdentity, KeyedCertificate } from '../transport/client-certificate.ts'
import { answerWithin, createAttempts, soon } from './certificate-attempts.ts'
import { checkIdentity, type Places } from './certificate-check.ts'
import {
  type CertificateLife,
  type CertificatePhase,
  lifeOf,
  nextPhaseAt,
  PHASES,
  phaseAt,
} from './certificate-life.ts'
import type { PemIdentity, ResolvedCertificate } from './certificate-options.ts'
import { beginFiles, beginLoader } from './certificate-sources.ts'
import type { Following } from './follow-files.ts'

/** The client certificate that is in use. */
export interface CertificateHealth {
  readonly subject: string
  /** Hexadecimal, lower case. */
  readonly serial: string
  /** Unix milliseconds. */
  readonly notAfter: UnixMs
  /** `renewalDue` from two thirds of the life on, `expiring` in the last tenth. */
  readonly state: CertificatePhase
}

/** The client's own certificate over time. */
export interface OwnCertificate {
  /**
   * What a connection is made with now.
   *
   * @throws TlsError `ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE` while no `load` succeeded.
   */
  readonly current: () => ClientIdentity
  /** Resolves when the first `load` ended, or after ten seconds; `undefined` where there is nothing to wait for. */
  readonly loading: () => Promise<void> | undefined
  /** `undefined` while there is none. */
  readonly health: () => CertificateHealth | undefined
  readonly close: () => void
}

/**
 * Loads the client's certificate, watches where it comes from, and has it renewed in time. What is given or read from files is
 * judged now; a successor that is refused is an event, and the certificate in force stays.
 *
 * @throws ConfigurationError for what is given or read from files.
 */
export function createOwnCertificate(
  source: ResolvedCertificate,
  world: Following & { readonly changed: () => void },
): OwnCertificate {
  const { runtime, emit, changed } = world
  const { clock } = runtime
  const places = placesOf(source)
  let inForce: { readonly identity: ClientIdentity; readonly life: CertificateLife } | undefined
  let announced: CertificatePhase = 'valid'
  let ended = false
  let cancelTick: Cancel = () => {}

  const share = (): number => new DataView(runtime.random(4).buffer).getUint32(0) / 2 ** 32
  const adopt = (material: KeyedCertificate): void => {
    const identity = checkIdentity(material, places, clock.now())
    if (inForce !== undefined && isSame(inForce.identity, identity)) return
    const isFirst = inForce === undefined
    inForce = { identity, life: lifeOf(identity, share()) }
    announced = 'valid'
    renewal.succeeded()
    queueMicrotask(() => emit({ type: 'certificate.loaded', ...publicPartOf(identity) })) // the first: once listeners are there
    queueMicrotask(tick)
    if (!isFirst) changed()
  }
  const refuse = (error: unknown): void => {
    if (ended) return
    const known = error instanceof PinfetchError
    const code = known ? error.code : 'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE'
    const reason = error instanceof Error ? error.message : typeof error === 'string' ? error : 'failed' // not every object has a text
    const message = known ? error.message : `${places.cert}: ${reason}`
    emit({ type: 'certificate.rejected', code, message })
  }

  /** Tells each phase once, and has the certificate renewed from `renewalDue` on. */
  const tick = (): void => {
    if (ended || inForce === undefined) return
    cancelTick()
    const { identity, life } = inForce
    const now = clock.now()
    for (const phase of PHASES.slice(PHASES.indexOf(announced) + 1, PHASES.indexOf(phaseAt(life, now)) + 1)) {
      announced = phase
      if (phase !== 'valid') emit({ type: `certificate.${phase}`, ...publicPartOf(identity) })
      if (phase === 'renewalDue') renewal.start()
    }
    const next = nextPhaseAt(life, now)
    if (next !== undefined) cancelTick = runtime.schedule(Math.min(next - now, LOOK_AT_CLOCK_MS), tick)
  }

  const obtain = source.kind === 'loader' ? source.load : source.renew
  const renewal = createAttempts(runtime, {
    run: async () => {
      if (obtain === undefined) return
      const material = requireShape(await answerWithin(runtime, obtain(), places.cert), places.cert)
      if (ended) return
      adopt(material)
      if (inForce !== undefined && phaseAt(inForce.life, clock.now()) !== 'valid') throw new StillDue()
    },
    failed: (error) => {
      if (!(error instanceof StillDue)) refuse(error)
    },
    firstPauseMs: () => (inForce === undefined ? FIRST_PAUSE_MS : RENEWAL_PAUSE_MS),
    share,
  })

  let loading: Promise<void> | undefined
  const begin = (): Cancel => {
    switch (source.kind) {
      case 'given':
        adopt(source.material)
        return () => {}
      case 'files':
        return beginFiles(source, world, adopt, refuse)
      case 'loader':
        loading = soon(runtime, renewal.start()).finally(() => {
          loading = undefined
        })
        return beginLoader(source, world, renewal.start, refuse)
    }
  }
  const end = begin()

  return {
    current: () => {
      if (inForce !== undefined) return inForce.identity
      const message = 'certificate.load has not answered with a valid certificate; nothing was sent'
      throw new TlsError('ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE', message)
    },
    loading: () => loading,
    health: () => inForce && { ...publicPartOf(inForce.identity), state: phaseAt(inForce.life, clock.now()) },
    close: () => {
      ended = true
      cancelTick()
      renewal.close()
      end()
    },
  }
}

function requireShape(given: PemIdentity | undefined, place: string): PemIdentity {
  const { cert, key, passphrase } = given ?? {}
  const isText = typeof cert === 'string' && typeof key === 'string'
  if (isText && (passphrase === undefined || typeof passphrase === 'string')) {
    return passphrase === undefined ? { cert, key } : { cert, key, passphrase }
  }
  throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', `${place}: expected an answer { cert, key } of PEM texts`)
}

function placesOf(source: ResolvedCertificate): Places {
  switch (source.kind) {
    case 'given':
      return {
        cert: 'certificate.cert',
        key: 'key' in source.material ? 'certificate.key' : 'certificate.privateKeyEngine',
      }
    case 'files':
      return { cert: source.certFile, key: source.keyFile ?? 'certificate.privateKeyEngine' }
    case 'loader':
      return { cert: 'certificate.load', key: 'certificate.load' }
  }
}

function isSame({ material: one }: ClientIdentity, { material: other }: ClientIdentity): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function publicPartOf({
  subject,
  serial,
  notAfter,
}: ClientIdentity): Pick<ClientIdentity, 'subject' | 'serial' | 'notAfter'> {
  return { subject, serial, notAfter }
}

/** What was answered is due for renewal itself, perhaps the certificate in force: asked again later, and nothing to tell. */
class StillDue extends Error {}

const FIRST_PAUSE_MS = 1_000
const RENEWAL_PAUSE_MS = 60_000
const LOOK_AT_CLOCK_MS = 3_600_000 // the wall clock may step, the timer sleeps with the machine

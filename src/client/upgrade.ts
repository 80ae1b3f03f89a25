import { canonicalHost } from '../encoding/host.ts'
import { PolicyError } from '../errors/errors.ts'
import type { Hsts } from './hsts.ts'

/** The https URL that an http URL is read as. Rejects with ERR_POLICY_PLAINTEXT: nothing is ever sent in the clear. */
export type Upgrade = (url: URL) => Promise<URL>

/**
 * RFC 6797 §8.3: a host that said so is asked over https, port 80 becoming 443 and any other staying. That another host is
 * asked by http URL is a mistake in the program, so it is refused in every mode.
 */
export function createUpgrade(hsts: Pick<Hsts, 'knows' | 'loaded'>, mode: 'never' | 'hsts'): Upgrade {
  return async (url) => {
    if (mode === 'hsts') await hsts.loaded
    const host = canonicalHost(url.hostname)
    const isKnown = host !== undefined && hsts.knows(host)
    if (!isKnown || mode === 'never') throw plaintext(url, isKnown)
    const secured = new URL(url)
    secured.protocol = 'https:'
    return secured
  }
}

export function plaintext({ protocol, host }: URL, hasHsts = false): PolicyError {
  const known = hasHsts ? '; the host has said that it is to be asked over https alone (HSTS)' : ''
  const message = `${protocol}//${host}: only https URLs are requested, so nothing was sent${known}`
  return new PolicyError('ERR_POLICY_PLAINTEXT', message, { host })
}

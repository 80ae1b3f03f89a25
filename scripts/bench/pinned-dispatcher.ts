import { canonicalOrigin } from '../../src/encoding/host.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { PinnedDispatcher } from '../../src/transport/dispatcher.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../../src/transport/limits.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import type { Served } from './server.ts'

/** What stands below the client's fetch, as undici's own `request()` takes it: the same words on both sides of a comparison. */
export function createPinnedDispatcher({ ca, pins }: Served, url: string): PinnedDispatcher {
  const origin = canonicalOrigin(new URL(url))
  if (origin === undefined) throw new Error(`${url} has no canonical origin`)
  const policy: HostPolicy = {
    host: origin.host,
    port: origin.port,
    source: 'code',
    mode: 'enforce',
    denies: [],
    pinGroups: [pins.map((pin) => ({ spki: pin as PinText }))],
    anchors: createAnchors(ca),
    revocation: DEFAULT_REVOCATION,
    minTlsVersion: '1.3',
    manifestVersion: 0,
    generation: 'bench',
  }
  return new PinnedDispatcher({
    policyOf: () => policy,
    runtime: systemRuntime,
    emit: () => undefined,
    timeouts: DEFAULT_TIMEOUTS,
    limits: DEFAULT_LIMITS,
    http2: 'require',
  })
}

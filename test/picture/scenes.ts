import type { CertificateFact, Facts, HostFact, PinFact } from '../../src/picture/facts.ts'
import type { Matrix } from '../../src/picture/tables.ts'

export const DAY = 86_400_000
export const NOW = Date.UTC(2030, 0, 15, 9)

/** A pin whose digest is a letter again and again. */
const pinOf = (letter: string): string => `sha256/${letter.repeat(43)}=`

export function certificate(
  letter: string,
  from: number,
  until: number,
  more: readonly string[] = [],
): CertificateFact {
  const path = [letter, ...more].map((one) => [pinOf(one)])
  return { subject: `CN=${letter}`, from: NOW + from * DAY, until: NOW + until * DAY, path }
}

export function pin(letter: string, window: Partial<PinFact> = {}): PinFact {
  return { spki: pinOf(letter), ...window }
}

/** A deployment in the middle of things: a rotation, a certificate that nobody renewed, a killed key. */
export const busy: Facts = {
  documents: [
    {
      label: 'root 3 of acme/pins',
      from: NOW - 100 * DAY,
      until: NOW + 300 * DAY,
      effect: 'no newer status or manifest is accepted',
      code: 'ERR_MANIFEST_ROOT_EXPIRED',
    },
    {
      label: 'manifest 41 of acme/pins',
      from: NOW - 12 * DAY,
      until: NOW + 78 * DAY,
      effect: 'clients refuse requests',
      code: 'ERR_MANIFEST_EXPIRED',
    },
    {
      label: 'status 977 of acme/pins',
      from: NOW - DAY,
      until: NOW + 6 * DAY,
      effect: 'clients that start refuse requests',
      code: 'ERR_MANIFEST_STATUS_EXPIRED',
    },
  ],
  hosts: [
    {
      host: 'api.example.com',
      certificates: [certificate('A', -40, 50, ['R']), certificate('B', -2, 88)],
      staples: [{ label: 'good, CN=A', from: NOW - DAY, until: NOW + 2 * DAY }],
      pins: [
        pin('A', { label: 'serving', until: NOW + 40 * DAY }),
        pin('B', { label: 'next' }),
        pin('C', { label: 'after that', from: NOW + 30 * DAY }),
        pin('D', { label: 'of last year', until: NOW - 20 * DAY }),
        pin('X', { isDenied: true }),
      ],
    },
    {
      host: 'billing.example.com:8443',
      certificates: [certificate('E', -70, 20)],
      pins: [pin('E'), pin('F', { label: 'backup' })],
    },
    { host: '*.partner.example', certificates: [], pins: [pin('P'), pin('Q', { label: 'backup' })] },
  ],
  own: [
    {
      what: 'client certificate',
      label: 'CN=checkout',
      from: NOW - 60 * DAY,
      until: NOW + 30 * DAY,
      outage: {
        effect: 'servers that ask for it refuse connections',
        code: 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED',
      },
    },
    {
      what: 'revocation list',
      label: 'http://crl.example/1.crl',
      from: NOW - DAY,
      until: NOW + 6 * DAY,
    },
    { what: 'log list', label: '2030-01-02', from: NOW - 13 * DAY, until: NOW + 57 * DAY },
  ],
  denied: [{ spki: pinOf('Z'), reason: 'found on a laptop' }],
}

/** The same with many hosts, each of its own. */
export function crowd(count: number): Facts {
  const hosts = Array.from({ length: count }, (_, index): HostFact => {
    const letter = String.fromCharCode(65 + (index % 26))
    return {
      host: `service-${index}.region-${index % 3}.long-company-name.example`,
      certificates: [certificate(letter, -30, 20 + index * 3)],
      pins: [pin(letter), pin('z', { label: 'backup' })],
    }
  })
  return { ...busy, hosts }
}

/** What an attacker would write into what is shown. */
export const HOSTILE = [
  '<script>document.title="ran"</script>',
  '"><img src=//evil.example/x onerror=alert(1)>',
  '</title></svg><script>document.title="ran"</script>',
  '&lt;script&gt; \u202egnp.exe \u0000 \u001b[2J',
  "' style='position:fixed' onload='x",
  'javascript:alert(1)//'.repeat(30),
] as const

export const hostile: Facts = {
  documents: busy.documents.map((document, index) => ({
    ...document,
    label: HOSTILE[index] ?? '',
    effect: HOSTILE[1],
  })),
  hosts: HOSTILE.map((text) => ({
    host: text,
    certificates: [{ ...certificate('A', -1, 10), subject: text }],
    pins: [pin('A', { label: text }), { spki: text }],
  })),
  own: HOSTILE.map((label) => ({ what: 'client certificate' as const, label, until: NOW + DAY })),
  denied: HOSTILE.map((text) => ({ spki: text, reason: text })),
}

export const matrix: Matrix = {
  columns: ['fetch', 'undici', 'pinfetch'],
  rows: [
    { id: 'L01', group: 'certificates', title: 'a certificate of a CA that is trusted, and not pinned' },
    { id: 'L02', group: 'names', title: 'a certificate for another name' },
    { id: 'L03', group: 'connections', title: 'a server that asks for renegotiation' },
  ],
  cells: [
    [
      { text: 'lost: 412 octets', status: 'bad' },
      { text: 'lost: 412 octets', status: 'bad' },
      { text: 'refused: ERR_TRUST_PIN_MISMATCH', status: 'good' },
    ],
    [
      { text: 'refused', status: 'good' },
      { text: 'refused', status: 'good' },
      { text: 'refused: ERR_TRUST_NAME_MISMATCH', status: 'good' },
    ],
    [{ text: 'not run', status: 'neutral' }],
  ],
}

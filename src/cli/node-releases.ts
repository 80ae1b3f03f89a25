/** One security release of Node: what it fixed of TLS, HTTP, DNS and permissions, and in which versions. */
interface SecurityRelease {
  readonly published: string
  /** By release line. */
  readonly fixedIn: Readonly<Record<number, string>>
  readonly fixes: readonly NodeFix[]
}

export interface NodeFix {
  readonly cve: string
  readonly area: 'tls' | 'http' | 'http2' | 'dns' | 'permission'
  readonly about: string
  /** The lines that had the flaw, where they are not all that the release fixed. */
  readonly lines?: readonly number[]
}

/** What of the table a Node lacks. */
interface MissingFixes {
  readonly fixes: readonly NodeFix[]
  /** The version of the same line that has them all. */
  readonly fixedIn: string | undefined
  /** Found after the line had ended: nobody says that they spare it. */
  readonly unexamined: readonly NodeFix[]
}

/** Pure. @param version `22.23.4`. */
export function missingFixes(version: string): MissingFixes {
  const line = Number(version.split('.')[0])
  const fixes: NodeFix[] = []
  const unexamined: NodeFix[] = []
  let fixedIn: string | undefined
  for (const release of SECURITY_RELEASES) {
    const fixed = release.fixedIn[line]
    const isOlder = line < Math.max(...Object.keys(release.fixedIn).map(Number))
    if (fixed === undefined && isOlder) unexamined.push(...release.fixes.filter(({ lines }) => lines === undefined))
    if (fixed === undefined || !isBefore(version, fixed)) continue
    fixes.push(...release.fixes.filter(({ lines }) => lines === undefined || lines.includes(line)))
    if (fixedIn === undefined || isBefore(fixedIn, fixed)) fixedIn = fixed
  }
  return { fixes, fixedIn, unexamined }
}

function isBefore(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number.parseFloat))
  const at = (right ?? []).findIndex((part, index) => part !== left?.[index])
  return at >= 0 && (left?.[at] ?? 0) < (right?.[at] ?? 0)
}

/** From nodejs/security-wg (vuln/core) and the release notes; what they fixed elsewhere, in V8 or zlib, is left out. */
const SECURITY_RELEASES: readonly SecurityRelease[] = [
  {
    published: '2025-05-14',
    fixedIn: { 20: '20.19.2' },
    fixes: [{ cve: 'CVE-2025-23167', area: 'http', about: 'a header section could end wrongly', lines: [20] }],
  },
  {
    published: '2025-12-10',
    fixedIn: { 24: '24.12.0' },
    fixes: [{ cve: 'CVE-2025-59464', area: 'tls', about: 'reading peer certificates leaked memory', lines: [24] }],
  },
  {
    published: '2026-01-13',
    fixedIn: { 20: '20.20.0', 22: '22.22.0', 24: '24.13.0', 25: '25.3.0' },
    fixes: [
      { cve: 'CVE-2025-59465', area: 'http2', about: 'a malformed HEADERS frame ended the process' },
      { cve: 'CVE-2026-21637', area: 'tls', about: 'a callback that throws ended the process' },
      { cve: 'CVE-2025-55130', area: 'permission', about: 'symbolic links left the allowed folders' },
      { cve: 'CVE-2025-55132', area: 'permission', about: 'times of read-only files could be set' },
      { cve: 'CVE-2026-21636', area: 'permission', about: 'Unix sockets were not asked about', lines: [25] },
    ],
  },
  {
    published: '2026-03-24',
    fixedIn: { 20: '20.20.2', 22: '22.22.2', 24: '24.14.1', 25: '25.8.2' },
    fixes: [
      { cve: 'CVE-2026-21637', area: 'tls', about: 'an SNI callback that throws ended the process' },
      { cve: 'CVE-2026-21710', area: 'http', about: 'a header named __proto__ ended the process' },
      { cve: 'CVE-2026-21714', area: 'http2', about: 'sessions in error were never freed' },
      { cve: 'CVE-2026-21715', area: 'permission', about: 'realpath.native was not asked about' },
      { cve: 'CVE-2026-21716', area: 'permission', about: 'modes of open files could be changed' },
      { cve: 'CVE-2026-21711', area: 'permission', about: 'servers on Unix sockets were not asked about', lines: [25] },
    ],
  },
  {
    published: '2026-06-18',
    fixedIn: { 22: '22.23.0', 24: '24.17.0', 26: '26.3.1' },
    fixes: [
      { cve: 'CVE-2026-48618', area: 'tls', about: 'a host with another kind of dot passed a wildcard' },
      { cve: 'CVE-2026-48934', area: 'tls', about: 'a session was resumed for another host, unjudged' },
      { cve: 'CVE-2026-48928', area: 'tls', about: 'an upper-case server name missed its context' },
      { cve: 'CVE-2026-48930', area: 'dns', about: 'a host name was cut off at a NUL' },
      { cve: 'CVE-2026-48931', area: 'http', about: 'a response was taken from before its request' },
      { cve: 'CVE-2026-48615', area: 'http', about: 'an error showed the credentials of a proxy' },
      { cve: 'CVE-2026-48619', area: 'http2', about: 'ORIGIN frames filled the memory of a client' },
      { cve: 'CVE-2026-48937', area: 'http2', about: 'sessions went on after GOAWAY', lines: [22, 24] },
      { cve: 'CVE-2026-48617', area: 'permission', about: 'reports were written anywhere' },
      { cve: 'CVE-2026-48935', area: 'permission', about: 'times of read-only files could be set' },
      { cve: 'CVE-2026-48936', area: 'permission', about: 'servers on Unix sockets were not asked about', lines: [26] },
    ],
  },
  {
    published: '2026-07-29',
    fixedIn: { 22: '22.23.2', 24: '24.18.1', 26: '26.5.1' },
    fixes: [
      { cve: 'CVE-2026-58040', area: 'tls', about: 'a session was resumed past another name check' },
      { cve: 'CVE-2026-56850', area: 'tls', about: 'a connection of another client certificate was used' },
      { cve: 'CVE-2026-58042', area: 'dns', about: 'a long answer ended the process' },
      { cve: 'CVE-2026-58044', area: 'http', about: 'surplus header fields counted, unseen' },
      { cve: 'CVE-2026-56846', area: 'http2', about: 'header blocks filled the memory', lines: [22, 24] },
      { cve: 'CVE-2026-56848', area: 'http2', about: 'freed memory was used' },
      { cve: 'CVE-2026-58043', area: 'permission', about: 'a path allowed its namesakes too' },
      { cve: 'CVE-2026-56847', area: 'permission', about: 'traces were written anywhere' },
      { cve: 'CVE-2026-58039', area: 'permission', about: 'reports were written anywhere' },
    ],
  },
  {
    published: '2026-10-21',
    fixedIn: { 22: '22.23.4', 24: '24.22.1', 26: '26.12.1' },
    fixes: [
      { cve: 'CVE-2026-105483', area: 'tls', about: 'an address in wide digits passed as a name', lines: [24, 26] },
      { cve: 'CVE-2026-106069', area: 'tls', about: 'an address with a leading zero passed as another' },
      {
        cve: 'CVE-2026-106072',
        area: 'tls',
        about: 'an unusual spelling of an address passed as a name',
        lines: [24, 26],
      },
      { cve: 'CVE-2026-105482', area: 'dns', about: 'a name was cut off at a NUL' },
      { cve: 'CVE-2026-105481', area: 'http', about: 'a response was taken from before its request' },
      { cve: 'CVE-2026-111497', area: 'http', about: 'a Brotli body wrote out of bounds' },
      { cve: 'CVE-2026-106073', area: 'permission', about: 'realpathSync was not asked about' },
      { cve: 'CVE-2026-106071', area: 'permission', about: 'a wildcard allowed too much', lines: [26] },
    ],
  },
  {
    published: '2026-11-11',
    fixedIn: { 22: '22.23.5', 24: '24.22.3', 26: '26.13.1' },
    fixes: [
      { cve: 'CVE-2026-123872', area: 'tls', about: 'resumption or renegotiation changed the server name' },
      { cve: 'CVE-2026-126051', area: 'tls', about: 'a peer could end a TLS server', lines: [24, 26] },
      { cve: 'CVE-2026-123867', area: 'tls', about: 'a context of a server name lost its CA' },
      { cve: 'CVE-2026-123877', area: 'tls', about: 'a connection of another TLS policy was used' },
      { cve: 'CVE-2026-123864', area: 'http', about: 'a parser ran inside of itself' },
      { cve: 'CVE-2026-123871', area: 'http', about: 'an error showed the credentials of a proxy' },
      { cve: 'CVE-2026-123863', area: 'http2', about: 'headers of removed streams were kept' },
      { cve: 'CVE-2026-123865', area: 'http2', about: 'abandoned streams were kept' },
      { cve: 'CVE-2026-123866', area: 'http2', about: 'buffers were freed while they were written' },
      { cve: 'CVE-2026-123874', area: 'http2', about: 'streams were freed while they were written' },
      { cve: 'CVE-2026-123828', area: 'http2', about: 'ALTSVC overflowed a buffer' },
      { cve: 'CVE-2026-123868', area: 'http2', about: 'received data counted for no limit' },
      { cve: 'CVE-2026-123875', area: 'http2', about: 'a cancelled stream ended the process' },
      { cve: 'CVE-2026-123829', area: 'permission', about: 'a refusal told of what it refused' },
    ],
  },
]

/** What was published later is not known here. */
export const KNOWN_UNTIL = SECURITY_RELEASES.at(-1)?.published ?? ''

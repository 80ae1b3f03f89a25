import { LOOPBACK } from '../loopback.ts'
import type { Authority } from './mitmproxy.ts'
import type { ProgramOptions } from './programs.ts'

/**
 * `sslsplit` on this port, minting under this CA, in front of a server of this machine. Its `connections.log` has a line for each
 * request that it read.
 */
export function sslsplit(
  port: number,
  authority: Authority,
  target: number,
  flags: readonly string[] = [],
): ProgramOptions {
  const own = process.getuid?.() === 0 ? ['-u', 'root'] : [] // by itself root becomes nobody, who may not write here
  const route = ['https', LOOPBACK, `${port}`, LOOPBACK, `${target}`]
  return {
    args: ['-D', ...own, ...flags, '-c', 'ca.pem', '-l', 'connections.log', ...route],
    ports: [port],
    files: { 'ca.pem': authority.pem + authority.keyPem },
  }
}

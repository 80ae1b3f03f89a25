import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestCertificate } from 'pinfetch/testing'
import { startTool, type Tool } from './tools.ts'

/**
 * mitmdump on this port, minting under `authority`, with an add-on that tells what it sees of its clients.
 *
 * @param flags The mode, by default that of a proxy, and whatever else.
 */
export async function startMitmdump(
  port: number,
  authority: TestCertificate,
  flags: readonly string[],
): Promise<Mitmdump> {
  const where = ['--listen-host', '127.0.0.1', '--listen-port', `${port}`, '--ssl-insecure', '--set', 'confdir=.']
  const tool = await startTool('mitmdump', [...where, ...flags, '-s', 'witness.py'], {
    ports: [port],
    // With no CA in its folder it would make one of its own.
    files: { 'mitmproxy-ca.pem': authority.keyPem + authority.pem, 'witness.py': WITNESS },
    env: { WITNESS: 'witness.log' },
  })
  const seen = (): readonly Seen[] => {
    const lines = tool.read('witness.log').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Seen)
  }
  return { port, tool, seen }
}

export interface Mitmdump {
  readonly port: number
  readonly tool: Tool
  /** So far, in order. */
  readonly seen: () => readonly Seen[]
}

export interface Seen {
  readonly event: 'clientHello' | 'established' | 'failed' | 'request'
  readonly sni: string
  /** That the client showed: known once the handshake is finished. */
  readonly certificates: number
}

const WITNESS = readFileSync(join(import.meta.dirname, 'witness.py'), 'utf8')

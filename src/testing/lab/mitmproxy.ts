import { LOOPBACK } from '../loopback.ts'
import type { ProgramOptions, RunningProgram } from './programs.ts'

/**
 * `mitmdump` on this port, minting under this CA, with an add-on that tells what it sees of its clients. Whatever name it is asked
 * for, it goes to this machine.
 *
 * @param flags The mode, by default that of a proxy, and whatever else.
 */
export function mitmdump(port: number, authority: Authority, flags: readonly string[]): ProgramOptions {
  const where = ['--listen-host', LOOPBACK, '--listen-port', `${port}`, '--ssl-insecure', '--set', 'confdir=.']
  return {
    args: [...where, ...flags, '-s', 'witness.py'],
    ports: [port],
    env: { PYTHONUNBUFFERED: '1' }, // or what it prints comes late
    // With no CA in its folder it would make one of its own.
    files: { 'mitmproxy-ca.pem': authority.keyPem + authority.pem, 'witness.py': WITNESS },
  }
}

/** PEM. */
export interface Authority {
  readonly pem: string
  readonly keyPem: string
}

/** So far, in order. */
export function seenBy({ read }: Pick<RunningProgram, 'read'>): readonly Seen[] {
  const lines = read('witness.log').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Seen)
}

export interface Seen {
  readonly event: 'clientHello' | 'established' | 'failed' | 'request'
  readonly sni: string
  /** That the client showed: known once the handshake is finished. */
  readonly certificates: number
}

/** One JSON object a line. By itself mitmproxy asks for no client certificate. */
const WITNESS = `
import json

from mitmproxy import ctx
from OpenSSL import SSL


def note(event, connection, **more):
    certificates = len(connection.certificate_list)
    line = {"event": event, "sni": connection.sni, "certificates": certificates, **more}
    with open("witness.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\\n")


def server_connect(data):
    host, port = data.server.address
    if host != "localhost":
        data.server.address = ("127.0.0.1", port)


def tls_clienthello(data):
    note("clientHello", data.context.client)


def tls_start_client(data):
    ctx.master.addons.get("tlsconfig").tls_start_client(data)
    data.ssl_conn.set_verify(SSL.VERIFY_PEER, lambda *_: True)


def tls_established_client(data):
    note("established", data.conn, version=data.conn.tls_version)


def tls_failed_client(data):
    note("failed", data.conn)


def requestheaders(flow):
    headers = flow.request.headers
    note("request", flow.client_conn, secret=headers.get("authorization", ""))
`

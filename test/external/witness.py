"""What mitmdump sees of its clients, one JSON object a line in the file named by WITNESS."""

import json
import os

from mitmproxy import ctx
from OpenSSL import SSL


def note(event, connection, **more):
    certificates = len(connection.certificate_list)
    line = {"event": event, "sni": connection.sni, "certificates": certificates, **more}
    with open(os.environ["WITNESS"], "a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def tls_clienthello(data):
    note("clientHello", data.context.client)


def tls_start_client(data):
    # By itself mitmproxy asks for no client certificate.
    ctx.master.addons.get("tlsconfig").tls_start_client(data)
    data.ssl_conn.set_verify(SSL.VERIFY_PEER, lambda *_: True)


def tls_established_client(data):
    note("established", data.conn, version=data.conn.tls_version)


def tls_failed_client(data):
    note("failed", data.conn)


def requestheaders(flow):
    headers = flow.request.headers
    note("request", flow.client_conn, secret=headers.get("authorization", ""))

import { certificatePem, type TestCertificate } from '../ca.ts'
import type { Files, ProgramOptions } from './programs.ts'

/** Servers that others wrote, each with a log of who asked for what. */
export type WebServer = 'nginx' | 'haproxy' | 'caddy'

/** Where one listens. */
export interface Listener {
  readonly port: number
  /** Of its files of certificates. Default `server`. */
  readonly identity?: string
  /** This version of TLS alone, and nobody without a certificate under `clients.pem`. Default: 1.2 and 1.3, with HTTP/2, for all. */
  readonly mutual?: 'TLSv1.2' | 'TLSv1.3'
}

/**
 * A server that answers 200 to everybody.
 *
 * @param files Of all identities, by `identityFiles`, and `clients.pem` where there is a mutual listener.
 */
export function webServer(program: WebServer, listeners: readonly Listener[], files: Files): ProgramOptions {
  const { args, config, env = {} } = SERVERS[program](listeners)
  return { args, env, ports: listeners.map(({ port }) => port), files: { ...files, config } }
}

/** Where a program writes who asked for what. */
export const ACCESS_LOGS = { nginx: 'access.log', haproxy: 'output', caddy: 'access.log' } as const

export function identityFiles({ chain, keyPem }: TestCertificate, identity = IDENTITY): Files {
  const certificates = chain.map(certificatePem).join('')
  return {
    [`${identity}.pem`]: certificates + keyPem,
    [`${identity}.chain`]: certificates,
    [`${identity}.key`]: keyPem,
  }
}

interface Setting {
  readonly args: readonly string[]
  readonly config: string
  readonly env?: Readonly<Record<string, string>>
}

const SERVERS: Readonly<Record<WebServer, (listeners: readonly Listener[]) => Setting>> = {
  nginx: (listeners) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
    const servers = listeners.map(({ port, identity = IDENTITY, mutual }) => {
      const demand = `ssl_verify_client on; ssl_client_certificate clients.pem;`
      return `server {
        listen 127.0.0.1:${port} ssl${mutual === undefined ? ' http2' : ''};
        ssl_protocols ${mutual ?? 'TLSv1.2 TLSv1.3'};
        ssl_certificate ${identity}.chain; ssl_certificate_key ${identity}.key;
        ${mutual === undefined ? '' : demand}
        return 200 'nginx';
      }`
    })
    const config = `daemon off; pid nginx.pid; worker_processes 1;
      events {}
      http {
        ${temporary.join(' ')} keepalive_timeout 0;
        log_format witness '$server_protocol $request_uri $status $ssl_client_s_dn'; access_log access.log witness;
        ${servers.join('\n')}
      }`
    return { args: ['-p', '.', '-c', 'config', '-e', 'error.log'], config }
  },

  haproxy: (listeners) => {
    const binds = listeners.map(({ port, identity = IDENTITY, mutual }) => {
      const version = `force-tlsv${mutual?.slice(-3).replace('.', '')}`
      const demand = mutual === undefined ? '' : ` ca-file clients.pem verify required ${version}`
      return `bind 127.0.0.1:${port} ssl crt ${identity}.pem alpn h2,http/1.1${demand}`
    })
    const config = `global
      log stdout format raw local0
    defaults
      mode http
      timeout client 60s
      timeout server 60s
      timeout connect 60s
    frontend all
      log global
      log-format "%HV %HP %ST %[ssl_c_s_dn]"
      option dontlognull
      option httpclose
      ${binds.join('\n      ')}
      http-request return status 200 content-type text/plain string haproxy
`
    return { args: ['-W', '-db', '-f', 'config'], config }
  },

  caddy: (listeners) => {
    const sites = listeners.map(({ port, identity = IDENTITY, mutual }) => {
      const version = mutual?.toLowerCase().replace('v', '')
      const demand = `{
          protocols ${version} ${version}
          client_auth {
            mode require_and_verify
            trusted_ca_cert_file clients.pem
          }
        }`
      return `https://:${port} {
        bind 127.0.0.1
        tls ${identity}.chain ${identity}.key ${mutual === undefined ? '' : demand}
        log {
          output file access.log
        }
        respond caddy
      }`
    })
    const config = `{
        admin off
        auto_https off
        servers {
          protocols h1 h2
        }
      }
      ${sites.join('\n')}`
    const env = { HOME: '.', XDG_DATA_HOME: '.', XDG_CONFIG_HOME: '.' }
    return { args: ['run', '--config', 'config', '--adapter', 'caddyfile'], config, env }
  },
}

const IDENTITY = 'server'

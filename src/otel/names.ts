/**
 * Names of OpenTelemetry's semantic conventions 1.44, as text: whoever imports them from a package gets a new name with its next
 * version, and a dashboard breaks. What they have no name for has one that begins with `pinfetch.`.
 */
export const ATTRIBUTE = {
  // Stable
  errorType: 'error.type',
  method: 'http.request.method',
  peerAddress: 'network.peer.address',
  protocolVersion: 'network.protocol.version',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  resendCount: 'http.request.resend_count',
  status: 'http.response.status_code',
  url: 'url.full',
  // In development
  connectionState: 'http.connection.state',
  tlsCipher: 'tls.cipher',
  tlsCurve: 'tls.curve',
  tlsEstablished: 'tls.established',
  tlsProtocolName: 'tls.protocol.name',
  tlsProtocolVersion: 'tls.protocol.version',
  tlsResumed: 'tls.resumed',
  tlsServerIssuer: 'tls.server.issuer',
  tlsServerNotAfter: 'tls.server.not_after',
  tlsServerSha256: 'tls.server.hash.sha256',
  tlsServerSubject: 'tls.server.subject',
  // Ours
  certificateKind: 'pinfetch.certificate.kind',
  certificateIndex: 'pinfetch.certificate.index',
  document: 'pinfetch.document',
  manifestVersion: 'pinfetch.manifest.version',
  message: 'pinfetch.message',
  mode: 'pinfetch.mode',
  proxy: 'pinfetch.proxy',
  result: 'pinfetch.result',
  spki: 'pinfetch.spki',
  trigger: 'pinfetch.trigger',
  waitMs: 'pinfetch.wait_ms',
} as const

export const METRIC = {
  requestDuration: 'http.client.request.duration', // stable
  openConnections: 'http.client.open_connections',
  certificateExpiry: 'pinfetch.certificate.expiry',
  handshakeDuration: 'pinfetch.tls.handshake.duration',
  legacyHostExpiry: 'pinfetch.legacy_host.expiry',
  logListExpiry: 'pinfetch.log_list.expiry',
  manifestExpiry: 'pinfetch.manifest.expiry',
  manifestRefreshes: 'pinfetch.manifest.refreshes',
  manifestVersion: 'pinfetch.manifest.version',
  pinExpiry: 'pinfetch.pin.expiry',
  pinValidations: 'pinfetch.pin.validations',
  rateWaits: 'pinfetch.ratelimit.waits',
  retries: 'pinfetch.retries',
  revocationListExpiry: 'pinfetch.revocation_list.expiry',
  tokenRefreshes: 'pinfetch.token.refreshes',
  validationDuration: 'pinfetch.validation.duration',
} as const

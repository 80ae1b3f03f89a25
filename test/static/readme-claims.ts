/** Headings below which sentences are still without claims. */
export const NOT_YET: readonly string[] = [
  'pinfetch',
  'Pin an API',
  'Get manifests to your fleet',
  'Rotate',
  'Kill a key',
  'Add tokens',
  'What may be asked, and what may be answered',
  'Sign',
  'A payment',
  'Mutual TLS',
  'Test',
  'Monitor',
  'It watches itself',
  'Tell your SIEM',
  'OpenTelemetry and diagnostics_channel',
  'Watch for certificates that you did not order',
  'When it refuses',
  'Evidence',
  'Where the defaults do not fit',
  'Trust',
  'Revocation',
  'Time, limits and connections',
  'Through a proxy',
  'Where requests may go',
  'Everyone else’s client',
  'Move here',
  'From a checkServerIdentity recipe',
  'From static pins',
  'From a list like HPKP’s',
  'What it runs on, and what it withstands',
  'Examples',
  'How it decides',
]

/**
 * The sentences of README below each heading, without the marks of Markdown, by the tests that show them: path below `test/`, `#`, title;
 * or an example, which is run as it stands. A sentence of several parts stands at several tests.
 */
export const CLAIMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {}

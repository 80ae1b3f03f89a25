import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { generateKey } from '../../src/x509/generate.ts'

/** Who publishes a list of logs; not Chrome. */
export interface ListPublisher {
  readonly pem: string
  readonly publicKey: KeyObject
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

export function listPublisher(modulusLength = 2048): ListPublisher {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength })
  return {
    pem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    publicKey,
    sign: (bytes) => new Uint8Array(sign('sha256', bytes, privateKey)),
  }
}

/** A log as public lists have it, with members that clients do not need. */
export function publicLog(description: string, more: Readonly<Record<string, unknown>> = {}) {
  const { spki } = generateKey()
  return {
    description,
    log_id: createHash('sha256').update(spki).digest('base64'),
    key: Buffer.from(spki).toString('base64'),
    url: `https://${description}.example.com/`,
    mmd: 86_400,
    state: { usable: { timestamp: '2029-01-01T00:00:00Z' } },
    temporal_interval: { start_inclusive: '2030-01-01T00:00:00Z', end_exclusive: '2030-07-01T00:00:00Z' },
    ...more,
  }
}

/** `log_list.json` as it is published: two operators, one of them with a log of the static API. */
export function publicList(timestamp: string, more: Readonly<Record<string, unknown>> = {}) {
  return {
    version: '91.3',
    log_list_timestamp: timestamp,
    operators: [
      { name: 'A', email: ['ct@a.example.com'], logs: [publicLog('a1'), publicLog('a2')], tiled_logs: [] },
      {
        name: 'B',
        email: ['ct@b.example.com'],
        logs: [],
        tiled_logs: [
          publicLog('b1', { submission_url: 'https://b1.example.com/', monitoring_url: 'https://b1.example.net/' }),
        ],
      },
    ],
    ...more,
  }
}

export const encoded = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value, null, 2)))

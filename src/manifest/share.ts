import { createHash } from 'node:crypto'

/** Where on 0 to 100 a client stands for one purpose; the same salt keeps it there when a percentage rises. */
export function shareOf(salt: string, clientId: string): number {
  const digest = createHash('sha256').update(salt).update(Uint8Array.of(0)).update(clientId).digest()
  return (digest.readUInt32BE(0) / 2 ** 32) * 100
}

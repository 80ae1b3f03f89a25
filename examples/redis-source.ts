/**
 * Signed documents from Redis, for services that reach a Redis sooner than a web server. Whoever publishes sets one key a
 * document (`pins:status.json` last) and says so on a channel; what the channel says is not read.
 *
 * @example
 * const redis = await createClient({ url: 'rediss://redis.internal' }).connect()
 * const client = pinfetch.createClient({ manifest: { custom: redisSource(redis), root: './root.json' } })
 */
import type { CustomSource } from 'pinfetch'
import { RESP_TYPES, type RedisClientType } from 'redis'

export function redisSource(redis: RedisClientType, prefix = 'pins:'): CustomSource {
  const bytes = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const subscriber = redis.duplicate()
  subscriber.on('error', () => undefined) // it reconnects by itself, and polling goes on meanwhile
  return {
    name: `redis ${prefix}`,
    // GETRANGE reads no more than is allowed, plus the byte that shows that there was more; an absent key reads as empty.
    get: async (path, { maxBytes, signal }) => {
      signal.throwIfAborted()
      const document = await bytes.getRange(`${prefix}${path}`, 0, maxBytes)
      return document === null || document.length === 0 ? undefined : document
    },
    watch: async (changed) => {
      await subscriber.connect()
      await subscriber.subscribe(`${prefix}changed`, changed)
      changed() // what was published before the subscription stood
    },
    close: () => {
      if (subscriber.isOpen) subscriber.destroy() // the connection for `get` belongs to the application
    },
  }
}

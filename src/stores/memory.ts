import type { Store } from './store.ts'

/** Forgets everything when the process ends. */
export function memoryStore(): Store {
  const held = new Map<string, Uint8Array>()
  return {
    get: async (name) => held.get(name)?.slice(),
    put: async (name, bytes) => {
      if (held.has(name)) return 'exists'
      held.set(name, bytes.slice())
      return 'written'
    },
    list: async (prefix) =>
      [...held.keys()].filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/')),
    delete: async (name) => void held.delete(name),
  }
}

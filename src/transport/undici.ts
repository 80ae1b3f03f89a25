import { createRequire } from 'node:module'

// Node's own fetch must be loaded before the npm package: whoever comes first installs the process-wide dispatcher, and
// importing this library changes no global (nodejs/undici#5500). ESM hoists imports, hence `require` behind the touch.
void globalThis.Headers
const undici: typeof import('undici') = createRequire(import.meta.url)('undici')

export const { Agent, Client, Dispatcher, errors, fetch, ProxyAgent, util } = undici

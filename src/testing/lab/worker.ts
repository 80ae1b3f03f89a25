/**
 * What runs in a process of its own, as text: so that it is the same from the sources and from the built package. Every name is
 * looked up at the lab, which is what a poisoned resolver is.
 */
export const WORKER = `
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

process.once('disconnect', () => process.exit())
const asked = new Map()
let lookups = 0

function addressesOf(host) {
  lookups += 1
  return new Promise((resolve) => {
    asked.set(lookups, resolve)
    process.send({ lookup: lookups, host })
  }).then((addresses) => {
    if (addresses.length === 0) throw Object.assign(new Error('getaddrinfo ENOTFOUND ' + host), { code: 'ENOTFOUND' })
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  })
}

dns.lookup = (host, options, done = options) => {
  addressesOf(host).then(
    (found) => (options?.all === true ? done(null, found) : done(null, found[0].address, found[0].family)),
    (error) => done(error),
  )
}
dns.promises.lookup = async (host, options) => {
  const found = await addressesOf(host)
  return options?.all === true ? found : found[0]
}
syncBuiltinESMExports()

let client = { fetch: (...input) => globalThis.fetch(...input) }

async function open({ given, module, before }) {
  if (before !== undefined) await import('data:text/javascript,' + encodeURIComponent(before))
  if (module === undefined) return
  const exports = await import(module.url)
  const name = module.names.find((one) => typeof exports[one] === 'function')
  if (name === undefined) throw new Error('exports no function ' + module.names.join(' or '))
  const resolve = async (host) => (await addressesOf(host)).map(({ address }) => address)
  const made = await exports[name]({ ...given, resolve }, module.kind)
  if (typeof made?.fetch !== 'function') throw new Error(name + ' gave no object with a function fetch')
  client = made
}

async function request({ url, init }) {
  const response = await client.fetch(url, init)
  const body = await response.text()
  const { status, headers, redirected } = response
  return { status, headers: [...headers], body, url: response.url, redirected }
}

function told(error) {
  let code
  for (let at = error; at instanceof Error && code === undefined; at = at.cause) {
    if (typeof at.code === 'string') code = at.code
  }
  return { message: String(error?.message ?? error), code }
}

process.on('message', async (message) => {
  if ('lookup' in message) return asked.get(message.lookup)?.(message.addresses)
  const id = message.id ?? 0
  try {
    const response = id === 0 ? await open(message) : await request(message)
    process.send({ id, ...(id === 0 ? {} : { response }) })
  } catch (error) {
    process.send({ id, error: told(error) })
  }
})
`

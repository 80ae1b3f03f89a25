import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { server } from './world.ts'

export interface FarServer {
  readonly port: number
  /** Settles when a connection was accepted. */
  readonly accepted: Promise<unknown>
  readonly close: () => Promise<unknown>
}

/** An HTTPS server on a thread of its own: it goes on while this one stands still. `/late` is answered after a while. */
export async function startFarServer(): Promise<FarServer> {
  const worker = new Worker(SCRIPT, {
    eval: true,
    execArgv: [],
    workerData: { key: server.keyPem, cert: server.pem + (server.issuer?.pem ?? '') },
  })
  const [port] = (await once(worker, 'message')) as [number]
  return { port, accepted: once(worker, 'message'), close: () => worker.terminate() }
}

export const LATE_MS = 1_600

const SCRIPT = `
  const { createServer } = require('node:https')
  const { parentPort, workerData } = require('node:worker_threads')
  const server = createServer(workerData, (request, response) => {
    setTimeout(() => response.end('ok'), request.url === '/late' ? ${LATE_MS} : 0)
  })
  server.on('connection', () => parentPort.postMessage('accepted'))
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`

/** A client whose clocks run ahead by what a file says at this moment; a request each time it is told to make one. */
import { readFileSync } from 'node:fs'
import { type Runtime, toUnixMs } from '../../src/ports/runtime.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { clientOf, get } from './child.ts'

const ahead = (): { wall: number; monotonic: number } =>
  JSON.parse(readFileSync(process.env['CLOCKS'] ?? '', 'utf8')) as { wall: number; monotonic: number }

const runtime: Runtime = {
  ...systemRuntime,
  clock: {
    now: () => toUnixMs(systemRuntime.clock.now() + ahead().wall),
    monotonic: () => systemRuntime.clock.monotonic() + ahead().monotonic,
  },
}

const client = clientOf({ runtime })
process.on('message', () => {
  void get(client).then((answer) => process.send?.(answer))
})
process.send?.('ready')

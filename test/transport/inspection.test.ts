import { expect, test } from 'vitest'
import { InspectedHandler, type Inspection } from '../../src/transport/inspection.ts'

const HOLD: Inspection = {
  begin: () => 'hold',
  hold: () => undefined,
  judge: async () => ({ update: () => undefined, end: () => undefined }),
}

/** What a handler is told of a response that was held to its end, until it has enough of it. */
function toldTo(enough: 'headers' | 'data' | undefined): Promise<string[]> {
  return new Promise((resolve) => {
    const told: string[] = []
    let abort: (reason?: Error) => void = () => undefined
    const tell = (what: string): boolean => {
      told.push(what)
      if (what === enough) abort(new Error('enough'))
      if (what === 'complete' || what === 'error') setImmediate(() => resolve(told))
      return true
    }
    const inspected = new InspectedHandler(
      {
        onConnect: (given) => {
          abort = given
        },
        onHeaders: () => tell('headers'),
        onData: () => tell('data'),
        onComplete: () => tell('complete'),
        onError: () => tell('error'),
      },
      HOLD,
    )
    inspected.onConnect(() => undefined)
    inspected.onHeaders(200, [], () => undefined, 'OK')
    inspected.onData(Buffer.from('a'))
    inspected.onData(Buffer.from('b'))
    inspected.onComplete([])
  })
}

test('a caller who has enough while a held response is handed over is told of one end', async () => {
  expect(await toldTo('headers')).toEqual(['headers', 'error'])
  expect(await toldTo('data')).toEqual(['headers', 'data', 'error'])
  expect(await toldTo(undefined)).toEqual(['headers', 'data', 'data', 'complete'])
})

import { systemRuntime } from '../ports/system.ts'
import { nextTurn } from '../ports/turn.ts'
import { type CutFault, contentOf, isCut, type ScriptedFault } from './fault-script.ts'

export interface Outlet {
  /** Sends as the faults say; settles when the bytes are handed over, or dropped, with false once nobody takes any more. */
  readonly push: (bytes: Uint8Array) => Promise<boolean>
  /** Everything was pushed. False: a fault ended the connection. */
  readonly finish: () => Promise<boolean>
}

/**
 * What a stage sends: its own bytes or others, in one piece or many, all of them or the first few.
 *
 * @param options.write Hands one piece over. False: nobody takes any more.
 * @param options.cut Ends the connection, after the last piece that was to pass.
 * @param options.isOver The stage has ended: what is pushed from then on passes as it is.
 */
export function createOutlet(options: {
  readonly faults: readonly ScriptedFault[]
  readonly random: (length: number) => Uint8Array
  readonly write: (bytes: Uint8Array) => Promise<boolean>
  readonly cut: (how: CutFault['fault']) => void
  readonly isOver?: () => boolean
}): Outlet {
  const { faults, random, write, cut, isOver = () => false } = options
  const cutter = faults.find(isCut)
  const content = contentOf(faults, random)
  const sizeOf = sizes(faults, random)
  const throttle = faults.find((fault) => fault.fault === 'throttle')
  let left = cutter === undefined || cutter.after === 'end' ? Number.POSITIVE_INFINITY : (cutter.after ?? 0)
  let isReplaced = false
  let isEnded = false

  const end = (how: CutFault['fault']): void => {
    isEnded = true
    cut(how)
  }
  const send = async (bytes: Uint8Array): Promise<void> => {
    if (left === 0 && cutter !== undefined && !isEnded) end(cutter.fault)
    for (let at = 0; at < bytes.length && !isEnded; ) {
      const piece = bytes.subarray(at, at + Math.min(sizeOf(), left))
      if (!(await write(piece))) isEnded = true
      at += piece.length
      left -= piece.length
      if (isEnded) return
      if (left === 0 && cutter !== undefined) end(cutter.fault)
      else if (throttle !== undefined) await sleep((piece.length / throttle.bytesPerSecond) * 1_000)
      else if (at < bytes.length) await nextTurn() // the pieces are to arrive one by one
    }
  }
  const replace = async (pieces: Iterable<Uint8Array>): Promise<void> => {
    for (const piece of pieces) {
      if (isEnded) return
      await send(piece)
    }
  }

  return {
    push: async (bytes) => {
      if (isOver() && !isEnded && !isReplaced) return write(bytes)
      if (content === undefined) await send(bytes)
      else if (!isReplaced) {
        isReplaced = true
        await replace(content)
      }
      return !isEnded
    },
    finish: async () => {
      if (!isEnded && cutter?.after === 'end') end(cutter.fault)
      return !isEnded
    },
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => void systemRuntime.schedule(ms, resolve))

function sizes(faults: readonly ScriptedFault[], random: (length: number) => Uint8Array): () => number {
  const slice = faults.find((fault) => fault.fault === 'slice')
  const throttle = faults.find((fault) => fault.fault === 'throttle')
  if (slice !== undefined) {
    const list = slice.bytes === undefined ? [] : [slice.bytes].flat()
    let at = 0
    return () => Math.max(1, list[at++ % list.length] ?? 1 + ((random(1)[0] ?? 0) % LONGEST_SLICE))
  }
  if (throttle === undefined) return () => Number.POSITIVE_INFINITY
  return () => Math.max(1, Math.floor(throttle.bytesPerSecond / PIECES_PER_SECOND))
}

const LONGEST_SLICE = 64
const PIECES_PER_SECOND = 20

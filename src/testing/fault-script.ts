/**
 * Where on a connection something goes wrong: `accept` is the TCP connection itself, `tls` what the server sends in the
 * handshake, `request` the time from the handshake, or from the last response, until a request was read, `response` its answer.
 */
export type FaultStage = 'accept' | 'tls' | 'request' | 'response'

/** One thing that goes wrong. */
export type ScriptedFault = CutFault | ContentFault | PaceFault

/** How a connection ends before its time. */
export interface CutFault {
  readonly at: FaultStage
  /**
   * `'stall'`: silence on an open connection. `'close'`: FIN, after a close_notify once there is TLS; the server reads on.
   * `'cut'`: FIN without close_notify, as an attacker on the path sends it. `'reset'`: RST.
   */
  readonly fault: 'stall' | 'close' | 'cut' | 'reset'
  /**
   * Octets of the stage that still pass: received ones at `accept` and `request`, sent ones at `tls` and `response`. Default 0;
   * `'end'` is after a whole response.
   */
  readonly after?: number | 'end'
  /** Which request of the connection, counted from 0, at `request` and `response`. Default 0. */
  readonly request?: number
}

/** Other bytes in place of what belongs there; at `accept` and `request`, where it is not the server's turn, beside it. */
export type ContentFault =
  | {
      readonly at: FaultStage
      readonly fault: 'garbage'
      /** How many. Default 64. */
      readonly bytes?: number
      readonly request?: number
    }
  | {
      readonly at: FaultStage
      readonly fault: 'bytes'
      /** Exactly these. An iterable is asked for more as long as the client reads, and may be endless. */
      readonly bytes: Octets | Iterable<Octets>
      readonly request?: number
    }

/** How what is sent gets on its way, at `accept` for the life of the connection; at `request`, how slowly it is read. */
export type PaceFault =
  | {
      readonly at: FaultStage
      readonly fault: 'throttle'
      readonly bytesPerSecond: number
      readonly request?: number
    }
  | {
      readonly at: 'accept' | 'tls' | 'response'
      readonly fault: 'slice'
      /** Sizes of the writes, one after the other and again from the start. Default: from 1 to 64, by the seed. */
      readonly bytes?: number | readonly number[]
      readonly request?: number
    }

/** Text is sent as Latin-1. */
export type Octets = string | Uint8Array

/**
 * One entry a connection, in the order they are accepted; `undefined`, and whatever comes after the last, behaves well. Or a
 * function, asked once a connection and then, with the number of the request, before each request.
 */
export type FaultScript = readonly Faults[] | ((connection: number, request?: number) => Faults)

/** Several work together: other bytes, cut into slices, ending in a reset. */
export type Faults = ScriptedFault | readonly ScriptedFault[] | undefined

/** The faults of one stage. */
export function faultsAt(
  script: FaultScript,
  connection: number,
  at: FaultStage,
  request = 0,
): readonly ScriptedFault[] {
  const isOfRequest = at === 'request' || at === 'response'
  if (typeof script === 'function') {
    return listOf(script(connection, isOfRequest ? request : undefined)).filter((fault) => fault.at === at)
  }
  return listOf(script[connection]).filter(
    (fault) => fault.at === at && (!isOfRequest || (fault.request ?? 0) === request),
  )
}

export const isCut = (fault: ScriptedFault): fault is CutFault => CUTS.has(fault.fault)

/** Bytes that take the place of others; `undefined` when none do. */
export function contentOf(
  faults: readonly ScriptedFault[],
  random: (length: number) => Uint8Array,
): Iterable<Uint8Array> | undefined {
  for (const fault of faults) {
    if (fault.fault === 'garbage') return [random(fault.bytes ?? GARBAGE_BYTES)]
    if (fault.fault === 'bytes') return octetsOf(fault.bytes)
  }
  return undefined
}

export const bytesOf = (octets: Octets): Uint8Array =>
  typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets

const listOf = (faults: Faults): readonly ScriptedFault[] =>
  faults === undefined ? [] : Array.isArray(faults) ? faults : [faults as ScriptedFault]

function* octetsOf(bytes: Octets | Iterable<Octets>): Iterable<Uint8Array> {
  if (typeof bytes === 'string' || bytes instanceof Uint8Array) yield bytesOf(bytes)
  else for (const octets of bytes) yield bytesOf(octets)
}

const CUTS: ReadonlySet<string> = new Set<CutFault['fault']>(['stall', 'close', 'cut', 'reset'])
const GARBAGE_BYTES = 64

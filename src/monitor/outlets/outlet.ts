import * as z from 'zod'
import { canonicalOrigin } from '../../encoding/host.ts'
import { ConfigurationError } from '../../errors/errors.ts'
import { type Emitter, emitterOf, followerOf } from '../../events/emitter.ts'
import type { ClientEvent, Emit } from '../../events/events.ts'
import { isRuntime, type Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import { createDelivery, type DeliveryOptions, type Outlet } from './delivery.ts'
import { RECORDED } from './meaning.ts'
import type { ToldEvent } from './record.ts'

/** A client, or all of it that an outlet needs. */
export interface Watched {
  readonly on: Emitter['on']
  readonly fetch?: typeof globalThis.fetch
  readonly health?: () => { readonly manifest?: { readonly expiresAt?: number | undefined } }
}

/** What all outlets have in common. */
export interface OutletOptions {
  /** Types of those that records are made of. Default: all. */
  readonly events?: readonly ClientEvent['type'][]
  /** Events that may wait. Default 1,000; the newest are dropped while it is full. */
  readonly capacity?: number
  /** As `outlet.failed` names it. Default: what it is and where it leads. */
  readonly name?: string
  readonly runtime?: Runtime
}

interface Carrying<Item, Batch>
  extends Pick<DeliveryOptions<Item, Batch>, 'prepare' | 'deliver' | 'dispose' | 'batchSize'> {
  readonly name: string
  /** Where it leads: what is told of that host goes nowhere, or every report would be the cause of another. */
  readonly host?: string | undefined
  /** Default: all that records are made of. */
  readonly wanted?: readonly ClientEvent['type'][]
  /** Whether connections that are as they should be wait a moment for others, to be sent together. */
  readonly gathers?: true
  /** What waits of an event, nothing where it is passed over. In the tick of its cause: nothing dear. */
  readonly select: (told: ToldEvent) => Item | undefined
}

type Heard = { readonly [Name in keyof OutletOptions]: OutletOptions[Name] | undefined }

/** Hears a client, and carries what it tells. */
export function carry<Item, Batch>(client: Watched, options: Heard, carrying: Carrying<Item, Batch>): Outlet {
  const { runtime = systemRuntime, capacity = 1_000, name = carrying.name, events } = options
  const { host, wanted = RECORDED, select, gathers = false, ...how } = carrying
  const delivery = createDelivery<Item, Batch>({ ...how, name, capacity, runtime, tell: tellerOf(client) })
  const hear = (event: ClientEvent): void => {
    if (host !== undefined && (event as { readonly host?: string }).host === host) return
    if ((event as { readonly outlet?: string }).outlet === name) return
    const item = select({ event, at: runtime.clock.now() })
    if (item !== undefined) delivery.offer(item, gathers && isRoutine(event))
  }
  const follow = followerOf(client.on)
  const ends = (events ?? wanted).map((type) => follow(type, hear))
  return Object.freeze({
    get queued() {
      return delivery.queued
    },
    get dropped() {
      return delivery.dropped
    },
    close: () => {
      for (const end of ends) end()
      return delivery.close()
    },
  })
}

/** Nobody is in a hurry to read of it, and there is one for every connection. */
const isRoutine = (event: ClientEvent): boolean => event.type === 'tls.handshake' && event.outcome === 'accepted'

/** All of it. */
export const whole = (told: ToldEvent): ToldEvent => told

/** Tells the listeners of the client: what is lost of its alarms is one. */
export const tellerOf = (client: Watched): Emit => emitterOf(client.on) ?? (() => undefined)

/** @throws ConfigurationError where what is sent would take the road that it tells of. */
export function checkRoad(outlet: string, client: Watched, fetch: typeof globalThis.fetch): void {
  if (client.fetch !== fetch) return
  const message = `${outlet}.fetch: expected a client of its own, saw that of the client that is watched, which may be contained`
  throw new ConfigurationError('ERR_CONFIG_INVALID', message)
}

/** As events name it. */
export const hostOf = (url: string): string => canonicalOrigin(new URL(url))?.text ?? ''

export const EventType = z.enum(RECORDED as [ClientEvent['type'], ...ClientEvent['type'][]])

export const OutletShape = {
  events: z.array(EventType).min(1).optional(),
  capacity: z.int().min(1).max(1_000_000).optional(),
  name: z.string().min(1).max(200).optional(),
  runtime: z.custom<Runtime>(isRuntime, 'expected a Runtime').optional(),
}

export const Fetch = z.custom<typeof globalThis.fetch>((value) => typeof value === 'function', 'expected a fetch')

export const CollectorUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && canonicalOrigin(url) !== undefined
}, 'expected an https URL without user name and password')

import { type Channel, channel } from 'node:diagnostics_channel'
import type { Everybody } from '../events/emitter.ts'
import type { ClientEvent, EventOf } from '../events/events.ts'

/**
 * Where in `node:diagnostics_channel` each event of every client in the process is published, after `pinfetch:`. The message is the
 * event as `client.on` hands it out. An event that means several things has a channel for each, chosen by one of its members.
 */
export const CHANNELS: { readonly [Type in ClientEvent['type']]: ChannelName | Choice<EventOf<Type>> } = {
  'tls.handshake': {
    outcome: { accepted: 'tls:validated', reported: 'tls:validated', refused: 'tls:validated', failed: 'tls:failed' },
  },
  'tls.rejected': 'tls:rejected',
  'tls.reported': 'tls:reported',
  'tls.keyChanged': 'tls:changed',
  'tls.connected': 'tls:connected',
  'tls.fragile': 'tls:fragile',
  'tls.retired': 'tls:retired',
  'http.exchange': 'http:exchanged',

  'tls.interception': 'incident:interception',
  'tls.anomaly': 'incident:anomaly',
  'tls.timing': 'incident:timing',
  'traffic.anomaly': 'incident:traffic',
  'ct.unexpected': 'incident:issuance',
  'manifest.security': 'incident:manifest',
  'containment.begun': 'incident:contained',
  'containment.ended': 'incident:released',

  'manifest.activated': 'manifest:updated',
  'manifest.rejected': 'manifest:rejected',
  'manifest.stale': 'manifest:stale',
  'manifest.fresh': 'manifest:fresh',
  'manifest.expired': 'manifest:expired',
  'manifest.expiring': 'manifest:expiring',
  'manifest.ready': 'manifest:ready',
  'manifest.closed': 'manifest:closed',
  'manifest.root': 'manifest:root',
  'manifest.epoch': 'manifest:epoch',
  'manifest.deny': 'manifest:denied',
  'manifest.poll': 'manifest:polled',
  'manifest.bootstrap': 'manifest:bootstrapped',
  'manifest.wouldBreak': 'manifest:wouldBreak',
  'manifest.ahead': 'manifest:ahead',
  'manifest.clock': 'manifest:clock',
  'manifest.source': 'manifest:source',
  'manifest.cacheError': 'manifest:cacheFailed',

  'token.refresh': { result: { renewed: 'auth:refreshed', adopted: 'auth:refreshed', failed: 'auth:failed' } },
  'token.adopted': 'auth:adopted',
  'token.age': 'auth:replaced',
  'token.scopeChanged': 'auth:scopeChanged',
  'token.revealed': 'auth:revealed',
  'token.refused': 'auth:refused',
  'token.reauthRequired': { reason: { lost_rotation: 'auth:reuse', revoked: 'auth:ended' } },
  'token.revoked': 'auth:revoked',
  'auth.stepUp': 'auth:stepUp',
  'auth.notice': 'auth:notice',
  'auth.keyChanged': 'auth:keyChanged',
  'auth.overridden': 'auth:overridden',
  'auth.notReplayed': 'auth:notReplayed',
  'approval.asked': 'approval:asked',
  'approval.granted': 'approval:granted',
  'approval.refused': 'approval:refused',
  'store.lease_wait': 'store:waited',
  'store.failed': 'store:failed',
  'store.recovered': 'store:recovered',
  'secret.changed': 'secret:changed',
  'secret.rejected': 'secret:rejected',
  'secret.source': 'secret:source',
  'sign.keyChanged': 'sign:keyChanged',
  'sign.overridden': 'sign:overridden',
  'sign.retried': 'sign:retried',
  'sign.notRetried': 'sign:notRetried',
  'sign.acceptRefused': 'sign:acceptRefused',
  'verify.result': { outcome: { verified: 'verify:passed', unsigned: 'verify:passed', refused: 'verify:refused' } },

  'revocation.checked': 'revocation:checked',
  'revocation.refreshed': 'revocation:refreshed',
  'revocation.failed': 'revocation:failed',
  'ct.checked': 'ct:checked',
  'ct.watchFailed': 'ct:failed',
  'anchors.changed': 'anchors:changed',
  'anchors.rejected': 'anchors:rejected',
  'certificate.loaded': 'certificate:loaded',
  'certificate.rejected': 'certificate:rejected',
  'certificate.renewalDue': 'certificate:renewalDue',
  'certificate.expiring': 'certificate:expiring',
  'certificate.expired': 'certificate:expired',
  'certificate.source': 'certificate:source',
  'expiry.near': 'expiry:near',

  'rate.waited': 'rate:waited',
  'rate.refused': 'rate:refused',
  'rate.paused': 'rate:paused',
  'rate.storeFailed': 'rate:storeFailed',
  'retry.scheduled': 'retry:scheduled',
  'retry.stopped': 'retry:stopped',
  'breaker.opened': 'breaker:opened',
  'breaker.probing': 'breaker:probing',
  'breaker.closed': 'breaker:closed',

  'redirect.followed': 'redirect:followed',
  'redirect.stripped': 'redirect:stripped',
  'api.deprecated': 'api:deprecated',
  'api.sunset': 'api:sunset',
  'policy.sunset': 'policy:sunset',
  'dns.mismatch': 'dns:mismatched',
  'network.proxySign': 'network:proxySign',
  'clock.offset': 'clock:offset',
  'outlet.failed': 'outlet:failed',
  'outlet.recovered': 'outlet:recovered',
  posture: 'posture:found',
}

/** The channels as one more listener of every client. A channel that has subscribers is a listener too. */
export const processChannels: Everybody = {
  emit: (event) => {
    const target = channelOf(event)
    if (target.hasSubscribers) target.publish(event)
  },
  hasListeners: (type) => CHANNELS_OF[type].all.some(({ hasSubscribers }) => hasSubscribers),
}

/** Every channel that events of this type come on. */
export function channelsOf(type: ClientEvent['type']): readonly string[] {
  return CHANNELS_OF[type].all.map(({ name }) => String(name))
}

function channelOf(event: ClientEvent): Channel {
  const { member, by, first } = CHANNELS_OF[event.type]
  if (member === undefined) return first
  return by.get((event as unknown as Record<string, string>)[member] ?? '') ?? first
}

interface Target {
  readonly first: Channel
  readonly all: readonly Channel[]
  /** The member of the event that chooses. */
  readonly member: string | undefined
  readonly by: ReadonlyMap<string, Channel>
}

function target(decision: AnyDecision): Target {
  if (typeof decision === 'string') return targetOf([['', decision]], undefined)
  const [[member, names] = ['', {}]] = Object.entries(decision)
  return targetOf(Object.entries(names), member)
}

function targetOf(entries: readonly (readonly [string, ChannelName])[], member: string | undefined): Target {
  const by = new Map(entries.map(([value, name]) => [value, channel(`pinfetch:${name}`)]))
  const all = [...new Set(by.values())]
  const [first = channel('pinfetch:other')] = all
  return { first, all, member, by }
}

type ChannelName = `${string}:${string}`

/** By the values of one member, each of which is decided on. */
type Choice<Event> = {
  readonly [Member in Exclude<keyof Event, 'type'>]: Event[Member] extends string
    ? { readonly [One in Member]: { readonly [Value in Event[Member]]: ChannelName } }
    : never
}[Exclude<keyof Event, 'type'>]

type AnyDecision = ChannelName | Readonly<Record<string, Readonly<Record<string, ChannelName>>>>

const CHANNELS_OF = Object.fromEntries(
  Object.entries(CHANNELS).map(([type, decision]) => [type, target(decision as AnyDecision)]),
) as Readonly<Record<ClientEvent['type'], Target>>

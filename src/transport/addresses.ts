import { BlockList, isIP } from 'node:net'

/**
 * Whether an address is reached over the public Internet (IANA special-purpose registries, RFC 6890): not this machine, not
 * its networks, not the metadata service of a cloud, and no notation that hides one of these in an IPv6 address.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !SPECIAL.check(address, 'ipv4')
  return family === 6 && UNICAST.check(address, 'ipv6') && !SPECIAL.check(address, 'ipv6')
}

const SPECIAL = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // shared by a carrier's customers, and by Kubernetes clusters
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // cloud metadata among them
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  SPECIAL.addSubnet(network, prefix, 'ipv4') // and the same within ::ffff:0:0/96, which Node compares as IPv4
}
for (const [network, prefix] of [
  ['2001::', 23], // Teredo and others
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4: within it stands an IPv4 address
  ['3fff::', 20],
] as const) {
  SPECIAL.addSubnet(network, prefix, 'ipv6')
}

/** All that IANA gives out (RFC 4291 §2.4), and IPv4 in IPv6 clothes; not its many other translations, nor what is to come. */
const UNICAST = new BlockList()
UNICAST.addSubnet('2000::', 3, 'ipv6')
UNICAST.addSubnet('::ffff:0:0', 96, 'ipv6')

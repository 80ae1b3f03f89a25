import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { PolicyMapping } from '../../x509/extensions.ts'
import { describe } from './describe.ts'
import { groupBy } from './group-by.ts'

/** What RFC 5280 §6.1.1 calls inputs (c) and (e) to (g). */
export interface PolicyInputs {
  /** OIDs. Default any policy. */
  readonly initialPolicySet?: readonly string[]
  readonly initialExplicitPolicy?: boolean
  readonly initialPolicyMappingInhibit?: boolean
  readonly initialAnyPolicyInhibit?: boolean
}

export type PolicyResult =
  | { readonly kind: 'valid'; readonly policies: readonly string[] }
  | { readonly kind: 'invalid'; readonly finding: Finding }

/**
 * Certificate policies over one path (RFC 5280 §6.1.2 to §6.1.5), with the graph of RFC 9618 in place of the tree: a
 * level holds each policy once, so hostile mappings cost their own length and not its power (CVE-2023-0464).
 *
 * @param path End entity first, anchor last. The anchor is input to the algorithm, not part of the path.
 */
export function evaluatePolicies(
  path: readonly [Certificate, ...(readonly Certificate[])],
  inputs: PolicyInputs,
): PolicyResult {
  const certificates = path.slice(0, -1).reverse() // RFC 5280 counts from the anchor
  const length = certificates.length
  const countFrom = (isSet = false): number => (isSet ? 0 : length + 1) // §6.1.2 (d) to (f)
  let explicitPolicy = countFrom(inputs.initialExplicitPolicy)
  let policyMapping = countFrom(inputs.initialPolicyMappingInhibit)
  let inhibitAnyPolicy = countFrom(inputs.initialAnyPolicyInhibit)
  let graph: PolicyGraph | undefined = [new Map([[ANY_POLICY, ROOT]])]

  for (const [position, certificate] of certificates.entries()) {
    const index = length - 1 - position
    const isLast = index === 0
    const { certificatePolicies, policyMappings, policyConstraints } = certificate.decoded
    if (certificatePolicies === undefined)
      graph = undefined // §6.1.3 (e)
    else if (graph !== undefined) {
      const anyPolicyCounts = inhibitAnyPolicy > 0 || (!isLast && certificate.isSelfIssued)
      graph = extend(graph, certificatePolicies, anyPolicyCounts)
    }
    if (explicitPolicy === 0 && graph === undefined) return refuse(certificate, index) // §6.1.3 (f)
    if (isLast) {
      explicitPolicy = Math.max(0, explicitPolicy - 1) // §6.1.5 (a)
      if (policyConstraints?.requireExplicitPolicy === 0) explicitPolicy = 0 // §6.1.5 (b)
      break
    }
    if (policyMappings !== undefined) {
      if (policyMappings.some(isOfAnyPolicy))
        return invalid(index, `${describe(certificate)}: a policy mapping to or from anyPolicy`) // §6.1.4 (a)
      if (graph !== undefined) graph = map(graph, policyMappings, policyMapping > 0) // §6.1.4 (b)
    }
    if (!certificate.isSelfIssued) {
      explicitPolicy = Math.max(0, explicitPolicy - 1) // §6.1.4 (h)
      policyMapping = Math.max(0, policyMapping - 1)
      inhibitAnyPolicy = Math.max(0, inhibitAnyPolicy - 1)
    }
    explicitPolicy = Math.min(explicitPolicy, policyConstraints?.requireExplicitPolicy ?? explicitPolicy) // §6.1.4 (i)
    policyMapping = Math.min(policyMapping, policyConstraints?.inhibitPolicyMapping ?? policyMapping)
    inhibitAnyPolicy = Math.min(inhibitAnyPolicy, certificate.decoded.inhibitAnyPolicy ?? inhibitAnyPolicy) // §6.1.4 (j)
  }

  const policies = userConstrainedPolicies(graph, inputs.initialPolicySet ?? [ANY_POLICY])
  if (explicitPolicy === 0 && policies.length === 0) return refuse(path[0], 0)
  return { kind: 'valid', policies }
}

/** What evaluating a path costs, in the price of a name comparison: some four for each policy and mapping written in it. */
export function policyCost(path: readonly Certificate[]): number {
  const written = path.flatMap(({ decoded }) => [
    ...(decoded.certificatePolicies ?? []),
    ...(decoded.policyMappings ?? []),
  ])
  return 4 * written.length
}

interface PolicyNode {
  readonly policy: string
  /** Policies of the next certificate that continue this node. */
  readonly expected: readonly string[]
  readonly parents: readonly PolicyNode[]
}

type PolicyLevel = ReadonlyMap<string, PolicyNode>
/** The last certificate's level first, the anchor's last; every node but those of the first level has a child. */
type PolicyGraph = readonly [PolicyLevel, ...PolicyLevel[]]

/** RFC 9618 §5.3 (d): one more certificate. `undefined` is the NULL graph. */
function extend(graph: PolicyGraph, policies: readonly string[], anyPolicyCounts: boolean): PolicyGraph | undefined {
  const [above] = graph
  const expecting = new Map<string, PolicyNode[]>()
  for (const node of above.values()) {
    for (const policy of node.expected) {
      const nodes = expecting.get(policy)
      if (nodes === undefined) expecting.set(policy, [node])
      else nodes.push(node)
    }
  }
  const anyNode = above.get(ANY_POLICY)
  const level = new Map<string, PolicyNode>()
  for (const policy of policies) {
    if (policy === ANY_POLICY) continue
    const parents = expecting.get(policy) ?? (anyNode === undefined ? undefined : [anyNode]) // (d) (1) (i), (ii)
    if (parents !== undefined) level.set(policy, { policy, expected: [policy], parents })
  }
  if (anyPolicyCounts && policies.includes(ANY_POLICY)) {
    // (d) (2). What (d) (1) (i) made of `expecting` is made again, the same.
    for (const [policy, parents] of expecting) level.set(policy, { policy, expected: [policy], parents })
  }
  return prune([level, ...graph])
}

/** RFC 9618 §5.4 (b): renames what continues a policy below an issuer, or ends it where mapping is inhibited. */
function map(
  [last, ...above]: PolicyGraph,
  mappings: readonly PolicyMapping[],
  isAllowed: boolean,
): PolicyGraph | undefined {
  const level = new Map(last)
  for (const [policy, targets] of groupBy(mappings, ({ issuerDomainPolicy }) => issuerDomainPolicy)) {
    if (!isAllowed) {
      level.delete(policy)
      continue
    }
    const expected = [...new Set(targets.map(({ subjectDomainPolicy }) => subjectDomainPolicy))]
    const node = level.get(policy) ?? level.get(ANY_POLICY)
    if (node !== undefined) level.set(policy, { policy, expected, parents: node.parents })
  }
  return prune([level, ...above])
}

/** Takes out every node that no longer leads to the last certificate's level. */
function prune([last, ...above]: PolicyGraph): PolicyGraph | undefined {
  if (last.size === 0) return undefined
  const kept: [PolicyLevel, ...PolicyLevel[]] = [last]
  let below = last
  for (const level of above) {
    const parents = new Set([...below.values()].flatMap((node) => node.parents))
    below = new Map([...level].filter(([, node]) => parents.has(node)))
    kept.push(below)
  }
  return kept
}

/** RFC 9618 §5.5 (g): the authority's policies, cut to those the caller asked for. */
function userConstrainedPolicies(graph: PolicyGraph | undefined, initial: readonly string[]): readonly string[] {
  if (graph === undefined) return []
  const authority = new Set<string>()
  for (const level of graph) {
    for (const node of level.values()) {
      if (node.policy !== ANY_POLICY && node.parents.some((parent) => parent.policy === ANY_POLICY))
        authority.add(node.policy)
    }
  }
  if (graph[0].has(ANY_POLICY)) authority.add(ANY_POLICY)
  if (initial.includes(ANY_POLICY)) return [...authority]
  return authority.has(ANY_POLICY) ? initial : initial.filter((policy) => authority.has(policy))
}

const refuse = (certificate: Certificate, index: number): PolicyResult =>
  invalid(
    index,
    `${describe(certificate)}: the path requires a certificate policy and is valid for none that is accepted`,
  )

const invalid = (index: number, message: string): PolicyResult => ({
  kind: 'invalid',
  finding: { code: 'ERR_TRUST_POLICY', certificateIndex: index, message },
})

const isOfAnyPolicy = ({ issuerDomainPolicy, subjectDomainPolicy }: PolicyMapping): boolean =>
  issuerDomainPolicy === ANY_POLICY || subjectDomainPolicy === ANY_POLICY

const ANY_POLICY = '2.5.29.32.0'

const ROOT: PolicyNode = { policy: ANY_POLICY, expected: [ANY_POLICY], parents: [] }

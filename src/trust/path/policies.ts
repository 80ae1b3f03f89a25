import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
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
export function evaluatePolicies(path: readonly Certificate[], inputs: PolicyInputs): PolicyResult {
  const certificates = path.slice(0, -1).reverse() // RFC 5280 counts from the anchor
  const length = certificates.length
  let explicitPolicy = inputs.initialExplicitPolicy === true ? 0 : length + 1
  let policyMapping = inputs.initialPolicyMappingInhibit === true ? 0 : length + 1
  let inhibitAnyPolicy = inputs.initialAnyPolicyInhibit === true ? 0 : length + 1
  let graph: PolicyGraph | undefined = [levelOf([rootNode()])]

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
    for (const { issuerDomainPolicy, subjectDomainPolicy } of policyMappings ?? []) {
      if (issuerDomainPolicy !== ANY_POLICY && subjectDomainPolicy !== ANY_POLICY) continue
      return invalid(index, `${describe(certificate)}: a policy mapping to or from anyPolicy`) // §6.1.4 (a)
    }
    if (graph !== undefined && policyMappings !== undefined) {
      graph = map(
        graph,
        groupBy(policyMappings, (mapping) => mapping.issuerDomainPolicy),
        policyMapping > 0,
      )
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
  const [endEntity] = path
  if (explicitPolicy === 0 && policies.length === 0 && endEntity !== undefined && length > 0)
    return refuse(endEntity, 0)
  return { kind: 'valid', policies }
}

/** What evaluating a path costs, in the price of a name comparison: some four for each policy and mapping written in it. */
export function policyCost(path: readonly Certificate[]): number {
  const written = path.map(
    ({ decoded }) => (decoded.certificatePolicies?.length ?? 0) + (decoded.policyMappings?.length ?? 0),
  )
  return 4 * written.reduce((sum, count) => sum + count, 0)
}

interface PolicyNode {
  readonly policy: string
  /** Policies of the next certificate that continue this node. */
  expected: readonly string[]
  readonly parents: readonly PolicyNode[]
}

type PolicyLevel = ReadonlyMap<string, PolicyNode>
/** Level 0 is the anchor's; every node but those of the last level has a child. */
type PolicyGraph = readonly PolicyLevel[]

const rootNode = (): PolicyNode => ({ policy: ANY_POLICY, expected: [ANY_POLICY], parents: [] })

const levelOf = (nodes: readonly PolicyNode[]): PolicyLevel => new Map(nodes.map((node) => [node.policy, node]))

/** RFC 9618 §5.3 (d): one more certificate. `undefined` is the NULL graph. */
function extend(graph: PolicyGraph, policies: readonly string[], anyPolicyCounts: boolean): PolicyGraph | undefined {
  const above = graph.at(-1) ?? levelOf([])
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
    for (const [policy, parents] of expecting) {
      if (!level.has(policy)) level.set(policy, { policy, expected: [policy], parents }) // (d) (2)
    }
  }
  return prune([...graph, level])
}

/** RFC 9618 §5.4 (b): renames what continues a policy below an issuer, or ends it where mapping is inhibited. */
function map(
  graph: PolicyGraph,
  mappings: ReadonlyMap<string, readonly { readonly subjectDomainPolicy: string }[]>,
  isAllowed: boolean,
): PolicyGraph | undefined {
  const level = new Map(graph.at(-1))
  for (const [issuerPolicy, targets] of mappings) {
    if (!isAllowed) {
      level.delete(issuerPolicy)
      continue
    }
    const expected = [...new Set(targets.map((target) => target.subjectDomainPolicy))]
    const node = level.get(issuerPolicy)
    const anyNode = level.get(ANY_POLICY)
    if (node !== undefined) node.expected = expected
    else if (anyNode !== undefined) {
      level.set(issuerPolicy, { policy: issuerPolicy, expected, parents: anyNode.parents })
    }
  }
  return prune([...graph.slice(0, -1), level])
}

/** Takes out every node that no longer leads to the last level. */
function prune(graph: PolicyGraph): PolicyGraph | undefined {
  const kept: PolicyLevel[] = []
  let level = graph.at(-1) ?? levelOf([])
  for (let depth = graph.length - 1; depth >= 0; depth -= 1) {
    if (level.size === 0) return undefined
    kept.unshift(level)
    const parents = new Set([...level.values()].flatMap((node) => node.parents))
    level = new Map([...(graph[depth - 1] ?? [])].filter(([, node]) => parents.has(node)))
  }
  return kept
}

/** RFC 9618 §5.5 (g): the authority's policies, cut to those the caller asked for. */
function userConstrainedPolicies(graph: PolicyGraph | undefined, initial: readonly string[]): readonly string[] {
  if (graph === undefined) return []
  const authority = new Set<string>()
  for (const level of graph.slice(1)) {
    for (const node of level.values()) {
      if (node.policy !== ANY_POLICY && node.parents.some((parent) => parent.policy === ANY_POLICY))
        authority.add(node.policy)
    }
  }
  if (graph.at(-1)?.has(ANY_POLICY) === true) authority.add(ANY_POLICY)
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

const ANY_POLICY = '2.5.29.32.0'

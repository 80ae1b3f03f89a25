import type { Reasoned } from '../survivors.ts'

export const PATH: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/trust/path/build.ts': [
    {
      why: 'compared with the other words only',
      line: "profile: input.profile ?? 'default',",
      mutants: ['\'default\' → ""'],
    },
  ],
  'src/trust/path/name-constraints.ts': [
    {
      why: 'a memo: only speed',
      line: 'if (known !== undefined) return known',
      mutants: ['known !== undefined → false'],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return base.kind === 'dns' && isDnsWithin(place.host, place.isWildcard ? stripDot(base.text) : base.text)",
      mutants: ["base.kind === 'dns' → true"],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return base.kind === 'ip' && isIpWithin(place.octets, base.octets)",
      mutants: ["base.kind === 'ip' → true"],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return base.kind === 'directory' && base.name.rdns.every((rdn, i) => rdn === place.name.rdns[i])",
      mutants: ["base.kind === 'directory' → true"],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return base.kind === 'email' && isEmailWithin(place, base.text)",
      mutants: ["base.kind === 'email' → true"],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return base.kind === 'uri' && isHostWithin(place.host, base.text)",
      mutants: ["base.kind === 'uri' → true"],
    },
    {
      why: 'names and bases come grouped by form',
      line: "return place.kind === 'dns' && place.isWildcard && base.kind === 'dns' && parentOf(base.text) === place.host",
      mutants: ["place.kind === 'dns' → true", "base.kind === 'dns' → true"],
    },
  ],
  'src/trust/path/policies.ts': [
    {
      why: 'the parents of a node are all anyPolicy, or none is',
      line: 'if (node.policy !== ANY_POLICY && node.parents.some((parent) => parent.policy === ANY_POLICY))',
      mutants: [
        'node.parents.some((parent) => parent.policy === ANY_POLICY) → node.parents.every(parent => parent.policy === ANY_POLICY)',
      ],
    },
    {
      why: 'nobody looks above the anchor',
      line: 'const ROOT: PolicyNode = { policy: ANY_POLICY, expected: [ANY_POLICY], parents: [] }',
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/trust/path/rules.ts': [
    {
      why: 'checkVersion refuses an intermediate of version 1 before',
      line: "const knownOutOfBand = role === 'anchor' && certificate.version === 1 // RFC 5280 §6.1.4 (k)",
      mutants: ["role === 'anchor' → true"],
    },
  ],
  'src/trust/path/search.ts': [
    {
      why: 'compared with the other words only',
      line: "anchors.has(endEntity.sha256) && this.#passes(path, 'trustedEndEntity') ? this.#complete(path) : undefined",
      mutants: ['\'trustedEndEntity\' → ""'],
    },
    {
      why: 'a memo: only speed',
      line: 'if (this.#roleChecks.has(key)) return this.#roleChecks.get(key)',
      mutants: ['this.#roleChecks.has(key) → false'],
    },
    {
      why: 'a memo: only speed',
      line: 'if (known !== undefined) return known',
      mutants: ['known !== undefined → false'],
    },
  ],
  'src/trust/path/signature.ts': [
    {
      why: 'for types: what else there could be was refused before',
      line: "return keyInfo.kind === 'ec' && keyInfo.curve === 'P-521' ? 2 : 1",
      mutants: ["keyInfo.kind === 'ec' → true"],
    },
    {
      why: 'for types: what else there could be was refused before',
      line: "if (key === undefined || algorithm.kind === 'refused') return false",
      mutants: ['key === undefined → false'],
    },
  ],
}

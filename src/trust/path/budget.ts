import type { Finding } from '../../errors/errors.ts'

/**
 * What one search may spend. A peer chooses the bytes, so it must not choose the price: who asks more of one purse than it
 * holds gets nothing of any, so that the search ends, and the peer is refused unless a path was found before.
 */
export class SearchBudget {
  #signatureCost = MAX_SIGNATURE_COST
  #steps = MAX_STEPS
  #comparisons = MAX_NAME_COMPARISONS
  #paths = MAX_COMPLETE_PATHS
  #exceeded: Finding | undefined

  /** Set for good once something ran out. */
  get exceeded(): Finding | undefined {
    return this.#exceeded
  }

  spendSignature(cost: number): boolean {
    this.#signatureCost -= cost
    return this.#within(this.#signatureCost, `${MAX_SIGNATURE_COST} signature checks`)
  }

  spendStep(): boolean {
    this.#steps -= 1
    return this.#within(this.#steps, `${MAX_STEPS} search steps`)
  }

  spendComparisons(count: number): boolean {
    this.#comparisons -= count
    return this.#within(this.#comparisons, `${MAX_NAME_COMPARISONS} name comparisons`)
  }

  spendPath(): boolean {
    this.#paths -= 1
    return this.#within(this.#paths, `${MAX_COMPLETE_PATHS} complete paths`)
  }

  #within(left: number, limit: string): boolean {
    if (left < 0) {
      this.#exceeded ??= {
        code: 'ERR_TRUST_PATH_BUDGET',
        certificateIndex: null,
        message: `the search for a path was given up: at most ${limit} are made for one peer`,
      }
    }
    return this.#exceeded === undefined
  }
}

// Go's crypto/x509 and rustls-webpki stop at 100 signature checks too, since CVE-2018-16875.
const MAX_SIGNATURE_COST = 100
// A mesh of cross-certificates has exponentially many routes over few signatures; 10 000 steps take about 20 ms.
const MAX_STEPS = 10_000
// Go's MaxConstraintComparisons is 250 000 too: OpenSSL's many-names test would need four million.
const MAX_NAME_COMPARISONS = 250_000
// Each one runs the policy graph and the caller's `acceptPath`. The largest BetterTLS graph needs fewer than ten.
const MAX_COMPLETE_PATHS = 64

/**
 * A chain in use has two to five certificates. 32 would be the usual round number, but the bridge graph of the BetterTLS
 * suite, the largest anyone tests with, presents 36 that all differ, the end entity among them and no root.
 */
export const MAX_PRESENTED_CERTIFICATES = 48
/** All presented certificates together. Post-quantum chains of three stay below 25 kB. */
export const MAX_PRESENTED_BYTES = 64 * 1024
/** Intermediates that are not self-issued. The public web uses one to three; OpenSSL's default would be 100. */
export const DEFAULT_MAX_DEPTH = 10

/** A service as an application has it: it is given the client, so that a test can give it another. */
import type { Client } from 'pinfetch'

export interface Account {
  readonly id: string
  readonly balance: number
}

export class Accounts {
  readonly #client: Pick<Client, 'fetch'>

  constructor(client: Pick<Client, 'fetch'>) {
    this.#client = client
  }

  async find(id: string): Promise<Account | undefined> {
    const response = await this.#client.fetch(`https://api.bank.com/v1/accounts/${encodeURIComponent(id)}`)
    if (response.status === 404) return undefined
    if (!response.ok) throw new Error(`the bank answered ${response.status}`)
    return (await response.json()) as Account
  }
}

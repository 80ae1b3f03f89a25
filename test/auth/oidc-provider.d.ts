/** The part of oidc-provider that the tests use; it comes without types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Saved {
    save(): Promise<string>
  }
  export interface TokenContext {
    readonly oidc: {
      readonly client: { readonly clientId: string }
      readonly params: Readonly<Record<string, string | undefined>>
    }
    body: unknown
  }
  export const errors: Readonly<Record<'AccessDenied' | 'InvalidGrant' | 'InvalidRequest', new (why?: string) => Error>>
  export class Provider {
    constructor(issuer: string, configuration: object)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    registerGrantType(
      name: string,
      handler: (context: TokenContext) => Promise<void>,
      parameters: readonly string[],
    ): void
    backchannelResult(request: object, result: object | string, facts?: object): Promise<void>
    readonly ClientCredentials: new (
      facts: object,
    ) => Saved & { readonly expiration: number }
    readonly Client: { find(id: string): Promise<object> }
    readonly DeviceCode: { findByUserCode(code: string): Promise<Saved> }
    readonly Grant: new (
      facts: object,
    ) => Saved & { addOIDCScope(scope: string): void }
    readonly RefreshToken: new (
      facts: object,
    ) => Saved
  }
}

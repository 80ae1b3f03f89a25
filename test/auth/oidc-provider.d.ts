/** The part of oidc-provider that the tests use; it comes without types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Saved {
    save(): Promise<string>
  }
  export class Provider {
    constructor(issuer: string, configuration: object)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
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

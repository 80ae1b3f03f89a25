/** `pinfetch/errors`: the codes and classes alone, for code that handles refusals but makes no requests. */
export * from './codes.ts'
export * from './errors.ts'

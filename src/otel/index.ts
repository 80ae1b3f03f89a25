/** Metrics and spans of a client, for OpenTelemetry. Needs the package `@opentelemetry/api`. */
export { type Instrumentation, type InstrumentedClient, type InstrumentOptions, instrument } from './instrument.ts'

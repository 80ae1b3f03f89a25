/** `pinfetch/testing`: certificates, TLS servers and a clock for tests of code that uses pinfetch, and of pinfetch itself. */
export {
  type CertificateExtension,
  EXTENSION_OID,
  extension,
  type GeneralNameInput,
  type NameInput,
} from '../x509/extension-writer.ts'
export { generateKey, type KeyPair, type KeyType } from '../x509/generate.ts'
export * from './ca.ts'
export { type FakeClient, type FakeClientOptions, fakeClient } from './fake-client.ts'
export type {
  ContentFault,
  CutFault,
  FaultScript,
  FaultStage,
  Faults,
  Octets,
  PaceFault,
  ScriptedFault,
} from './fault-script.ts'
export * from './fault-server.ts'
export * from './forge.ts'
export * from './interceptor.ts'
export * from './issuance-server.ts'
export type { AttackGroup } from './lab/attack.ts'
export type { ContenderName, Given, OpenClient } from './lab/contenders.ts'
export { openLabClient } from './lab/in-process.ts'
export * from './lab/lab.ts'
export type { AttackReport, LabReport, LabResult } from './lab/report.ts'
export * from './manifest-server.ts'
export * from './pinned-server.ts'
export * from './proxy.ts'
export * from './relay.ts'
export * from './repository.ts'
export * from './revocation.ts'
export * from './rfc6962-log.ts'
export * from './runtime.ts'
export * from './serve-pins.ts'
export * from './static-log.ts'
export * from './tls-server.ts'
export {
  type TestListedLog,
  type TestLog,
  type TestLogList,
  type TestLogOptions,
  type TestLogState,
  testLog,
  testLogList,
} from './transparency.ts'

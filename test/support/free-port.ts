export { freePort } from '../../src/testing/lab/programs.ts'

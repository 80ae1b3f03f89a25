/** Those with programs that others wrote are in test/external/lab.test.ts. */
import { testAttacks } from '../../support/lab.ts'

testAttacks(({ group }) => group !== 'tools')

/** The attacks of the lab with programs that others wrote: the same that `pinfetch lab` runs where they are installed. */
import { testAttacks } from '../support/lab.ts'

testAttacks(({ group }) => group === 'tools')

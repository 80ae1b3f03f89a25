import type { Reasoned } from '../survivors.ts'

/** By file: the mutants that no test notices, and why that is right. */
export const SURVIVORS: Readonly<Record<string, readonly Reasoned[]>> = {}

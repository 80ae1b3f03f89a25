/** `npm run test:full`: more runs, more processes, the same assertions. Read here and nowhere else. */
export const isFull = process.env['PINFETCH_TESTS'] === 'full'

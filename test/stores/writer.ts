/** Writes files until it kills itself: `writer.ts DIRECTORY ROUND`. Run by stores.test.ts. */
import { fileStore } from '../../src/stores/file.ts'

const [directory = '', round = '0'] = process.argv.slice(2)
const store = fileStore(directory)
setTimeout(() => process.kill(process.pid, 'SIGKILL'), 40 + Number(round) * 23)
for (let at = 0; ; at += 1) {
  await Promise.all([0, 1, 2].map((lane) => store.put(`w/${round}-${at}-${lane}`, new Uint8Array(100_000))))
}

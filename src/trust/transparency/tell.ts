import type { EventOf } from '../../events/events.ts'
import type { TransparencyVerdict } from './check.ts'

/** What events say of a verdict: the logs whose SCTs count, each once. */
export function tellTransparency(
  verdict: TransparencyVerdict,
): Pick<EventOf<'ct.checked'>, 'status' | 'logs' | 'operators' | 'findings'> {
  const { status, findings } = verdict
  const scts = verdict.status === 'unchecked' ? [] : verdict.scts
  const counting = scts.flatMap((sct) => (sct.finding === undefined ? [sct.log] : []))
  const logs = [...new Set(counting.map(({ name }) => name))]
  return { status, logs, operators: [...new Set(counting.map(({ operator }) => operator))], findings }
}

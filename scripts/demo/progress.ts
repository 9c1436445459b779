import { Estimate } from './estimate.ts'
import type { EventLog } from '../../src/ports/log.ts'

const everyMs = 500

export interface ProgressOptions {
  readonly group: string
  readonly topic: string
  /** Records that the topic will have. */
  readonly total: number
  readonly show: (text: string) => void
}

/**
 * Shows how much of a history is scored, until it is stopped: it counts the offsets that the group has committed, not
 * the events sent, for a batch is in the log before its sender knows.
 */
export function showProgress(log: Pick<EventLog, 'committed'>, options: ProgressOptions): { stop(): void } {
  const { group, topic, total, show } = options
  const estimate = new Estimate(total)
  let most = 0
  const look = async (): Promise<void> => {
    const positions = await log.committed(group, topic)
    const done = [...positions.values()].reduce((sum, next) => sum + next, 0)
    // A late answer must not replace a newer one.
    if (done < most) return
    most = done
    show(`history: ${estimate.describe(done, 'scored')}`)
  }
  const timer = setInterval(() => void look().catch(() => undefined), everyMs)
  return { stop: () => clearInterval(timer) }
}

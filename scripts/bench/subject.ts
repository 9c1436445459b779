import type { Installation } from './installation.ts'
import type { Publish } from '../simulator/publish-lane.ts'
import { names } from '../../src/app/installation/settings/config.ts'

/** A processor whose time from payment to score is measured: the service's, or the bare one of the floor. */
export interface Subject {
  readonly name: string
  readonly topic: string
  readonly publish: Publish
  /** Calls `take` with each score from now on; answers how to end that. */
  readonly follow: (take: (value: Uint8Array) => void) => Promise<() => Promise<void>>
}

export function riverbankIn({ config, log }: Installation): Subject {
  const { topics } = names(config)
  return {
    name: 'Riverbank',
    topic: topics.events,
    publish: (records) => log.publish(records),
    async follow(take) {
      const options = { topic: topics.scores, from: 'end', maxRecords: 1_000, maxWaitMs: 20 } as const
      const tail = await log.tail(options, ({ records }) => {
        for (const { value } of records) take(value)
        return Promise.resolve()
      })
      return () => tail.stop()
    },
  }
}

import type { Contestant, Place } from './contestant.ts'
import { names } from '../../../src/app/installation/settings/config.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'

/** The processor of the installation, which runs already; whoever opened the installation ends it. */
export function riverbank({ installation }: Place): Contestant {
  const { topics } = names(installation.config)
  return {
    name: 'Riverbank',
    input: topics.events,
    outputs: [{ topic: topics.scores, features: [] }],
    features: definitions(installation.config).manifest.features.length,
    differs: [
      'scores each payment with the shipped model and decides; its record repeats the payment, all features and the sequence numbers',
      'counts a payment once whatever crashes; a record that a crash makes it write again is the same byte for byte',
      'keeps states in Redis, where HTTP reads them; windows are answered when the payment comes, in the order of arrival',
    ],
    pids() {
      const pids = installation.pids()
      return new Map([
        ['processor', pids.get('process-1') ?? 0],
        ['redis', pids.get('redis') ?? 0],
      ])
    },
    check: () => undefined,
    stop: () => Promise.resolve(),
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafkaBroker, type KafkaBroker } from '../../scripts/kafka/broker.ts'
import { kafkaAvailable } from '../../scripts/kafka/distribution.ts'
import { knownMissing } from './missing.ts'

/**
 * Null when a real broker can be started here, else the reason to skip. With CI=true a missing broker is a failure:
 * `describe.skipIf(kafkaMissing() !== null)`.
 */
export function kafkaMissing(): string | null {
  const available = kafkaAvailable()
  const reason = knownMissing('Kafka') ?? (available.kind === 'missing' ? available.reason : null)
  if (reason === null) return null
  if (process.env['CI'] === 'true') throw new Error(`${reason}, and CI=true allows no skipping`)
  return reason
}

export interface TestKafka extends KafkaBroker {
  /** Ends the process and removes its folder. */
  remove(): Promise<void>
}

/** Starts a broker of its own on a free loopback port, in a temporary folder. */
export async function startTestKafka(settings: Readonly<Record<string, string>> = {}): Promise<TestKafka> {
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-kafka-'))
  const broker = await startKafkaBroker({ dir, settings, onProgress: (line) => process.stderr.write(`${line}\n`) })
  const remove = async (): Promise<void> => {
    await broker.kill()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  return Object.assign(broker, { remove })
}

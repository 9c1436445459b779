import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafkaBroker } from '../kafka/broker.ts'
import { kafkaAvailable } from '../kafka/distribution.ts'

export interface BenchBroker {
  /** For clients. */
  readonly brokers: string
  readonly pid: number
  /** Ends the broker and deletes its files. */
  close(): Promise<void>
}

/** A real broker with a folder of its own. Null, with a line that gives the reason, without Java. */
export async function startBroker(say: (text: string) => void): Promise<BenchBroker | null> {
  const available = kafkaAvailable()
  if (available.kind === 'missing') {
    say(`kafka: skipped (${available.reason})`)
    return null
  }
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-bench-kafka-'))
  const remove = () => rm(dir, { recursive: true, force: true, maxRetries: 5 })
  try {
    const kafka = await startKafkaBroker({ dir, onProgress: say })
    return {
      brokers: kafka.brokers,
      pid: kafka.pid,
      async close() {
        await kafka.stop()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}

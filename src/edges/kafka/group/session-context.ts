import type { Kafka } from 'kafkajs'
import type { ConsumeOptions, GroupHandler } from '../../../ports/log.ts'
import type { Logger } from '../../../ports/telemetry.ts'
import type { KafkaAdmin } from '../admin.ts'
import type { KafkaLimits } from '../client.ts'

export interface SessionContext {
  readonly kafka: Kafka
  readonly admin: KafkaAdmin
  readonly limits: KafkaLimits
  readonly options: ConsumeOptions
  readonly handler: GroupHandler
  readonly fetchBytesPerPartition: number
  /** By topic: `max.message.bytes`. */
  readonly recordBytesMax: ReadonlyMap<string, number>
  /** The last release of each partition, also across sessions: the next claim of it waits for that. */
  readonly releases: Map<string, Promise<void>>
  /** Where each partition stands, also across sessions. */
  readonly marks: Map<string, Mark>
  readonly logger: Logger | undefined
  /** The coordinator has taken a heartbeat: this session works. */
  onSteady(): void
}

export interface Mark {
  /** The offset to read next. */
  readonly position: number
  /** The highest one there ever was: the log cannot end below it. */
  readonly highest: number
}

export type SessionEnd =
  | { readonly kind: 'stopped' }
  /** The handler failed, or the log is not what it was: the consumption ends with this. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The connection or the membership is gone: a new session may go on. */
  | { readonly kind: 'lost'; readonly error: unknown }

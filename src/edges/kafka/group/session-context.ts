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
  /** The last release of each partition, also across sessions: its next assignment waits for that. */
  readonly releases: Map<string, Promise<void>>
  /** The position of each partition, also across sessions. */
  readonly marks: Map<string, Mark>
  readonly logger: Logger | undefined
  /** Called when the coordinator has taken a heartbeat: this session works. */
  onSteady(): void
}

export interface Mark {
  /** The offset to read next. */
  readonly position: number
  /** The highest offset ever read: the log cannot end below it. */
  readonly highest: number
}

export type SessionEnd =
  | { readonly kind: 'stopped' }
  /** The handler failed, or the log was truncated or created anew: the consumption ends with this. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The connection or the membership is lost: a new session may go on. */
  | { readonly kind: 'lost'; readonly error: unknown }

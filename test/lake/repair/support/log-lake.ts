import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { heldOffsetsOf } from '../../../../src/app/commands/lake/lake-repair-command.ts'
import { openQuery } from '../../../../src/edges/duckdb/query.ts'
import { openTableWriter } from '../../../../src/edges/duckdb/table-writer.ts'
import { openRedisEventLog, type RedisEventLog } from '../../../../src/edges/redis/log/event-log.ts'
import { openLake, type Lake } from '../../../../src/lake/commit/lake.ts'
import { rowPlacement } from '../../../../src/lake/materialize/materializer.ts'
import { repairLake, type RepairOptions } from '../../../../src/lake/repair/repair.ts'
import type { LogRecord } from '../../../../src/ports/log.ts'
import { startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import {
  batchOf,
  catalog,
  claimOf,
  schema,
  materializer,
  payment,
  score,
  tempFolder,
  topics,
  writerOptions,
} from '../../support/feed.ts'
import { range } from '../../support/read.ts'

const clock = { nowMs: () => Date.now() }

/** A real log with events and scores of one partition, and a lake of it in files of `rowsPerFlush` offsets. */
export class LogLake {
  readonly redis: TestRedis
  readonly log: RedisEventLog
  readonly dir: string
  readonly copyDir: string
  private readonly folder: ReturnType<typeof tempFolder>

  private constructor(redis: TestRedis, log: RedisEventLog, folder: ReturnType<typeof tempFolder>) {
    this.redis = redis
    this.log = log
    this.folder = folder
    this.dir = join(folder.dir, 'lake')
    this.copyDir = join(folder.dir, 'copy')
  }

  static async start(): Promise<LogLake> {
    const redis = await startTestRedis()
    const log = await openRedisEventLog({ url: redis.url, namespace: 'repair', commandTimeoutMs: 10_000 })
    const limits = { partitions: 1, replicationFactor: 1, retentionMs: 86_400_000 }
    for (const topic of Object.values(topics)) {
      await log.createTopic({ topic, ...limits, retentionBytes: 1e9, maxRecordBytes: 1e6 })
    }
    return new LogLake(redis, log, tempFolder())
  }

  async publish(count: number): Promise<void> {
    const nowMs = Date.now()
    const features = '{"spend__mean_7d":0.5,"spend__count_7d":1}'
    await this.log.publish(
      range(0, count).map((i) => ({ topic: topics.events, key: 'c1', value: payment(`p${i}`, nowMs) })),
    )
    await this.log.publish(
      range(0, count).map((i) => ({
        topic: topics.scores,
        key: 'c1',
        value: score(`s${i}`, `p${i}`, nowMs, features, i),
      })),
    )
  }

  /** Takes in what the lake does not cover, in flushes of so many records. */
  async materialize(recordsPerFlush: number): Promise<void> {
    const m = await materializer(await this.open())
    for (const topic of Object.values(topics)) {
      const own = (await this.log.describeTopic(topic))?.[0]
      const assignment = { ...claimOf(topic, 0), range: own ?? { partition: 0, start: 0, end: 0 } }
      const from = await m.assigned(assignment)
      const records = (await this.records(topic)).filter(({ offset }) => offset >= from)
      for (let at = 0; at < records.length; at += recordsPerFlush) {
        await m.batch(assignment, batchOf(records.slice(at, at + recordsPerFlush)))
        await m.flush()
      }
    }
    await m.stop()
  }

  async records(topic: string): Promise<readonly LogRecord[]> {
    const own = (await this.log.describeTopic(topic))?.[0]
    const found: LogRecord[] = []
    if (own === undefined || own.end === own.start) return found
    let finish: () => void = () => undefined
    const all = new Promise<void>((resolve) => (finish = resolve))
    const from = new Map([[0, own.start]])
    const tail = await this.log.tail({ topic, from, maxRecords: 1_000, maxWaitMs: 20 }, (batch) => {
      found.push(...batch.records)
      if (batch.next >= own.end) finish()
      return Promise.resolve()
    })
    await Promise.race([all, tail.finished])
    await tail.stop()
    return found
  }

  /** A lake as another process finds it. */
  open(): Promise<Lake> {
    return openLake({ dir: this.dir })
  }

  copy(): void {
    cpSync(this.dir, this.copyDir, { recursive: true })
  }

  async repair(change: Partial<RepairOptions> = {}) {
    const writer = await openTableWriter(writerOptions)
    const query = await openQuery({ threads: 1, memoryMb: 256, tempDir: this.folder.dir, tempMb: 0, setup: [] })
    try {
      return await repairLake({
        dir: this.dir,
        copyDir: null,
        declareLost: false,
        log: this.log,
        topics: Object.values(topics),
        writer,
        place: rowPlacement({ topics, catalog, schema }),
        clock,
        rowsPerFile: 4,
        heldOffsets: heldOffsetsOf(query),
        ...change,
      })
    } finally {
      query.close()
      await writer.close()
    }
  }

  async stop(): Promise<void> {
    await this.log.close()
    await this.redis.stop()
    this.folder.remove()
  }
}

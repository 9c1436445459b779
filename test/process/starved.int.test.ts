import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Burners } from '../../scripts/chaos/burners.ts'
import { eachLine } from '../../src/app/supervise/lines.ts'
import { names, readConfig } from '../../src/app/installation/settings/config.ts'
import { openEventLog } from '../../src/app/installation/servers/event-log.ts'
import { createTopics } from '../../src/app/installation/servers/topics.ts'
import { schemaOf } from '../../src/events/event.ts'
import type { EventLog, OutgoingRecord } from '../../src/ports/log.ts'
import { historyHeaders } from '../support/history.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis-server.ts'
import { built } from '../support/built.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const payments = 20_000
const burners = 6

/** A command may take much less than a batch of 500 takes on a core that is shared with others. */
function settings(redisUrl: string): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    RIVERBANK_NAMESPACE: 'starved',
    RIVERBANK_PARTITIONS: '2',
    RIVERBANK_STATE_TIMEOUT_MS: '50',
    RIVERBANK_BATCH_RECORDS: '500',
    RIVERBANK_LOG_LEVEL: 'info',
  }
}

describe.skipIf(redisAvailable() !== null)('a processor that gets a small part of one core', () => {
  let server: TestRedis
  let log: EventLog
  let child: ChildProcess | null = null
  let load: Burners | null = null
  beforeEach(async () => {
    server = await startTestRedis({ persistence: 'off', maxMemoryBytes: 0 })
  })
  afterEach(async () => {
    load?.stop()
    child?.kill('SIGKILL')
    await log.close()
    await server.stop()
  })

  // Judged by progress: a machine may be as slow as it is.
  it('I2: works off a backlog of 20,000 payments, and publishes few of them twice', { timeout: 0 }, async () => {
    const env = settings(server.url)
    // The test's own connection has time.
    const config = readConfig({ ...env, RIVERBANK_STATE_TIMEOUT_MS: '60000' })
    const { topics, groups } = names(config)
    log = await openEventLog(config)
    await createTopics(config, log)
    const records = Array.from({ length: payments }, (_, n) => payment(topics.events, n))
    for (let from = 0; from < records.length; from += 500) await log.publish(records.slice(from, from + 500))

    const lines: string[] = []
    child = spawn(process.execPath, [built('src/main.ts'), 'process'], {
      cwd: root,
      env: { ...inherited(), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const processor = child
    if (processor.stderr !== null) eachLine(processor.stderr, 65_536, (line) => lines.push(line))
    const isOver = () => processor.exitCode !== null || processor.signalCode !== null
    while (!lines.some((line) => line.includes('"started"')) && !isOver()) await sleep(50)
    load = new Burners(burners)
    load.bind(processor.pid ?? -1)

    const count = async (topic: string) =>
      ((await log.describeTopic(topic)) ?? []).reduce((sum, { start, end }) => sum + end - start, 0)
    const committed = async () =>
      [...(await log.committed(groups.process, topics.events)).values()].reduce((sum, next) => sum + next, 0)
    let done = 0
    while (done < records.length) {
      await sleep(100)
      done = await committed()
      const copies = (await count(topics.scores)) - done
      // Each partition may be in the middle of a batch; more than that was published again and again.
      expect(isOver() ? lines.slice(-5) : [], 'the processor runs').toEqual([])
      expect(copies, `published and not committed, with ${done} committed`).toBeLessThan(payments / 4)
    }
    expect(await count(topics.scores)).toBeGreaterThanOrEqual(records.length)
  })
})

function payment(topic: string, n: number): OutgoingRecord {
  const customerId = `c${n % 2_000}`
  const value = JSON.stringify({
    specversion: '1.0',
    id: `p${n}`,
    type: 'payment.initiated',
    source: 'urn:test',
    subject: customerId,
    time: new Date(Date.UTC(2026, 2, 1) + n * 1_000).toISOString(),
    dataschema: schemaOf('payment.initiated', 2),
    data: { customerId, terminalId: `t${n % 400}`, amountMinor: 1 + (n % 5_000), currency: 'EUR' },
  })
  return { topic, key: customerId, value, headers: historyHeaders }
}

function inherited(): Record<string, string> {
  const ours = /^(RIVERBANK_|REDIS_URL$|KAFKA_BROKERS$|VITEST|NODE_ENV$|TEST_)/
  const all = Object.entries(process.env)
  return Object.fromEntries(
    all.flatMap(([name, value]) => (value === undefined || ours.test(name) ? [] : [[name, value]])),
  )
}

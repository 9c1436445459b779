import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { names, readConfig, type Config } from '../../../../src/app/installation/settings/config.ts'
import { countDeadLetters } from '../../../../src/app/commands/dead-letters/dead-letter-topic.ts'
import { sendDeadLetters } from '../../../../src/app/commands/dead-letters/dead-letters.ts'
import { openEventLog } from '../../../../src/app/installation/servers/event-log.ts'
import { createTopics } from '../../../../src/app/installation/servers/topics.ts'
import type { EventLog, LogRecord, OutgoingRecord } from '../../../../src/ports/log.ts'
import { deadLetterRecord } from '../../../../src/process/dead-letters/dead-letter.ts'
import { riverbank } from '../../../e2e/support/program.ts'
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/wait.ts'

interface Listed {
  readonly id: string
  readonly eventId: string | null
  readonly eventType: string | null
  readonly key: string | null
  readonly replayedAt: readonly string[]
  readonly position: { readonly partition: number; readonly offset: number }
  readonly data: { readonly code: string }
}

describe.skipIf(redisAvailable() !== null)('dead letters', () => {
  let redis: TestRedis
  let config: Config
  let env: Record<string, string>
  let log: EventLog
  let installations = 0

  beforeAll(async () => {
    redis = await startTestRedis()
  })
  afterAll(() => redis.stop())
  beforeEach(async () => {
    installations += 1
    env = { REDIS_URL: redis.url, RIVERBANK_NAMESPACE: `letters-${installations}`, RIVERBANK_LOG_LEVEL: 'error' }
    config = readConfig(env)
    log = await openEventLog(config)
    await createTopics(config, log)
    const { events } = names(config).topics
    await log.publish(
      ['p-1', 'p-2', 'p-3'].map((id, n) => ({ topic: events, key: `c-${n + 1}`, value: eventText(id) })),
    )
    const codes: Record<string, string> = { 'p-1': 'invalid_data', 'p-2': 'unknown_subject', 'p-3': 'duplicate_event' }
    await log.publish((await read(events)).map((record) => letterRecord(record, codes[idOf(record)] ?? '')))
  })
  afterEach(() => log.close())

  const eventText = (id: string) => JSON.stringify({ id, type: 'payment.initiated' })
  const idOf = ({ value }: LogRecord) => (JSON.parse(Buffer.from(value).toString()) as { id: string }).id

  /** As the processor would, had it refused the record with this code. */
  function letterRecord(record: LogRecord, code: string): OutgoingRecord {
    const intake = { kind: 'invalid', record, code: 'invalid_data', detail: '' } as const
    return deadLetterRecord(names(config).topics.deadLetters, intake, code, 'because')
  }

  /** The whole topic, in the order of the log's clock. */
  async function read(topic: string): Promise<LogRecord[]> {
    const ranges = (await log.describeTopic(topic)) ?? []
    const count = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
    const records: LogRecord[] = []
    const tail = await log.tail({ topic, from: new Map(), maxRecords: 100, maxWaitMs: 20 }, (batch) => {
      records.push(...batch.records)
      return Promise.resolve()
    })
    await eventually(() => records.length >= count, { deadlineMs: 30_000, what: `${count} records of ${topic}` })
    await tail.stop()
    return records.sort((a, b) => a.appendTimeMs - b.appendTimeMs)
  }

  /** How often each event is in the log. */
  async function sent(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const record of await read(names(config).topics.events)) {
      counts[idOf(record)] = (counts[idOf(record)] ?? 0) + 1
    }
    return counts
  }

  async function run(...args: string[]): Promise<unknown> {
    const { code, stdout, stderr } = await riverbank(['dead-letters', ...args, '--json'], env)
    expect(code, stderr).toBe(0)
    return JSON.parse(stdout)
  }

  async function list(...args: string[]): Promise<Listed[]> {
    const { code, stdout, stderr } = await riverbank(['dead-letters', 'list', '--json', ...args], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Listed).sort((a, b) => (a.key ?? '').localeCompare(b.key ?? ''))
  }

  const letterOf = async (eventId: string): Promise<string> => {
    const [letter] = await list('--event-id', eventId)
    return letter?.id ?? ''
  }

  test('are sent once, however often they are replayed, and the second replay says how many it left out', async () => {
    expect(await run('replay', '--code', 'all')).toMatchObject({ replayed: 2, leftOut: 0, keptBack: 1 })
    expect(await run('replay', '--code', 'all')).toMatchObject({ replayed: 0, leftOut: 2 })
    expect(await run('replay', '--code', 'invalid_data')).toMatchObject({ replayed: 0, leftOut: 1 })
    expect(await sent()).toEqual({ 'p-1': 2, 'p-2': 2, 'p-3': 1 })
  })

  test('are sent all the same with --again', async () => {
    await run('replay', '--code', 'invalid_data')
    expect(await run('replay', '--code', 'invalid_data', '--again')).toMatchObject({ replayed: 1, leftOut: 0 })
    expect(await sent()).toMatchObject({ 'p-1': 3 })
    expect((await list('--event-id', 'p-1'))[0]?.replayedAt).toHaveLength(2)
  })

  test('are listed with when they were replayed, and count once', async () => {
    const beforeMs = Date.now()
    await run('replay', '--code', 'invalid_data')
    const listed = await list()
    expect(listed.map(({ replayedAt }) => replayedAt.length)).toEqual([1, 0, 0])
    expect(Date.parse(listed[0]?.replayedAt[0] ?? '')).toBeGreaterThanOrEqual(beforeMs)
    expect(Object.fromEntries(await countDeadLetters(config, log))).toEqual({
      ...{ invalid_data: 1, unknown_subject: 1, duplicate_event: 1 },
    })
    const { stdout } = await riverbank(['dead-letters', 'list'], env)
    expect(stdout.split('\n')[0]?.trim().split(/\s+/)).toEqual([
      ...['letter', 'time', 'event', 'type', 'key', 'attempts', 'replayed', 'code', 'detail'],
    ])
    expect(stdout).toContain(listed[0]?.replayedAt[0])
  })

  test('are only counted with --dry-run, and can be sent after it', async () => {
    expect(await run('replay', '--code', 'invalid_data', '--dry-run')).toMatchObject({ replayed: 1 })
    expect(await sent()).toMatchObject({ 'p-1': 1 })
    expect(await run('replay', '--code', 'invalid_data')).toMatchObject({ replayed: 1, leftOut: 0 })
  })

  test('are sent once more where a crash came between the record and the word that it went out, and none is lost', async () => {
    const crashed: EventLog = {
      ...log,
      publish: (records) =>
        records.some(({ topic }) => topic === names(config).topics.deadLetters)
          ? Promise.reject(new Error('killed'))
          : log.publish(records),
    }
    await expect(sendDeadLetters(config, crashed, { code: 'invalid_data' })).rejects.toThrow('killed')
    expect(await sent()).toMatchObject({ 'p-1': 2 })
    expect(await run('replay', '--code', 'invalid_data')).toMatchObject({ replayed: 1, leftOut: 0 })
    expect(await run('replay', '--code', 'invalid_data')).toMatchObject({ replayed: 0, leftOut: 1 })
    expect(await sent()).toMatchObject({ 'p-1': 3 })
  })

  test('name the event that they hold: id, type and key', async () => {
    expect((await list()).map(({ eventId, eventType, key }) => [eventId, eventType, key])).toEqual([
      ['p-1', 'payment.initiated', 'c-1'],
      ['p-2', 'payment.initiated', 'c-2'],
      ['p-3', 'payment.initiated', 'c-3'],
    ])
  })

  test.each([
    ['--code', 'unknown_subject'],
    ['--event-id', 'p-2'],
    ['--key', 'c-2'],
  ])('are chosen by %s, in the list and for a replay', async (option, value) => {
    expect((await list(option, value)).map(({ eventId }) => eventId)).toEqual(['p-2'])
    expect(await run('replay', option, value)).toMatchObject({ replayed: 1 })
    expect(await sent()).toEqual({ 'p-1': 1, 'p-2': 2, 'p-3': 1 })
  })

  test('are chosen by the time at which the log took their records', async () => {
    const dayLater = new Date(Date.now() + 86_400_000).toISOString()
    expect(await list('--since', dayLater)).toEqual([])
    expect(await run('replay', '--since', dayLater)).toMatchObject({ replayed: 0 })
    expect(await list('--since', '2020-01-01')).toHaveLength(3)
    expect(await run('replay', '--since', '2020-01-01')).toMatchObject({ replayed: 2, keptBack: 1 })
  })

  test('are sent alone by their ids, also where the event is in the states already', async () => {
    expect(await run('replay', await letterOf('p-3'))).toMatchObject({ replayed: 1, byCode: { duplicate_event: 1 } })
    expect(await run('replay', await letterOf('p-3'))).toMatchObject({ replayed: 0, leftOut: 1 })
    expect(await sent()).toEqual({ 'p-1': 1, 'p-2': 1, 'p-3': 2 })
  })

  test('that do not exist are refused with their code, and nothing is sent', async () => {
    const { code, stderr } = await riverbank(['dead-letters', 'replay', 'payments.events:0:999:dead'], env)
    expect([code, stderr]).toEqual([
      1,
      'dead_letter_not_found: the log has no dead letter payments.events:0:999:dead\n',
    ])
  })
})

describe.concurrent('a filter of dead letters that can match nothing is exit code 2 and a word on stderr', () => {
  test.for([
    ['a code that there is not', ['list', '--code', 'invalid_jsno'], 'invalid_json'],
    ['all, which is no code of a list', ['list', '--code', 'all'], 'invalid_json'],
    ['a code that there is not, for a replay', ['replay', '--code', 'everything'], 'invalid_json'],
    ['an id that no event can have', ['list', '--event-id', '..'], 'no event can have this id'],
    ['an empty key', ['list', '--key', ''], 'a text is needed'],
    ['a time that is none', ['replay', '--since', 'yesterday'], 'a time such as'],
    ['a letter that is none', ['replay', '17'], 'the id of a letter is needed'],
    ['no filter for a replay', ['replay'], 'say which letters'],
    ['a letter and a filter', ['replay', 'payments.events:0:1:dead', '--code', 'all'], 'not both'],
  ] as const)('%s', async ([, args, word]) => {
    const { code, stdout, stderr } = await riverbank(['dead-letters', ...args], { REDIS_URL: 'redis://127.0.0.1:9' })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(word)
  })
})

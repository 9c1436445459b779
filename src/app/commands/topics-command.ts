import type { Config } from '../installation/settings/config.ts'
import { refuseContradictions } from '../installation/contradictions.ts'
import { openEventLog } from '../installation/servers/event-log.ts'
import { table } from '../command-line/table.ts'
import { createTopics, describeLag, topicSpecs } from '../installation/servers/topics.ts'
import type { EventLog } from '../../ports/log.ts'

interface Options {
  readonly json?: boolean
  readonly max?: number
}

export async function topicsCommand(
  config: Config,
  name: 'create' | 'describe' | 'lag',
  options: Options,
): Promise<number> {
  const log = await openEventLog(config)
  try {
    const rows = await rowsOf(config, log, name)
    process.stdout.write(options.json === true ? `${JSON.stringify(rows)}\n` : table(rows))
    const worst = Math.max(0, ...rows.map((row) => Number(row['lag'] ?? 0)))
    return options.max !== undefined && worst > options.max ? 1 : 0
  } finally {
    await log.close()
  }
}

type Row = Readonly<Record<string, string | number | null>>

async function rowsOf(config: Config, log: EventLog, name: 'create' | 'describe' | 'lag'): Promise<Row[]> {
  if (name === 'create') {
    await refuseContradictions(config, { log })
    return (await createTopics(config, log)).map((row) => ({ ...row }))
  }
  if (name === 'lag') {
    return (await describeLag(config, log)).map(({ group, topic, partition, committed, end, lag }) => ({
      group,
      topic,
      partition,
      committed,
      end,
      lag,
    }))
  }
  const rows: Row[] = []
  for (const { topic } of topicSpecs(config)) {
    for (const range of (await log.describeTopic(topic)) ?? [])
      rows.push({ topic, ...range, records: range.end - range.start })
  }
  return rows
}

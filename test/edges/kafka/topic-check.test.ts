import { describe, expect, test } from 'vitest'
import { topicFindings } from '../../../src/edges/kafka/topic-check.ts'

const spec = {
  ...{ topic: 'payments.events', partitions: 4, replicationFactor: 1, retentionMs: 86_400_000 },
  ...{ retentionBytes: 1_000_000_000, maxRecordBytes: 1_048_576 },
}
const right = {
  'cleanup.policy': 'delete',
  'compression.type': 'producer',
  'max.message.bytes': '1064960',
  'message.timestamp.type': 'LogAppendTime',
  'retention.bytes': '1000000000',
  'retention.ms': '86400000',
}
const found = (change: Partial<typeof right>) =>
  topicFindings(spec, new Map(Object.entries({ ...right, ...change })), ['b:9092'])

test('a topic as the settings ask for has nothing to say, and one that keeps more neither', () => {
  expect(found({})).toEqual([])
  expect(found({ 'retention.ms': '-1', 'retention.bytes': '-1' })).toEqual([])
})

describe('what breaks a promise, and what may cost something', () => {
  test.each([
    ['message.timestamp.type', 'CreateTime', 'wrong', 'LogAppendTime'],
    ['cleanup.policy', 'compact,delete', 'wrong', 'delete'],
    ['max.message.bytes', '1048588', 'wrong', '1064960'],
    ['max.message.bytes', '10000000', 'risky', '1064960'],
    ['compression.type', 'uncompressed', 'risky', 'producer'],
    ['retention.ms', '3600000', 'risky', '86400000'],
    ['retention.bytes', '1000', 'risky', '1000000000'],
  ] as const)('%s=%s is %s, and the command sets %s', (property, value, severity, wanted) => {
    const findings = found({ [property]: value })
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ severity })
    expect(findings[0]?.what).toContain(`topic payments.events has ${property}=${value}`)
    expect(findings[0]?.fix).toContain(`--entity-name payments.events --add-config ${property}=${wanted} `)
    expect(findings[0]?.fix).toContain(`rpk topic alter-config payments.events --set ${property}=${wanted})`)
  })
})

import type { TopicFinding } from '../../events/codec/record-parts.ts'
import type { TopicSpec } from '../../ports/log.ts'
import { recordOverheadBytes } from './record.ts'

/** Properties of a topic that decide whether it keeps, serves and orders events as we promise. */
export const checkedProperties = [
  'cleanup.policy',
  'compression.type',
  'max.message.bytes',
  'message.timestamp.type',
  'retention.bytes',
  'retention.ms',
] as const

/** The properties of a topic that break a promise (`wrong`) or may cost something some day (`risky`). */
export function topicFindings(
  spec: TopicSpec,
  found: ReadonlyMap<string, string>,
  brokers: readonly string[],
): TopicFinding[] {
  const findings: TopicFinding[] = []
  const add = (severity: TopicFinding['severity'], property: string, wanted: string, why: string) => {
    const command = `kafka-configs.sh --bootstrap-server ${brokers.join(',')} --alter --entity-type topics --entity-name ${spec.topic} --add-config ${property}=${wanted}`
    const fix = `run ${command} (Redpanda: rpk topic alter-config ${spec.topic} --set ${property}=${wanted})`
    findings.push({ severity, what: `topic ${spec.topic} has ${property}=${found.get(property) ?? ''}: ${why}`, fix })
  }
  if (found.get('message.timestamp.type') !== 'LogAppendTime') {
    const why = 'only LogAppendTime says when the log accepted a record'
    add('wrong', 'message.timestamp.type', 'LogAppendTime', why)
  }
  if (found.get('cleanup.policy') !== 'delete') {
    add('wrong', 'cleanup.policy', 'delete', 'compaction drops all but the newest event of a key')
  }
  const bytes = spec.maxRecordBytes + recordOverheadBytes
  const messageBytes = Number(found.get('max.message.bytes'))
  if (messageBytes < bytes) add('wrong', 'max.message.bytes', String(bytes), 'records that we accept do not fit')
  if (messageBytes > bytes) {
    add('risky', 'max.message.bytes', String(bytes), 'dead letters do not hold the largest records whole')
  }
  if (found.get('compression.type') !== 'producer') {
    const why = 'the broker writes batches anew, and refuses those that only fit as their producer compressed them'
    add('risky', 'compression.type', 'producer', why)
  }
  for (const [property, wanted] of [
    ['retention.ms', spec.retentionMs],
    ['retention.bytes', spec.retentionBytes],
  ] as const) {
    const kept = Number(found.get(property))
    // -1: for good.
    if (kept >= 0 && kept < wanted) {
      add('risky', property, String(wanted), 'less than the settings ask for: unread events may be dropped')
    }
  }
  return findings
}

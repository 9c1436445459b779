import { describe, expect, it } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { outOfRangeIn, protocolTypeOf, toLogError } from '../../../src/edges/kafka/errors.ts'

/** As kafkajs wraps: retries around a protocol error. */
function wrapped(type: string): Error {
  const protocol = Object.assign(new Error(`broker says ${type}`), { name: 'KafkaJSProtocolError', type })
  return Object.assign(new Error('too many tries'), { name: 'KafkaJSNumberOfRetriesExceeded', cause: protocol })
}

describe('errors of kafkajs', () => {
  it.each([
    ['UNKNOWN_MEMBER_ID', 'fenced', false],
    ['ILLEGAL_GENERATION', 'fenced', false],
    ['REBALANCE_IN_PROGRESS', 'fenced', false],
    ['MESSAGE_TOO_LARGE', 'record_too_large', false],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'topic_missing', false],
    ['TOPIC_AUTHORIZATION_FAILED', 'log_refused', false],
    ['INVALID_REPLICATION_FACTOR', 'log_refused', false],
    ['NOT_LEADER_FOR_PARTITION', 'log_unavailable', true],
    ['NOT_COORDINATOR_FOR_GROUP', 'log_unavailable', true],
    ['REQUEST_TIMED_OUT', 'log_unavailable', true],
    ['A_CODE_OF_TOMORROW', 'log_unavailable', true],
  ])('%s is %s', (type, code, canRetry) => {
    const error = toLogError(wrapped(type), 'publish')
    expect({ code: error.code, canRetry: error.canRetry }).toEqual({ code, canRetry })
    expect(error.message).toContain(type)
    expect(protocolTypeOf(error.cause)).toBe(type)
  })

  it('says which of them are time-outs: less at once may succeed', () => {
    expect(toLogError(wrapped('REQUEST_TIMED_OUT'), 'publish').timedOut).toBe(true)
    const request = Object.assign(new Error('Produce timed out'), { name: 'KafkaJSRequestTimeoutError' })
    expect(toLogError(Object.assign(new Error('too many tries'), { cause: request }), 'publish').timedOut).toBe(true)
    expect(toLogError(wrapped('NOT_LEADER_FOR_PARTITION'), 'publish').timedOut).toBe(false)
  })

  it('looks into the errors that kafkajs collects', () => {
    const inner = Object.assign(new Error('no'), { type: 'INVALID_CONFIG' })
    expect(toLogError(Object.assign(new Error('several'), { errors: [inner] }), 'create').code).toBe('log_refused')
  })

  it('passes its own errors on, and counts anything else as unavailable', () => {
    const own = new RiverbankError('topic_mismatch', 'other partitions')
    expect(toLogError(own, 'create')).toBe(own)
    expect(toLogError('boom', 'read').code).toBe('log_unavailable')
    expect(toLogError(new TypeError('of null'), 'read').canRetry).toBe(true)
  })

  it('ends with a cause that is its own cause', () => {
    const circular = new Error('round')
    circular.cause = circular
    expect(toLogError(circular, 'read').code).toBe('log_unavailable')
  })

  it('finds where a fetch was out of range', () => {
    const range = Object.assign(new Error('out'), { name: 'KafkaJSOffsetOutOfRange', topic: 't', partition: 3 })
    expect(outOfRangeIn(Object.assign(new Error('non retriable'), { cause: range }))).toEqual({
      topic: 't',
      partition: 3,
    })
    expect(outOfRangeIn(wrapped('UNKNOWN_MEMBER_ID'))).toBeNull()
  })
})

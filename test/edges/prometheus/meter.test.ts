import { expect, test } from 'vitest'
import { prometheusMeter } from '../../../src/edges/prometheus/meter.ts'

const meterOf = (processMetrics = false) => prometheusMeter({ processMetrics, constantLabels: { role: 'serve' } })

test('counters, gauges and histograms are exposed in the text format', async () => {
  const meter = meterOf()
  const counter = meter.counter('rb_things_total', 'Things', ['kind'])
  counter.add(2, { kind: 'a' })
  counter.add(1, { kind: 'a' })
  meter.gauge('rb_level', 'Level').set(-1.5)
  const histogram = meter.histogram('rb_seconds', 'Time', [0.001, 0.01], ['route'])
  histogram.observe(0.0005, { route: '/' })
  histogram.observe(5, { route: '/' })
  const { contentType, body } = await meter.expose()
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  const lines = body.split('\n')
  for (const line of [
    '# TYPE rb_things_total counter',
    'rb_things_total{kind="a",role="serve"} 3',
    '# HELP rb_level Level',
    'rb_level{role="serve"} -1.5',
    'rb_seconds_bucket{le="0.001",role="serve",route="/"} 1',
    'rb_seconds_bucket{le="0.01",role="serve",route="/"} 1',
    'rb_seconds_bucket{le="+Inf",role="serve",route="/"} 2',
    'rb_seconds_sum{role="serve",route="/"} 5.0005',
  ]) {
    expect(lines).toContain(line)
  }
})

test('the same name is the same instrument, and never another one', async () => {
  const meter = meterOf()
  meter.counter('rb_once_total', 'Once').add(1)
  meter.counter('rb_once_total', 'Once').add(1)
  expect((await meter.expose()).body).toContain('rb_once_total{role="serve"} 2')
  expect(() => meter.counter('rb_once_total', 'Once', ['kind'])).toThrow('registered as something else')
  expect(() => meter.gauge('rb_once_total', 'Once')).toThrow('registered as something else')
  expect(() => meter.counter('rb_wrong', 'Wrong')).toThrow('ends in _total')
})

test('two meters do not meet, and process metrics are there when asked for', async () => {
  const [one, two] = [meterOf(), meterOf(true)]
  one.gauge('rb_only_here', 'Here').set(1)
  expect((await two.expose()).body).not.toContain('rb_only_here')
  expect((await two.expose()).body).toContain('nodejs_eventloop_lag_seconds')
  expect((await one.expose()).body).not.toContain('nodejs_eventloop_lag_seconds')
})

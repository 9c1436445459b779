import { describe, expect, test } from 'vitest'
import {
  environmentName,
  readConfig,
  settingSchemas,
  stateLocation,
} from '../../../src/app/installation/settings/config.ts'
import { loadProject } from '../../../src/app/installation/settings/project.ts'
import { settingRows } from '../../../src/app/doctor/doctor-command.ts'
import { configurationFinding, nodeFinding } from '../../../src/app/doctor/doctor-probes.ts'
import { clusterFinding, redisFinding } from '../../../src/app/doctor/doctor-redis.ts'
import { heardAfter } from '../../support/busy-loop.ts'
import { exitCodeOf, fail, ok, renderChecks, runProbes, warn, type Probe } from '../../../src/app/doctor/doctor.ts'

const probe = (name: string, run: Probe['run']): Probe => ({ name, fix: `mend ${name}`, run })

describe('doctor', () => {
  test('answers in order, whatever a probe does', async () => {
    const checks = await runProbes(
      [
        probe('slow', () => new Promise(() => undefined)),
        probe('good', async () => ok('fine')),
        probe('broken', () => Promise.reject(new Error('no route'))),
      ],
      50,
    )
    expect(checks).toEqual([
      { name: 'slow', status: 'fail', detail: 'no answer within 50 ms', fix: 'mend slow' },
      { name: 'good', status: 'ok', detail: 'fine', fix: null },
      { name: 'broken', status: 'fail', detail: 'no route', fix: 'mend broken' },
    ])
  })

  test('does not call a probe late whose answer was there while the loop was busy', async () => {
    const answered = probe('prompt', async () => {
      await heardAfter(500)
      return ok('there')
    })
    expect(await runProbes([answered], 100)).toMatchObject([{ name: 'prompt', status: 'ok' }])
  })

  test('only a failure is an exit code', () => {
    const named = { name: 'x' }
    expect(exitCodeOf([])).toBe(0)
    expect(
      exitCodeOf([
        { ...named, ...ok('a') },
        { ...named, ...warn('b', 'c') },
      ]),
    ).toBe(0)
    expect(
      exitCodeOf([
        { ...named, ...ok('a') },
        { ...named, ...fail('b', 'c') },
      ]),
    ).toBe(1)
  })

  test('prints what to do below what is wrong, and counts', () => {
    const text = renderChecks([
      { name: 'a', ...ok('fine') },
      { name: 'long', ...fail('one\ntwo', 'mend it') },
      { name: 'b', ...warn('odd', 'look') },
    ])
    expect(text).toBe(
      [
        'ok    a     fine',
        'fail  long  one',
        '            two',
        '            → mend it',
        'warn  b     odd',
        '            → look',
        '1 ok, 1 warnings, 1 failed',
        '',
      ].join('\n'),
    )
  })

  test.each([
    ['20.18.9', 'fail'],
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
    ['18.20.4', 'fail'],
  ])('node %s: %s', (version, status) => {
    expect(nodeFinding(version).status).toBe(status)
  })

  const good = { version: '7.0.15', maxmemoryPolicy: 'noeviction', appendonly: 'yes', appendfsync: 'everysec' }
  test.each([
    ['good', {}, 'ok'],
    ['valkey', { version: 'valkey 8.1.0' }, 'ok'],
    ['a managed server that hides its configuration', { maxmemoryPolicy: '', appendfsync: '' }, 'ok'],
    ['too old', { version: '6.2.1' }, 'fail'],
    ['evicting', { maxmemoryPolicy: 'allkeys-lru' }, 'fail'],
    ['volatile', { maxmemoryPolicy: 'volatile-ttl' }, 'fail'],
    ['forgetful', { appendonly: 'no' }, 'warn'],
    ['careless', { appendfsync: 'no' }, 'warn'],
  ])('redis, %s', (_name, change, status) => {
    expect(redisFinding({ ...good, ...change }).status).toBe(status)
  })

  const three = new Map(['a:1', 'b:2', 'c:3'].map((address) => [address, good] as const))
  const works = { state: 'ok', hashSlotsServed: 16_384, primaries: three, replicas: 3 }
  test.each([
    ['good', {}, 'ok', '3 primaries, 3 replicas'],
    ['with slots that nobody serves', { hashSlotsServed: 10_000 }, 'fail', '10000 of 16384'],
    ['that is down', { state: 'fail' }, 'fail', 'cluster_state fail'],
    [
      'with one node that evicts',
      { primaries: new Map([...three, ['b:2', { ...good, maxmemoryPolicy: 'allkeys-lru' }]]) },
      'fail',
      'b:2',
    ],
    [
      'with one node that forgets',
      { primaries: new Map([...three, ['c:3', { ...good, appendonly: 'no' }]]) },
      'warn',
      'c:3',
    ],
  ])('a cluster %s', (_name, change, status, detail) => {
    const finding = clusterFinding({ ...works, ...change })
    expect(finding.status).toBe(status)
    expect(finding.detail).toContain(detail)
  })

  test('states may live on a cluster, the redis log may not', () => {
    const STATES_URL = 'redis+cluster://a:1,b:2'
    const config = readConfig({ RIVERBANK_STATES_URL: STATES_URL })
    expect(stateLocation(config)).toEqual({ kind: 'cluster', seeds: ['redis://a:1', 'redis://b:2'] })
    expect(stateLocation(readConfig({ REDIS_URL: 'redis://a:1' }))).toEqual({ kind: 'server', url: 'redis://a:1' })
    expect(() => readConfig({ REDIS_URL: STATES_URL })).toThrow('the redis log needs a single server')
    const kafka = { RIVERBANK_LOG: 'kafka', KAFKA_BROKERS: 'k:9092' }
    expect(stateLocation(readConfig({ ...kafka, REDIS_URL: STATES_URL })).kind).toBe('cluster')
    expect(() => readConfig({ RIVERBANK_STATES_URL: 'redis+cluster://a:1/2' })).toThrow('no database')
  })

  test('names every mistake of the configuration', () => {
    const env = { RIVERBANK_LOG: 'kafka', RIVERBANK_PARTITION: '4' }
    const { finding, config } = configurationFinding(() => readConfig(env))
    expect(config).toBeNull()
    expect(finding.status).toBe('fail')
    expect(finding.detail).toContain('RIVERBANK_PARTITION: no such setting')
    expect(finding.detail).toContain('KAFKA_BROKERS: needed')
  })

  test('lists every setting with a default and a purpose', () => {
    const rows = settingRows(loadProject({}))
    expect(rows.map(({ name }) => name)).toEqual(
      Object.keys(settingSchemas(loadProject({})).shape).map(environmentName),
    )
    for (const { about } of rows) expect(about).not.toBe('')
    expect(rows).toContainEqual({
      name: 'RIVERBANK_PARTITIONS',
      default: '4',
      values: '1 to 256',
      about: expect.stringContaining('partitions') as string,
    })
  })
})

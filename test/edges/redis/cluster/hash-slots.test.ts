import { describe, expect, test } from 'vitest'
import { parseRedirection, parseHashSlots, hashSlotOf } from '../../../../src/edges/redis/cluster/hash-slots.ts'
import { addressOf, clusterSeeds, namesCluster, nodeUrl } from '../../../../src/edges/redis/cluster/cluster-url.ts'
import { bucketOf, stateBuckets } from '../../../../src/edges/redis/states/state-buckets.ts'

describe('slots of a cluster', () => {
  // What CLUSTER KEYSLOT answers.
  test.each([
    ['123456789', 12_739],
    ['', 0],
    ['foo', 12_182],
    ['{foo}.bar', 12_182],
    ['a{foo}{bar}', 12_182],
    ['{}foo', 9_500],
    ['ü', 9_552],
  ])('slot of "%s" is %i', (key, hashSlot) => {
    expect(hashSlotOf(key)).toBe(hashSlot)
  })

  test('reads the map, and takes a host that is not named for the one that was asked', () => {
    const owners = parseHashSlots(
      [
        [0, 99, ['10.0.0.1', 7000, 'id', []], ['10.0.0.9', 7009, 'replica', []]],
        [200, 200, [null, 7001, 'id', []]],
        [201, 201, [Buffer.from('::1'), 7002, 'id', []]],
      ],
      '10.0.0.7',
    )
    expect([0, 99, 100, 199, 200, 201, 202].map((hashSlot) => owners[hashSlot])).toEqual([
      ...['10.0.0.1:7000', '10.0.0.1:7000', undefined, undefined, '10.0.0.7:7001', '::1:7002', undefined],
    ])
  })

  test.each([
    ['MOVED 3999 127.0.0.1:6381', { kind: 'moved', hashSlot: 3_999, address: '127.0.0.1:6381' }],
    ['ASK 3999 ::1:6381', { kind: 'ask', hashSlot: 3_999, address: '::1:6381' }],
    ['MOVED 3999 :6381', { kind: 'moved', hashSlot: 3_999, address: 'asked:6381' }],
    ['MOVED 16384 127.0.0.1:6381', null],
    ['MOVED __proto__ 127.0.0.1:6381', null],
    ['ERR MOVED 1 127.0.0.1:6381', null],
  ])('reads "%s"', (message, redirection) => {
    expect(parseRedirection(message, 'asked')).toEqual(redirection)
  })
})

describe('state buckets', () => {
  test('stand at equal distances, so that equal shares of the slots hold equally many', () => {
    expect(stateBuckets).toHaveLength(64)
    expect(stateBuckets.map(({ hashSlot }) => Math.floor(hashSlot / 256))).toEqual(
      Array.from({ length: 64 }, (_, i) => i),
    )
    for (const { tag, hashSlot } of stateBuckets) expect(hashSlotOf(`ns:state:{${tag}}:customer:1`)).toBe(hashSlot)
  })

  test('hold entities evenly, the same ones in every process', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 64_000; i += 1) {
      const { tag } = bucketOf({ entity: 'customer', id: String(i) })
      counts.set(tag, (counts.get(tag) ?? 0) + 1)
    }
    expect(counts.size).toBe(64)
    expect(Math.min(...counts.values())).toBeGreaterThan(800)
    expect(Math.max(...counts.values())).toBeLessThan(1_200)
    expect(stateBuckets.indexOf(bucketOf({ entity: 'customer', id: '4961' }))).toBe(49)
  })
})

describe('the URL of a cluster', () => {
  test.each([
    ['redis+cluster://a:7000', ['redis://a:7000']],
    ['redis+cluster://a:7000,b:7001/', ['redis://a:7000', 'redis://b:7001']],
    ['rediss+cluster://user:p%40ss@a,b:1', ['rediss://user:p%40ss@a', 'rediss://user:p%40ss@b:1']],
    ['redis+cluster://[::1]:7000', ['redis://[::1]:7000']],
    ['redis+cluster://a:7000/1', null],
    ['redis+cluster://', null],
    ['redis+cluster://a:7000,', null],
    ['redis+cluster://a:port', null],
    ['redis://a:7000', null],
  ])('%s', (url, seeds) => {
    expect(clusterSeeds(url)).toEqual(seeds)
    expect(namesCluster(url)).toBe(url.includes('+'))
  })

  test('gives a node that was found the credentials of its seed', () => {
    expect(nodeUrl('rediss://user:secret@seed:7000', '10.0.0.1:7001')).toBe('rediss://user:secret@10.0.0.1:7001')
    expect(nodeUrl('redis://seed', '::1:7001')).toBe('redis://[::1]:7001')
    expect(addressOf('redis://[::1]')).toBe('::1:6379')
    expect(addressOf('redis://user:secret@host:7000')).toBe('host:7000')
  })
})

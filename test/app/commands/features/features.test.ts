import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { riverbank } from '../../../../features/index.ts'
import {
  committedFile,
  compiledFreshness,
  compiledText,
  readCompiled,
} from '../../../../src/app/installation/settings/compiled-feature-set.ts'
import { loadProject } from '../../../../src/app/installation/settings/project.ts'
import { listFeatures } from '../../../../src/app/commands/features/feature-list.ts'
import { showFeature } from '../../../../src/app/commands/features/feature-show.ts'
import { shownText } from '../../../../src/app/commands/features/feature-show-text.ts'
import { compileManifest } from '../../../../src/compile/manifest.ts'

const manifest = compileManifest(riverbank)

function textOf(name: string, sql?: (name: string) => string): string {
  const shown = showFeature(riverbank, name, sql)
  if (shown.kind === 'unknown') throw new Error(shown.reason)
  return shownText(shown)
}

describe('the list of features', () => {
  const namesOf = (filter: Parameters<typeof listFeatures>[1]) => {
    const listed = listFeatures(manifest, filter)
    return listed.kind === 'features' ? listed.rows.map(({ name }) => name) : listed.reason
  }

  test('has all features with their type and description', () => {
    const listed = listFeatures(manifest, {})
    if (listed.kind !== 'features') throw new Error(listed.reason)
    expect(listed.rows).toHaveLength(manifest.features.length)
    expect(listed.rows[0]).toEqual({
      name: 'customer_spend__payment_count_5m',
      entity: 'customer',
      view: 'customer_spend',
      type: 'integer',
      nullable: false,
      description: 'payment count of the customer over 5m',
    })
  })

  test('is narrowed by entity, view and service, and by all of them', () => {
    expect(namesOf({ view: 'customer_reach' })).toEqual([
      'customer_reach__terminal_distinct_1d',
      'customer_reach__terminal_distinct_7d',
    ])
    expect(namesOf({ entity: 'customer_terminal' })).toEqual([
      'customer_at_terminal__payment_count_lifetime',
      'customer_at_terminal__payment_seconds_since_first_lifetime',
    ])
    expect(namesOf({ service: 'fraud_v1' })).toEqual(manifest.services[0]?.features)
    expect(namesOf({ service: 'fraud_v1', view: 'terminal_activity' })).toEqual([
      'terminal_activity__payment_count_1h',
      'terminal_activity__payment_count_1d',
    ])
    expect(namesOf({ entity: 'customer', view: 'terminal_activity' })).toEqual([])
  })

  test('knows what is not there, and says what is', () => {
    expect(namesOf({ entity: 'card' })).toBe(
      'there is no entity "card"; there are: customer, terminal, customer_terminal',
    )
    expect(namesOf({ service: 'fraud_v9' })).toBe('there is no service "fraud_v9"; there are: fraud_v1, fraud_v2')
    expect(namesOf({ view: 'spend' })).toMatch(/^there is no view "spend"; there are: customer_spend, /)
  })
})

describe('a feature that is shown', () => {
  test('says what it is, what it keeps and who reads it', () => {
    expect(showFeature(riverbank, 'customer_habits__amount_stddev_30d')).toMatchObject({
      kind: 'feature',
      type: 'double',
      nullable: true,
      expression: null,
      aggregated: {
        entity: 'customer',
        windows: ['30d'],
        hop: '1s',
        delay: '0s',
        slots: [
          { kind: 'square_sum', field: 'amountMinor', sharedWith: [] },
          { kind: 'sum', field: 'amountMinor', sharedWith: ['customer_spend'] },
          { kind: 'count', field: null, sharedWith: ['customer_spend'] },
        ],
        state: { tilesPerEntityMax: 4_096 },
      },
      usedBy: { derived: ['amount_z_score_30d'], services: [{ name: 'fraud_v2', elements: ['amount_z_score_30d'] }] },
    })
  })

  test('adds up what its slots can cost in one state', () => {
    const shown = showFeature(riverbank, 'customer_spend__amount_mean_7d')
    if (shown.kind !== 'feature' || shown.aggregated === null) throw new Error('it is aggregated')
    const { slots, state } = shown.aggregated
    for (const which of ['typical', 'largest'] as const) {
      const perTile = slots.reduce((sum, slot) => sum + slot.bytesPerTile[which], state.tileBytes[which])
      expect(state.bytesPerEntityMax[which]).toBe(state.tilesPerEntityMax * perTile)
    }
  })

  test('that is derived says how, and keeps no state', () => {
    expect(showFeature(riverbank, 'amount_to_mean_30d')).toMatchObject({
      expression: 'coalesce(event.amountMinor ÷ customer_spend__amount_mean_30d, 1)',
      aggregated: null,
      usedBy: { derived: [], services: [{ name: 'fraud_v1' }, { name: 'fraud_v2' }] },
    })
  })

  test('is a view when its name is one', () => {
    expect(showFeature(riverbank, 'terminal_risk')).toMatchObject({
      kind: 'view',
      features: expect.arrayContaining(['terminal_risk__fraud_rate_7d']) as string[],
      aggregated: { windows: ['1d', '7d', '30d'], delay: '7d', slots: [{ kind: 'count' }, { kind: 'count' }] },
    })
    const text = textOf('terminal_risk')
    expect(text).toContain('delay     7d: every window ends so long ago\n')
    expect(text).toContain('count of fraud.reported: 1 to 3 bytes, shared with terminal_frauds, terminal_labels\n')
  })

  test('is printed for people', () => {
    expect(textOf('customer_at_terminal__payment_count_lifetime')).toBe(
      [
        'customer_at_terminal__payment_count_lifetime',
        'what      payment count of the customer_terminal ever',
        'type      integer, never null',
        'view      customer_at_terminal, version 1, of the customer_terminal',
        'windows   lifetime',
        'hop       1h: every tile is so long, and every window ends with one',
        'delay     none',
        'slots     count of payment.initiated: 1 to 3 bytes',
        'state     a tile: 1 byte and its slots',
        '          an entity: at most 24 tiles; full of typical ones 48 bytes, of the largest 96 bytes',
        '          and once the slots of all that was forgotten',
        'read by   first_here',
        'services  fraud_v2: first_here',
        '',
      ].join('\n'),
    )
  })

  test('has the SQL that it is given, and none otherwise', () => {
    expect(showFeature(riverbank, 'night', (name) => `SELECT ${name}`)).toMatchObject({ sql: 'SELECT night' })
    expect(textOf('terminal_risk', (name) => `SELECT *\nFROM ${name}`)).toContain(
      'sql       SELECT *\n          FROM terminal_risk\n',
    )
    expect(showFeature(riverbank, 'night')).toMatchObject({ sql: null })
  })

  test('by a name that nobody has is none, and the nearest are named', () => {
    expect(showFeature(riverbank, 'customer_spend__amount_mean_90d')).toMatchObject({
      kind: 'unknown',
      reason: expect.stringMatching(
        /^there is no feature or view "customer_spend__amount_mean_90d"; near it: .*amount_mean/,
      ),
    })
    expect(showFeature(riverbank, 'zzz')).toMatchObject({
      reason: 'there is no feature or view "zzz"; riverbank features list prints them all',
    })
  })
})

describe('a compiled feature set in a file', () => {
  let dir: string
  beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'riverbank-compiled-'))))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }

  test('is read with the manifest that was written', async () => {
    expect(await readCompiled(file('good.json', compiledText(manifest)))).toEqual({ kind: 'read', manifest })
  })

  test.for([
    ['that is not there', null, 'there is no such file to read'],
    ['that is not JSON', '{', 'not a compiled feature set of format 3'],
    [
      'of another format',
      JSON.stringify({ ...manifest, format: 1 }),
      'not a compiled feature set of format 3 (format: ',
    ],
    [
      'that somebody changed',
      compiledText({ ...manifest, events: [] }),
      'its hash is not that of its content; it was changed by hand',
    ],
  ] as const)('%s is refused with its reason', async ([, text, reason]) => {
    const path = text === null ? join(dir, 'nothing.json') : file('bad.json', text)
    const result = await readCompiled(path)
    expect(result).toMatchObject({
      kind: 'unreadable',
      reason: expect.stringContaining(`${path}: ${reason}`) as string,
    })
  })

  test('is fresh to the byte, or stale, or not there', async () => {
    const committed = (text: string) => file('committed.json', text)
    expect(await compiledFreshness(manifest, committedFile(loadProject({})))).toBe('fresh')
    expect(await compiledFreshness(manifest, committed(compiledText(manifest)))).toBe('fresh')
    expect(await compiledFreshness(manifest, committed(JSON.stringify(manifest)))).toBe('stale')
    expect(await compiledFreshness(manifest, join(dir, 'nothing.json'))).toBe('missing')
  })
})

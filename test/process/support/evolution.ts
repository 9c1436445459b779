import { fraudService, riverbank } from '../../../features/index.ts'
import { customer, terminal } from '../../../features/entities.ts'
import { customerReach, payments } from '../../../features/views.ts'
import type { Definitions } from '../../../src/app/installation/settings/definitions.ts'
import { createFeatureSql } from '../../../src/compile/sql/feature-sql.ts'
import { lakeSchema } from '../../../src/lake/tables/derive-lake-schema.ts'
import { compileManifest } from '../../../src/compile/manifest.ts'
import { compilePlan } from '../../../src/compile/plan.ts'
import { count, max, sum } from '../../../src/define/aggregate.ts'
import { defineFeatureSet } from '../../../src/define/define-feature-set.ts'
import { defineView, type View } from '../../../src/define/view.ts'
import { openQuery } from '../../../src/edges/duckdb/query.ts'
import { onlyFromWhole } from '../../../src/lake/commit/damage.ts'
import { catalogOf } from '../../../src/lake/tables/sql-catalog.ts'
import { rebuildStates, type RebuildOptions, type RebuildResult } from '../../../src/lake/rebuild/rebuild.ts'
import type { Lake } from '../../../src/lake/commit/lake.ts'
import { verify } from '../../lake/verify/support/world.ts'
import { clock, compiled, scorer } from './wiring.ts'
import type { World } from './world.ts'

/** New: how much money goes through a terminal. */
export const terminalTakings = defineView({
  name: 'terminal_takings',
  version: 1,
  entity: terminal,
  aggregates: [sum(payments, 'amount'), max(payments, 'amount')],
  windows: ['1h', '7d'],
  hop: '1s',
})

/** New, of slots that there were: what was forgotten is needed now. */
export const customerEver = defineView({
  name: 'customer_ever',
  version: 1,
  entity: customer,
  aggregates: [count(payments)],
  windows: ['lifetime'],
  hop: '1s',
})

/** The shipped definitions with two views more and one less. */
export const evolved: Definitions = define([terminalTakings, customerEver])

function define(added: readonly View[]): Definitions {
  const set = defineFeatureSet({
    ...riverbank,
    views: [...riverbank.views.filter((view) => view !== customerReach), ...added],
    services: [fraudService],
  })
  const manifest = compileManifest(set)
  return { ...compiled, set, plan: compilePlan(set), manifest, lakeSchema: lakeSchema({ ...compiled, manifest }) }
}

/** Everything that both topics of a world hold, as a lake takes it. */
export async function contentOf(world: World) {
  return { events: await world.read(world.topics.events), scores: await world.read(world.topics.scores) }
}

export async function verifyWorld(world: World, lake: Lake, own: Definitions) {
  const ends = new Map<string, number>()
  for (const topic of [world.topics.events, world.topics.scores]) {
    for (const { partition, end } of (await world.log.describeTopic(topic)) ?? [])
      ends.set(`${topic}/${partition}`, end)
  }
  return verify(lake, {
    schema: own.lakeSchema,
    sql: createFeatureSql(own.set),
    scorers: [scorer],
    positions: { ends, committed: await world.log.committed(world.group, world.topics.events), dense: true },
  })
}

/** `riverbank rebuild`, with the lake as it is. */
export async function rebuildWorld(
  world: World,
  lake: Lake,
  own: Definitions,
  tempDir: string,
  change: Partial<RebuildOptions> = {},
): Promise<RebuildResult> {
  const response = await lake.snapshot()
  const { setup } = catalogOf(lake, response, own.lakeSchema)
  const query = await openQuery({ threads: 1, memoryMb: 512, tempDir, tempMb: 1_024, setup })
  try {
    return await rebuildStates({
      ...{ store: world.store, query, plan: own.plan, schema: own.lakeSchema, topics: world.topics, clock },
      committed: await world.log.committed(world.group, world.topics.events),
      rowsPerChunk: 100,
      fromWhole: (read) => onlyFromWhole(lake, response, read),
      ...change,
    })
  } finally {
    query.close()
  }
}

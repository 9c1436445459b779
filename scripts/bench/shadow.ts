import { cp } from 'node:fs/promises'
import { publishAll, type Feed } from './feed.ts'
import type { Installation } from './installation.ts'
import { untilDone } from './progress.ts'
import { eachRound, type Run } from './run.ts'
import { writeTreeModel } from './scoring.ts'
import { readConfig, names } from '../../src/app/config.ts'
import { definitions } from '../../src/app/definitions.ts'
import { openGenerationStore } from '../../src/app/event-log.ts'
import { systemClock } from '../../src/app/role.ts'
import { assert } from '../../src/core/errors.ts'
import { createModelAdministration, type ModelAdministration } from '../../src/serve/model-administration.ts'

const shadow = { name: 'bench', version: '1' }
const shape = { trees: 200, depth: 5, seed: 1 } as const
/** Percent of the throughput. */
const goal = { kind: 'below', value: 10 } as const
const takenMs = 30_000

/** The shipped models, and one of 200 trees that takes the champion's vector. */
export async function writeShadowModels(dir: string): Promise<void> {
  const config = readConfig({})
  await cp(config.MODELS_DIR, dir, { recursive: true })
  const [service] = definitions().manifest.services
  assert(service !== undefined, 'there is a service')
  await writeTreeModel(dir, shadow, service, shape)
}

/**
 * The share of the throughput that one shadow costs. Half of a round's payments are scored without it and half with it,
 * the other way round in the next round: what else runs on the machine, and the states that grow, weigh on both.
 */
export async function benchShadow(run: Run, installation: Installation, feed: Feed): Promise<void> {
  const { config, driver } = installation
  const store = await openGenerationStore(config)
  const place = { topic: names(config).topics.events, partitions: config.PARTITIONS }
  const models = createModelAdministration({ store, ...place, clock: systemClock })
  const half = Math.ceil(run.payments / 2)
  let isBeside = false
  const rateOf = async (wanted: boolean): Promise<number> => {
    if (wanted !== isBeside) await takeEffect(models, wanted ? 'shadow' : 'retire')
    isBeside = wanted
    const startedMs = performance.now()
    await publishAll(installation, feed.take(half), run.signal)
    await untilDone(installation, 'scored', run.signal)
    const rate = half / ((performance.now() - startedMs) / 1_000)
    await untilDone(installation, 'materialized', run.signal)
    return rate
  }
  try {
    await eachRound(run, `one shadow on ${driver}, ${2 * half} payments`, async (number) => {
      const first = await rateOf(number % 2 === 0)
      const second = await rateOf(number % 2 === 1)
      const [without, beside] = number % 2 === 1 ? [first, second] : [second, first]
      const metric = { benchmark: 'shadow', driver, unit: 'payments/s' } as const
      run.record({ ...metric, name: 'scored, no shadow' }, without)
      run.record({ ...metric, name: 'scored, one shadow of 200 trees' }, beside)
      run.record({ ...metric, name: 'cost of the shadow', unit: 'percent', goal }, (1 - beside / without) * 100)
    })
  } finally {
    await store.close()
  }
}

async function takeEffect(models: ModelAdministration, kind: 'shadow' | 'retire'): Promise<void> {
  const { number } = await models.change({ kind, model: shadow }, '')
  const endMs = performance.now() + takenMs
  for (;;) {
    const { generations, partitions } = await models.report(1)
    if (generations[0]?.live === partitions) return
    const refusal = generations[0]?.refusal?.detail ?? null
    assert(
      refusal === null && performance.now() < endMs,
      `generation ${number} takes effect (${refusal ?? 'too late'})`,
    )
    await systemClock.sleep(50, new AbortController().signal)
  }
}

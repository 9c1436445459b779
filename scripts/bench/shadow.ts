import { paymentInitiated } from '../../features/sources.ts'
import { cp } from 'node:fs/promises'
import { cpuSeconds } from './cpu.ts'
import { feedHistory, openFeed, publishAll, type Feed } from './feed.ts'
import type { Installation } from './installation.ts'
import { inFolder, type Place } from './place.ts'
import { untilDone } from './progress.ts'
import { eachRound, type Run } from './run.ts'
import { writeTreeModel } from './scoring.ts'
import { readConfig, names } from '../../src/app/installation/settings/config.ts'
import { definitions, loadModel } from '../../src/app/installation/settings/definitions.ts'
import { openGenerationStore } from '../../src/app/installation/servers/event-log.ts'
import { systemClock } from '../../src/app/roles/lifecycle/role.ts'
import { assert } from '../../src/base/errors.ts'
import { createModelAdministration, type ModelAdministration } from '../../src/serve/models/model-administration.ts'

const shadow = { name: 'bench', version: '1' }
const shape = { trees: 200, depth: 5, seed: 1 } as const
/** Percent of the throughput. */
const goal = { kind: 'below', value: 10 } as const
const takenMs = 30_000

/** The shipped models, and one of 200 trees that takes the champion's vector. */
async function writeShadowModels(dir: string): Promise<void> {
  const config = readConfig({})
  await cp(config.MODELS_DIR, dir, { recursive: true })
  const compiled = definitions(config)
  const champion = await loadModel(config.MODELS_DIR, compiled, paymentInitiated.type)
  await champion.close()
  const service = compiled.manifest.services.find(({ name }) => name === champion.service)
  assert(service !== undefined, 'a loaded model has a service')
  await writeTreeModel(dir, shadow, service, shape)
}

interface Measured {
  /** Payments per second. */
  readonly rate: number
  /** Processor time of the process role per payment. */
  readonly cpuUs: number
}

/** Measures what one shadow costs, on an installation of all roles. */
export function benchShadow(run: Run, place: Place): Promise<void> {
  return inFolder('models', async (modelsDir) => {
    await writeShadowModels(modelsDir)
    await place.within({ modelsDir }, async (installation) => {
      const warmUp = Math.ceil(run.payments / 4)
      const feed = openFeed(warmUp + (run.payments + 1) * run.rounds)
      await feedHistory(installation, feed, warmUp, run.signal)
      await compareRounds(run, installation, feed)
    })
  })
}

/**
 * Measures the share of the throughput that one shadow costs. The processor scores half of a round's payments without
 * it and half with it, in the next round the other way round: other load and growing states then weigh on both.
 */
async function compareRounds(run: Run, installation: Installation, feed: Feed): Promise<void> {
  const { config, driver } = installation
  const store = await openGenerationStore(config, paymentInitiated.type)
  const place = { topic: names(config).topics.events, partitions: config.PARTITIONS }
  const models = createModelAdministration({
    stores: new Map([[paymentInitiated.type, store]]),
    typeOf: () => Promise.resolve(null),
    ...place,
    clock: systemClock,
  })
  const half = Math.ceil(run.payments / 2)
  let isBeside = false
  const cpuOf = async () => {
    const used = await cpuSeconds(installation.pids())
    return [...used].reduce((sum, [name, seconds]) => (name.startsWith('process') ? sum + seconds : sum), 0)
  }
  const measure = async (wanted: boolean): Promise<Measured> => {
    if (wanted !== isBeside) await takeEffect(models, wanted ? 'shadow' : 'retire')
    isBeside = wanted
    const startedMs = performance.now()
    const before = await cpuOf()
    await publishAll(installation, feed.take(half), run.signal)
    await untilDone(installation, 'scored', run.signal)
    const rate = half / ((performance.now() - startedMs) / 1_000)
    await untilDone(installation, 'materialized', run.signal)
    return { rate, cpuUs: (((await cpuOf()) - before) * 1e6) / half }
  }
  try {
    await eachRound(run, `one shadow on ${driver}, ${2 * half} payments`, async (number) => {
      const first = await measure(number % 2 === 0)
      const second = await measure(number % 2 === 1)
      const [without, beside] = number % 2 === 1 ? [first, second] : [second, first]
      const metric = { benchmark: 'shadow', driver } as const
      const rates = { ...metric, unit: 'payments/s' }
      run.record({ ...rates, name: 'scored, no shadow' }, without.rate)
      run.record({ ...rates, name: 'scored, one shadow of 200 trees' }, beside.rate)
      const percent = { ...metric, unit: 'percent' }
      run.record({ ...percent, name: 'throughput that the shadow costs', goal }, (1 - beside.rate / without.rate) * 100)
      // The processor's own time, on which other load of the machine has little influence.
      run.record({ ...percent, name: 'processor time that it adds' }, (beside.cpuUs / without.cpuUs - 1) * 100)
    })
  } finally {
    await store.close()
  }
}

async function takeEffect(models: ModelAdministration, kind: 'shadow' | 'retire'): Promise<void> {
  const { generation } = await models.change({ kind, model: shadow }, '', null)
  const endMs = performance.now() + takenMs
  for (;;) {
    const { generations, partitions } = await models.report(1)
    if (generations[0]?.live === partitions) return
    const refusal = generations[0]?.refusal?.detail ?? null
    assert(
      refusal === null && performance.now() < endMs,
      `generation ${generation} takes effect (${refusal ?? 'too late'})`,
    )
    await systemClock.sleep(50, new AbortController().signal)
  }
}

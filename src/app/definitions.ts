import { riverbank } from '../../features/index.ts'
import { compileManifest } from '../compile/manifest.ts'
import { compilePlan } from '../compile/plan.ts'
import { assert } from '../core/errors.ts'
import type { EventCatalog } from '../core/event.ts'
import type { ServicePlan } from '../core/plan.ts'
import type { ModelReference } from '../core/generation.ts'
import { loadChampion, loadScorer } from '../edges/onnx/load.ts'
import type { Scorer } from '../ports.ts'

/** The installation's definitions, compiled: the only place that knows the folder features/. */
export function definitions() {
  const plan = compilePlan(riverbank)
  const catalog: EventCatalog = new Map(riverbank.events.map((event) => [event.type, event]))
  return { set: riverbank, plan, catalog, manifest: compileManifest(riverbank) }
}

export type Definitions = ReturnType<typeof definitions>

/** The champion, checked against the definitions. Errors: `model_refused`. */
export function loadModel(modelsDir: string, { manifest }: Pick<Definitions, 'manifest'>): Promise<Scorer> {
  return loadChampion({ modelsDir, services: manifest.services })
}

/** Loads any model of the folder, with all checks against the definitions. Errors: `model_refused`. */
export function modelLoader(modelsDir: string, { manifest }: Pick<Definitions, 'manifest'>) {
  return (model: ModelReference): Promise<Scorer> => loadScorer({ modelsDir, ...model, services: manifest.services })
}

/** The service that a model takes: load checks have proven that there is one. */
export function serviceOf({ plan }: Pick<Definitions, 'plan'>, scorer: Pick<Scorer, 'service'>): ServicePlan {
  const service = plan.services.find(({ name }) => name === scorer.service)
  assert(service !== undefined, `there is a service ${scorer.service}`)
  return service
}

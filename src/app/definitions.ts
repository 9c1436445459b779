import { riverbank } from '../../features/index.ts'
import { compileManifest } from '../compile/manifest.ts'
import { compilePlan } from '../compile/plan.ts'
import { RiverbankError } from '../core/errors.ts'
import type { EventCatalog } from '../core/event.ts'
import type { ModelReference } from '../core/generation.ts'
import { loadChampion, loadScorer } from '../edges/onnx/load.ts'
import type { Scorer, StateStore } from '../ports.ts'

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

/** States of another feature set mean something else: better no service than a wrong one. Errors: `feature_set_mismatch`. */
export async function bindStates(store: StateStore, { plan }: Definitions): Promise<void> {
  const bound = await store.bindFeatureSet(plan.featureSetHash)
  if (bound === plan.featureSetHash) return
  throw new RiverbankError(
    'feature_set_mismatch',
    `the states belong to feature set ${bound.slice(0, 12)}, this program computes ${plan.featureSetHash.slice(0, 12)}: ` +
      'give it a namespace of its own (RIVERBANK_NAMESPACE) and let it read the log from the start',
  )
}

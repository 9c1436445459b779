import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DemoOptions } from './run.ts'
import { simulatorOf } from '../project.ts'
import type { Config } from '../../src/app/installation/settings/config.ts'
import { requireFresh } from '../../src/app/installation/settings/compiled-feature-set.ts'
import { definitions, modelLoader } from '../../src/app/installation/settings/definitions.ts'
import { registeredRollout } from '../../src/edges/onnx/load.ts'
import { isModelRefused, ModelRefused } from '../../src/edges/onnx/refusal.ts'

/**
 * Checks the needs of an installation before it starts anything: definitions as they are committed, a simulator if the
 * options ask for a history and, in a new folder, whole models and policies for the scored types. Errors:
 * `project_refused`, `feature_set_stale`, `project_without_simulator`, `model_refused`.
 */
export async function checkReady(
  config: Config,
  options: Pick<DemoOptions, 'data' | 'events' | 'days' | 'exit'>,
): Promise<void> {
  await requireFresh(config.project)
  const compiled = definitions(config)
  const { data: dataDir = config.DATA_DIR, events, days, exit } = options
  if (events !== undefined || days !== undefined || exit === true) simulatorOf(config)
  for (const eventType of compiled.scoreForms.keys()) {
    const { champion, shadows } = await rolloutOf(config, eventType)
    // Later the list of generations decides which model scores.
    if (existsSync(join(dataDir, 'installation.json'))) continue
    for (const model of [champion, ...shadows]) {
      const scorer = await modelLoader(config.MODELS_DIR, compiled, eventType)(model)
      await scorer.close()
    }
  }
}

async function rolloutOf(config: Config, eventType: string) {
  try {
    return await registeredRollout(config.MODELS_DIR, eventType)
  } catch (error) {
    if (!isModelRefused(error, 'registry_missing')) throw error
    const begin = `npm run train -- --project ${config.project.folder} --constant`
    throw new ModelRefused(
      'registry_missing',
      `there is no ${config.MODELS_DIR}/registry.json: begin with ${begin}`,
      error,
    )
  }
}

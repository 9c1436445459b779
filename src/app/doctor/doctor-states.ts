import type { Config } from '../installation/settings/config.ts'
import { fail, ok, warn, type Finding } from './doctor.ts'
import { unreachable } from '../../base/errors.ts'
import type { RefusalCode, StatesStatus } from '../../engine/states-status.ts'

/** The fix for each refusal code; the reason says the rest. */
const fixes: Readonly<Record<RefusalCode, string>> = {
  state_lost: 'run riverbank rebuild: the roles wait for it and go on by themselves',
  state_rebuilding: 'wait for riverbank rebuild, or call it again where it was interrupted',
  states_undrained: 'run the version of these states until it has drained, then this one',
  lake_mismatch: 'set another RIVERBANK_NAMESPACE, correct RIVERBANK_DATA_DIR, or run riverbank lake adopt',
  log_recreated: 'restore the server of the log from its copy, or begin a new installation',
}

/** Whether the states are whole, and whether they and this lake belong together. Changes nothing. */
export async function statesFinding(config: Config): Promise<Finding> {
  const { openStores } = await import('../installation/servers/event-log.ts')
  const { definitions } = await import('../installation/settings/definitions.ts')
  const { readStatusOnce } = await import('../roles/state-watch.ts')
  const { log, store } = await openStores(config)
  try {
    const featureSet = definitions(config).manifest.hash
    return findingOf(await readStatusOnce({ config, log, store, featureSet }, { bindsLake: false }))
  } finally {
    await Promise.allSettled([log.close(), store.close()])
  }
}

export function findingOf(statesStatus: StatesStatus): Finding {
  switch (statesStatus.kind) {
    case 'empty':
      return ok('empty: nothing was processed yet')
    case 'whole':
      return ok('whole')
    case 'refused': {
      const tell = statesStatus.code === 'state_rebuilding' ? warn : fail
      return tell(`${statesStatus.code}: ${statesStatus.reason}`, fixes[statesStatus.code])
    }
    default:
      return unreachable(statesStatus)
  }
}

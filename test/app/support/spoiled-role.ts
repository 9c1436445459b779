/** A role with a planted bug at one record: `spoiled-role.ts process|materialize <harm> <session timeout ms>`. */
import { readConfig } from '../../../src/app/installation/settings/config.ts'
import { startMaterialize, type MaterializerParts } from '../../../src/app/roles/materialize-role.ts'
import { startProcess, type ProcessPorts } from '../../../src/app/roles/process-role.ts'
import { runRole } from '../../../src/app/roles/lifecycle/role.ts'
import type { EventType } from '../../../src/events/event.ts'
import { poison, type Harm } from './poison.ts'

const [, , role, harm, sessionTimeoutMs] = process.argv

const hurts: Readonly<Record<Harm, () => Promise<void>>> = {
  kill: () => {
    process.kill(process.pid, 'SIGKILL')
    for (;;);
  },
  loop: () => {
    for (;;);
  },
  never: () => new Promise(() => undefined),
}
const [step, how] = (harm ?? '').split(' ') as [string, Harm]
const hurt = hurts[how]

/** Whoever loads the state of this customer is hurt. */
function spoiledPorts({ log, store }: ProcessPorts): ProcessPorts {
  const load: typeof store.load = async (keys) => {
    if (keys.some(({ id }) => id === poison.customerId)) await hurt()
    return store.load(keys)
  }
  const consume: typeof log.consume = (options, handler) =>
    log.consume({ ...options, sessionTimeoutMs: Number(sessionTimeoutMs) }, handler)
  return {
    log: { ...log, consume },
    store: {
      ...store,
      load,
      get epoch() {
        return store.epoch
      },
    },
  }
}

/** Whoever looks up the type of this event, or writes a row with its id, is hurt. */
function spoiledParts({ options, consume }: MaterializerParts): MaterializerParts {
  class Spoiled extends Map<string, EventType> {
    override get(type: string): EventType | undefined {
      if (step === 'read' && type === poison.eventType) void hurt()
      return super.get(type)
    }
  }
  const { writer } = options
  const write: typeof writer.write = async (path, columns, rows) => {
    const ids = columns.find(({ name }) => name === 'event_id')?.values as readonly (string | null)[]
    if (step === 'write' && ids.includes(poison.eventId)) await hurt()
    return writer.write(path, columns, rows)
  }
  return {
    options: { ...options, catalog: new Spoiled(options.catalog), writer: { ...writer, write } },
    consume: { ...consume, sessionTimeoutMs: Number(sessionTimeoutMs) },
  }
}

const start: Parameters<typeof runRole>[2] = (own) =>
  role === 'process' ? startProcess(own, spoiledPorts) : startMaterialize(own, spoiledParts)
process.exit(await runRole(role ?? '', readConfig(process.env), start))

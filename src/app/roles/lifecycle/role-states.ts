import { z } from 'zod'
import type { Meter } from '../../../ports/telemetry.ts'

const roleStateSchema = z.object({
  /** Such as `process-1`. */
  instance: z.string(),
  isUp: z.boolean(),
  /** How often the supervisor has restarted it. */
  restarts: z.number().int(),
  /** How it last ended; null if it never did. */
  lastEnd: z.string().nullable(),
})
export type RoleState = z.infer<typeof roleStateSchema>

const messageSchema = z.object({ kind: z.literal('roles'), roles: z.array(roleStateSchema) })

/** The message with the states of all roles that a supervisor sends to each, whenever one has ended or started. */
export function roleStatesMessage(roles: readonly RoleState[]): z.infer<typeof messageSchema> {
  return { kind: 'roles', roles: [...roles] }
}

/** The roles beside this one, as its supervisor reports them. Without a supervisor the list is empty. */
export interface RoleStates {
  /** One sentence for each role that is down. */
  down(): readonly string[]
}

/** Listens to the supervisor, and shows its reports on /metrics. The connection does not keep the process alive. */
export function followRoleStates(meter: Meter): RoleStates {
  const up = meter.gauge('riverbank_role_up', 'Whether a role of this supervisor runs', ['process'])
  const restarts = meter.counter('riverbank_role_restarts_total', 'Times a role was started again after it had ended', [
    'process',
  ])
  let known: readonly RoleState[] = []
  const restartsOf = (instance: string) => known.find((one) => one.instance === instance)?.restarts ?? 0
  process.on('message', (message) => {
    const told = messageSchema.safeParse(message)
    if (!told.success) return
    for (const one of told.data.roles) {
      up.set(one.isUp ? 1 : 0, { process: one.instance })
      restarts.add(Math.max(0, one.restarts - restartsOf(one.instance)), { process: one.instance })
    }
    known = told.data.roles
  })
  process.channel?.unref()
  return {
    down: () =>
      known
        .filter(({ isUp }) => !isUp)
        .map((one) => `${one.instance} is down (${one.lastEnd ?? 'not started'}), started again ${one.restarts} times`),
  }
}

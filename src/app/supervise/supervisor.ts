import { spawn, type ChildProcess } from 'node:child_process'
import { loopClock } from '../../clock/loop-clock.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/telemetry.ts'
import { eachLine } from './lines.ts'
import { decideRestart, recentCrashes, type RestartDecision, type RestartLimits } from './restart-policy.ts'
import { roleStatesMessage } from '../roles/lifecycle/role-states.ts'

export interface RoleSpec {
  /** Such as `process`; its instances are `process-1`, `process-2`. */
  readonly role: string
  readonly count: number
  readonly args: readonly string[]
  /** Options of Node, before those of the command. */
  readonly nodeArgs?: readonly string[]
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** A program and the arguments that stand before a role's own. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

export interface SupervisorOptions {
  readonly roles: readonly RoleSpec[]
  readonly command: Command
  readonly restart: RestartLimits
  /** From SIGTERM to SIGKILL: the roles' own drain time and a margin. */
  readonly stopTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Gets every line of a child's stdout and stderr: JSON lines unchanged, others with the child's name. */
  readonly onLine: (line: string) => void
}

export interface Supervisor {
  /** Resolves after `stop`; rejects with `role_gave_up` when it gave one up, after it has stopped all others. */
  readonly finished: Promise<void>
  /** Process ids of the running instances, by name. */
  pids(): ReadonlyMap<string, number>
  /** Sends SIGTERM to all, SIGKILL to those left at the deadline; resolves when all are gone. Safe to call twice. */
  stop(): Promise<void>
  /** Sends SIGKILL to all that are left. */
  kill(): void
}

interface Instance {
  readonly name: string
  readonly spec: RoleSpec
  child: ChildProcess | null
  crashesMs: readonly number[]
  restarts: number
  lastEnd: string | null
  /** The restart that is due. */
  timer: NodeJS.Timeout | null
}

const lineCharsMax = 65_536

/** Flags of this process that a child must not inherit: a debugger's port, the size of a heap. */
const ownFlags = /^--(inspect|max-semi-space-size|max-old-space-size)/

/** The command that runs this program again. */
export function ownCommand(): Command {
  const flags = process.execArgv.filter((flag) => !ownFlags.test(flag))
  return { file: process.execPath, args: [...flags, process.argv[1] ?? ''] }
}

/** From so many crashes within the window on, the log no longer calls them temporary. */
const failingFrom = 5

function sayRestart(
  logger: Logger,
  { name, lastEnd, restarts }: Instance,
  { delayMs, crashes }: RestartDecision & { readonly kind: 'restart' },
): void {
  const fields = { instance: name, how: lastEnd, delayMs, crashes, restarts }
  if (crashes < failingFrom) logger.warn('ended unexpectedly, restarting', fields)
  else logger.error('keeps failing, restarting', fields)
}

/** Starts every instance of every role and keeps them running: it restarts a child that ends by itself. */
export function supervise(options: SupervisorOptions): Supervisor {
  const { clock, logger } = options
  const instances = instancesOf(options.roles)
  let isStopping = false
  let failure: RiverbankError | null = null
  let finish: () => void = () => undefined
  const ended = new Promise<void>((resolve) => (finish = resolve))
  const finished = ended.then(() => {
    if (failure !== null) throw failure
  })
  // A caller that waits gets the rejection; without one it must not crash this process.
  finished.catch(() => undefined)

  const start = (instance: Instance): void => {
    instance.timer = null
    instance.child = launch(instance, options, (how) => {
      instance.child = null
      if (isStopping) finishWhenAllGone()
      else crashed(instance, how)
    })
    logger.info('started', { instance: instance.name, pid: instance.child.pid })
    tellAll(instances)
  }

  const crashed = (instance: Instance, how: string): void => {
    const nowMs = clock.nowMs()
    instance.lastEnd = how
    tellAll(instances)
    instance.crashesMs = recentCrashes([...instance.crashesMs, nowMs], nowMs, options.restart)
    const decision = decideRestart(instance.crashesMs, nowMs, options.restart)
    if (decision.kind === 'give_up') {
      const message = `${instance.name} ended ${decision.crashes} times within ${options.restart.windowMs} ms (last: ${how})`
      failure = new RiverbankError('role_gave_up', `${message}; its last lines say why`)
      logger.error('giving up', { instance: instance.name, crashes: decision.crashes, how })
      void stop()
      return
    }
    instance.restarts += 1
    sayRestart(logger, instance, decision)
    instance.timer = setTimeout(() => start(instance), decision.delayMs)
  }

  const finishWhenAllGone = (): void => {
    if (instances.every(({ child }) => child === null)) finish()
  }

  const signalAll = (signal: NodeJS.Signals): void => {
    for (const { child } of instances) child?.kill(signal)
  }

  const stop = async (): Promise<void> => {
    if (!isStopping) {
      isStopping = true
      for (const { timer } of instances) if (timer !== null) clearTimeout(timer)
      signalAll('SIGTERM')
      const deadline = loopClock.after(options.stopTimeoutMs, () => {
        const left = instances.filter(({ child }) => child !== null).map(({ name }) => name)
        logger.error('killing what did not stop in time', { left, stopTimeoutMs: options.stopTimeoutMs })
        signalAll('SIGKILL')
      })
      void ended.then(() => deadline.cancel())
      finishWhenAllGone()
    }
    await ended
  }

  for (const instance of instances) start(instance)
  const pids = () => new Map(instances.flatMap(({ name, child }) => (child?.pid ? [[name, child.pid] as const] : [])))
  return { finished, pids, stop, kill: () => signalAll('SIGKILL') }
}

/** Sends the states of all roles to each; one that is ending need not get them. */
function tellAll(instances: readonly Instance[]): void {
  const message = roleStatesMessage(
    instances.map(({ name, child, restarts, lastEnd }) => ({
      instance: name,
      isUp: child !== null,
      restarts,
      lastEnd,
    })),
  )
  for (const { child } of instances) if (child?.connected === true) child.send(message, () => undefined)
}

/** Starts the child of an instance; `gone` is called exactly once, never before this returns. */
function launch(instance: Instance, options: SupervisorOptions, gone: (how: string) => void): ChildProcess {
  const { file, args } = options.command
  const { args: own, nodeArgs = [] } = instance.spec
  const child = spawn(file, [...nodeArgs, ...args, ...own], {
    env: { ...process.env, ...instance.spec.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const write = (line: string) => options.onLine(line.startsWith('{') ? line : `[${instance.name}] ${line}`)
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) eachLine(stream, lineCharsMax, write)
  let isGone = false
  const once = (how: string): void => {
    if (!isGone) gone(how)
    isGone = true
  }
  child.once('exit', (code, signal) => once(signal === null ? `exit code ${code}` : `signal ${signal}`))
  child.on('error', (error) => {
    // Node emits it also for a signal that could not be sent; only a child that never started has no process id.
    if (child.pid === undefined) once(error.message)
  })
  return child
}

/** Numbered per role, also when one role has several specs. */
function instancesOf(specs: readonly RoleSpec[]): Instance[] {
  const counts = new Map<string, number>()
  const named = (spec: RoleSpec): Instance => {
    const number = (counts.get(spec.role) ?? 0) + 1
    counts.set(spec.role, number)
    return { name: `${spec.role}-${number}`, spec, child: null, crashesMs: [], restarts: 0, lastEnd: null, timer: null }
  }
  return specs.flatMap((spec) => Array.from({ length: spec.count }, () => named(spec)))
}

/**
 * Supervises until SIGTERM or SIGINT, then lets all roles drain; a second signal ends them at once. Rejects with
 * `role_gave_up`.
 */
export async function superviseUntilSignalled(options: SupervisorOptions): Promise<void> {
  const supervisor = supervise(options)
  let signals = 0
  const onSignal = (): void => {
    signals += 1
    if (signals === 1) void supervisor.stop()
    else supervisor.kill()
  }
  const names = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  for (const name of names) process.on(name, onSignal)
  try {
    await supervisor.finished
  } finally {
    for (const name of names) process.off(name, onSignal)
  }
}

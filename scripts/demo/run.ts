import { setTimeout as delay } from 'node:timers/promises'
import { finishRun } from './finish.ts'
import { openInstallation, type Installation } from './installation.ts'
import { runLive, runWaiting } from './live.ts'
import { checkReady } from './ready.ts'
import { say } from './say.ts'
import { feedHistory } from './feed.ts'
import { welcomeBeside } from './welcome.ts'
import { findSimulator, scoredTypesOf } from '../project.ts'
import { roleCommand } from '../role-command.ts'
import { refuseAnyContradiction } from '../../src/app/installation/contradictions.ts'
import { createTopics } from '../../src/app/installation/servers/topics.ts'
import { openEventLog } from '../../src/app/installation/servers/event-log.ts'
import { restartAtMost, roleSpecs, supervisorOptions } from '../../src/app/supervise/up.ts'
import { supervise, type Supervisor } from '../../src/app/supervise/supervisor.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import type { ProjectSamples } from '../../src/define/project.ts'
import type { Simulator } from '../../src/define/simulator.ts'
import { RiverbankError } from '../../src/base/errors.ts'
import { pinoLogger } from '../../src/edges/pino/logger.ts'
import type { EventLog } from '../../src/ports/log.ts'

export interface DemoOptions {
  readonly events?: number
  readonly exit?: boolean
  /** Days of history; without it as many as the machine has time for. */
  readonly days?: number
  readonly data?: string
  readonly rate: number
  readonly port?: number
  /** Without it the driver of the existing installation, or redis. */
  readonly log?: 'redis' | 'kafka'
}

/** The objects that the parts of a demo share. */
export interface Demo {
  readonly options: DemoOptions
  readonly installation: Installation
  readonly log: EventLog
  readonly samples: ProjectSamples
  readonly scoredTypes: ReadonlySet<string>
  /** Aborted by SIGINT, SIGTERM, or the end of a role or of Redis. */
  readonly ending: AbortSignal
}

export interface SimulatedDemo extends Demo {
  readonly simulator: Simulator
}

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The time after a signal for running work to notice it, and for a broker to let go. */
const graceMs = 2_000

/**
 * Starts all roles, feeds them, and answers the exit code. A signal ends it within the drain time of roles and Redis.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const startedMs = performance.now()
  const to = { write: (line: string) => say(line.trimEnd()) }
  const logger = pinoLogger({ level: 'warn', fields: { role: 'demo' }, to })
  const ending = new AbortController()
  const interrupt = () => {
    ending.abort(new RiverbankError('interrupted', 'stopped before it was done'))
  }
  for (const signal of endingSignals) process.on(signal, interrupt)
  await checkReady(readConfig(process.env), options)
  say('starting Redis, the processor, the HTTP role and the materializer')
  const installation = await openInstallation(options, logger)
  void installation.redis?.crashed.then((error) => {
    ending.abort(error)
  })
  let code = 1
  let supervisor: Supervisor | null = null
  let log: EventLog | null = null
  try {
    ending.signal.throwIfAborted()
    const { config } = installation
    log = await openEventLog(config, logger)
    await refuseAnyContradiction(config, log)
    await createTopics(config, log)
    const roles = roleSpecs(config, 1).map((role) => ({ ...role, env: { ...installation.env, ...role.env } }))
    const restart = options.exit === true ? restartAtMost : undefined
    supervisor = supervise({ ...supervisorOptions(config, logger, roleCommand(), roles, restart), onLine: say })
    supervisor.finished.catch((error: unknown) => {
      ending.abort(error)
    })
    const { samples } = config.project.definition
    const scoredTypes = scoredTypesOf(config)
    const demo: Demo = { options, installation, log, samples, scoredTypes, ending: ending.signal }
    code = await soonAfter(ending.signal, feedAndRun(demo, startedMs))
  } finally {
    await supervisor?.stop()
    if (log !== null && options.exit === true && code === 0) await deleteTopics(installation, log)
    await Promise.race([log?.close(), delay(graceMs)])
    await installation.close(code !== 0)
    if (code !== 0 && options.exit === true) say(`everything is kept in ${installation.config.DATA_DIR}`)
  }
  return code
}

async function feedAndRun(demo: Demo, startedMs: number): Promise<number> {
  const { config } = demo.installation
  const simulator = findSimulator(config)
  if (simulator === null) return runWaiting(demo)
  const simulated: SimulatedDemo = { ...demo, simulator }
  if (demo.options.exit !== true) say(welcomeBeside(config, demo.samples))
  const fed = await feedHistory(simulated)
  return demo.options.exit === true ? finishRun(demo, fed, startedMs) : runLive(simulated, fed)
}

/** Resolves with the result of the work; rejects with `did_not_stop` when the work goes on after the signal. */
async function soonAfter<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  const late = new Promise<never>((_resolve, reject) => {
    const failure = new RiverbankError('did_not_stop', 'stopped in the middle of something', { cause: signal.reason })
    const tooLate = () => setTimeout(() => reject(failure), graceMs)
    if (signal.aborted) tooLate()
    else signal.addEventListener('abort', tooLate, { once: true })
  })
  return Promise.race([work, late])
}

/** Deletes the topics of a run whose folder is gone from a shared broker. */
async function deleteTopics({ config }: Installation, log: EventLog): Promise<void> {
  if (config.LOG !== 'kafka') return
  const { topicSpecs } = await import('../../src/app/installation/servers/topics.ts')
  for (const { topic } of topicSpecs(config)) await log.deleteTopic(topic)
}

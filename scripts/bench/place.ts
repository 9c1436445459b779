import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker, type BenchBroker } from './broker.ts'
import { feedHistory, openFeed } from './feed.ts'
import { openInstallation, type Driver, type Installation, type InstallationOptions } from './installation.ts'
import { sized, type Run } from './run.ts'

/** The payments of the installation that several benchmarks share. */
export function historyPayments(run: Pick<Run, 'payments'>): number {
  return 2 * run.payments
}

/** Where the benchmarks of one driver run: each opens the installations that it needs. */
export interface Place {
  readonly driver: Driver
  /** Process id of the broker; null on Redis. */
  readonly brokerPid: number | null
  /** Called with the error that ended a role or Redis. */
  readonly onFailure: (error: unknown) => void
  /** Runs `work` on an installation of its own, and ends it. */
  within<Answer>(
    options: Omit<InstallationOptions, 'driver' | 'brokers' | 'onFailure'>,
    work: (installation: Installation) => Promise<Answer>,
  ): Promise<Answer>
  /** An installation of all roles whose lake has {@link historyPayments}: the same for all who ask. */
  history(): Promise<Installation>
}

export interface OpenPlace extends Place {
  close(): Promise<void>
}

/** Null, with a line that gives the reason, when the driver cannot run here. */
export async function openPlace(
  run: Omit<Run, 'isLate'>,
  driver: Driver,
  onFailure: (error: unknown) => void,
): Promise<OpenPlace | null> {
  const broker = driver === 'kafka' ? await startBroker(run.say) : null
  if (driver === 'kafka' && broker === null) return null
  // Nobody waits for five seconds to see that rows reach the lake.
  const soon = sized(run, {}, { RIVERBANK_LAKE_FLUSH_MS: '200' })
  const open = (options: Omit<InstallationOptions, 'driver' | 'brokers' | 'onFailure'>) =>
    openInstallation({ ...options, ...brokersOf(broker), env: { ...soon, ...options.env }, driver, onFailure })
  let shared: Installation | null = null
  return {
    driver,
    onFailure,
    brokerPid: broker?.pid ?? null,
    async within(options, work) {
      const installation = await open(options)
      try {
        return await work(installation)
      } finally {
        await installation.close()
      }
    },
    async history() {
      if (shared !== null) return shared
      run.say(`a history of ${historyPayments(run)} payments`)
      shared = await open({})
      await feedHistory(shared, openFeed(historyPayments(run)), historyPayments(run), run.signal)
      return shared
    },
    async close() {
      await shared?.close()
      await broker?.close()
    },
  }
}

function brokersOf(broker: BenchBroker | null): { readonly brokers?: string } {
  return broker === null ? {} : { brokers: broker.brokers }
}

/** Runs `work` with a folder that it may fill. */
export async function inFolder<Answer>(name: string, work: (dir: string) => Promise<Answer>): Promise<Answer> {
  const dir = await mkdtemp(join(tmpdir(), `riverbank-bench-${name}-`))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

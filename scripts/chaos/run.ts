import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkInstallation } from './check.ts'
import { flippedBit, removedCommit } from './damages.ts'
import { duplicates, kill, lostReplies, outage, rebalance, zombie, type Fault } from './faults.ts'
import { Installation } from './installation.ts'
import { flushed, namesakes } from './lives.ts'
import { emptied, lostTail } from './losses.ts'
import { refusedWrites, restartWhileClaiming } from './outages.ts'
import { poison } from './poison.ts'
import { paused, starvation } from './stalls.ts'
import type { Results } from './results.ts'
import { ChaosRedis, startBroker, type Driver } from './servers.ts'
import { randomFrom } from './traffic.ts'
import type { KafkaBroker } from '../kafka/broker.ts'
import { isRiverbankError } from '../../src/base/errors.ts'

export interface ChaosOptions {
  readonly driver: Driver
  readonly seed: number
  /** No episode begins after this, except those of the first round. */
  readonly minutes: number
  readonly processors: number
  /** Faults that keep acknowledged writes: every invariant must hold to the last bit. */
  readonly keeping: readonly Fault[]
  /** Faults that lose acknowledged writes, in this order. */
  readonly losing: readonly Fault[]
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

export const allFaults = {
  keeping: [
    kill(),
    zombie,
    rebalance,
    lostReplies(),
    outage,
    refusedWrites,
    restartWhileClaiming,
    duplicates,
    poison,
    starvation,
    paused,
    flushed,
    namesakes,
    flippedBit,
    removedCommit,
  ],
  losing: [lostTail, lostTail, emptied],
} as const

/** Runs rounds of all faults until the time is up, on one log driver; ends early when an invariant does not hold. */
export async function runChaos(options: ChaosOptions, results: Results): Promise<void> {
  const { driver, say, signal } = options
  const endMs = performance.now() + options.minutes * 60_000
  const random = randomFrom(options.seed)
  const dir = await mkdtemp(join(tmpdir(), `riverbank-chaos-${driver}-`))
  let kafka: KafkaBroker | null = null
  try {
    kafka = driver === 'kafka' ? await startBroker(join(dir, 'kafka'), say) : null
    for (let round = 1; round === 1 || (performance.now() < endMs && !results.failed); round += 1) {
      const isOver = () => signal.aborted || results.failed || (round > 1 && performance.now() > endMs)
      for (const [part, faults] of [
        ['keeping', shuffled(options.keeping, random)],
        ['losing', options.losing],
      ] as const) {
        if (isOver() || faults.length === 0) continue
        const place = { dir: join(dir, `${part}-${round}`), kafka, seed: options.seed + round }
        await runPart({ ...options, ...place, random, isOver, mayDiffer: part === 'losing' }, faults, results)
      }
      if (signal.aborted) return
    }
  } finally {
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface Part extends ChaosOptions {
  readonly dir: string
  readonly kafka: KafkaBroker | null
  readonly random: () => number
  readonly isOver: () => boolean
  readonly mayDiffer: boolean
}

/** Runs some faults one after the other on one installation, and checks it after each. */
async function runPart(part: Part, faults: readonly Fault[], results: Results): Promise<void> {
  const redis = await ChaosRedis.start(join(part.dir, 'redis'))
  let installation: Installation | null = null
  try {
    installation = await Installation.open({ ...part, redis, dir: join(part.dir, 'data') })
    for (const fault of faults) {
      if (part.isOver()) return
      await runEpisode(part, fault, installation, results)
    }
    results.add({ fault: 'contention', driver: part.driver, seen: installation.fleet.total('conflicts') })
  } finally {
    await installation?.close()
    await redis.kill()
  }
}

async function runEpisode(part: Part, fault: Fault, installation: Installation, results: Results): Promise<void> {
  const { driver, say, random, mayDiffer } = part
  const startedMs = performance.now()
  const paymentsBefore = installation.sender.payments
  try {
    installation.sender.flow()
    const seen = await fault.inflict(installation, random)
    await installation.sender.rest()
    const isGone = fault.name === 'emptied' && driver === 'redis'
    const checked = isGone ? null : await checkInstallation(installation, mayDiffer)
    const payments = installation.sender.payments - paymentsBefore
    const violations = checked?.violations ?? []
    for (const [name, count] of seen) {
      results.add({ fault: name, driver, seen: count, payments, violations, apart: checked?.apart ?? 0 })
    }
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
    const told = [...seen].map(([name, count]) => `${name} ${count}`).join(', ')
    say(`${driver}: ${told}; ${payments} payments, ${violations.length} violations, ${seconds} s`)
    for (const violation of violations.slice(0, 20)) say(`  ${violation}`)
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const why = isRiverbankError(error) ? `${error.code}: ${error.message}` : text
    results.add({ fault: fault.name, driver, seen: 0, violations: [why] })
    say(`${driver}: ${fault.name} failed: ${why}`)
  }
  if (results.failed)
    say(`${installation.fleet.lastLines()}\n--- materialize\n${installation.materializer.lines.slice(-8).join('\n')}`)
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

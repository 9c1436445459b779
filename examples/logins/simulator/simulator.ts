import {
  simulatedEvent,
  type HistoryPlace,
  type LiveRequest,
  type SimulatedEvent,
  type SimulatedHistory,
  type SimulatedRange,
  type Simulator,
  type SimulatorChoice,
} from 'riverbank/define'
import { loginAttempted, resetDisputed, resetRequested, takeoverReported } from '../events.ts'
import { Random } from './random.ts'
import { attackOn, attemptsOf, daySeconds, honestAttempts, type Login, type Reset, type World } from './world.ts'

const dayMs = 86_400_000

/** Accounts and their owners, and a few attackers with lists of secrets. */
export const loginSimulator: Simulator = {
  about: '2,000 accounts are logged in to for 120 days, secrets are forgotten, and some accounts are taken over',
  // A Monday.
  epochMs: Date.UTC(2025, 0, 6),
  labelDelayMs: 2 * dayMs,
  days: ({ days = 0 }) => days,
  options: {
    accounts: { about: 'size of the world', byDefault: 2_000, min: 1, max: 1_000_000 },
    days: { about: 'length of the world', byDefault: 120, min: 1, max: 3_650 },
    worldSeed: { about: 'another world of the same kind', byDefault: 1, min: 0, max: 0xffffffff },
  },
  draw(range) {
    const toDay = Math.min(range.toDay ?? Infinity, range.choice['days'] ?? 0)
    if (range.fromDay >= toDay) throw new Error(`no days from ${range.fromDay} until ${toDay}`)
    return drawn(rowsOf(range, toDay), range.limit === undefined ? toDay * dayMs : null)
  },
  live,
}

function worldIn({ accounts = 1, worldSeed = 0 }: SimulatorChoice): World {
  return { accounts, seed: worldSeed }
}

/** A login or a reset with its place in the history: its id is the same in every range. */
type Row = (Login | Reset) & {
  readonly id: string
  /** Milliseconds since the beginning of day 0. */
  readonly timeMs: number
}

function rowsOf({ choice, fromDay, limit = Infinity }: SimulatedRange, toDay: number): readonly Row[] {
  const world = worldIn(choice)
  const rows: Row[] = []
  for (let day = fromDay; day < toDay && rows.length < limit; day += 1) {
    const numbers = { login: 0, reset: 0 }
    for (const attempt of attemptsOf(world, day)) {
      if (rows.length === limit) break
      const number = numbers[attempt.kind]++
      rows.push({ ...attempt, id: `${day}-${number}`, timeMs: day * dayMs + attempt.second * 1_000 })
    }
  }
  return rows
}

/** `endMs`: null where the range ends just after its last row. */
function drawn(rows: readonly Row[], endMs: number | null): SimulatedHistory {
  return {
    scored: rows.length,
    endMs: endMs ?? (rows.at(-1)?.timeMs ?? -1_000) + 1_000,
    fromDay: (day) =>
      drawn(
        rows.filter(({ timeMs }) => timeMs >= day * dayMs),
        endMs,
      ),
    placed(place) {
      const labels = labelsOf(rows, place)
      const known = labels.filter(({ timestamp }) => timestamp < place.labelsBeforeMs)
      return {
        labels: known.length,
        events: merged(rows, known, place),
        pending: labels.slice(known.length),
      }
    },
  }
}

/** In time order: all labels take equally long. */
function labelsOf(rows: readonly Row[], { originMs, idPrefix, labelDelayMs }: HistoryPlace) {
  if (labelDelayMs === null) return []
  return rows
    .filter(({ isReported }) => isReported)
    .map((row) => labelOf(row, originMs + row.timeMs, idPrefix, labelDelayMs))
}

function* merged(
  rows: readonly Row[],
  labels: readonly SimulatedEvent[],
  { originMs, idPrefix }: HistoryPlace,
): Generator<SimulatedEvent> {
  let next = 0
  for (const row of rows) {
    const timeMs = originMs + row.timeMs
    for (let label = labels[next]; label !== undefined && label.timestamp <= timeMs; label = labels[next]) {
      yield label
      next += 1
    }
    yield eventOf(row, timeMs, idPrefix)
  }
  yield* labels.slice(next)
}

type Named = (Login | Reset) & { readonly id: string }

const idOf = ({ kind, id }: Named, idPrefix: string) => `${idPrefix}${kind}-${id}`

function eventOf(row: Named, timeMs: number, idPrefix: string): SimulatedEvent {
  const { ip, country } = row
  const said = { ...whose(row), ip, country }
  const at = { id: idOf(row, idPrefix), timeMs }
  return row.kind === 'login'
    ? simulatedEvent(loginAttempted, { ...at, data: { ...said, succeeded: row.succeeded } })
    : simulatedEvent(resetRequested, { ...at, data: { ...said, bySms: row.bySms } })
}

function labelOf(row: Named, observedMs: number, idPrefix: string, delayMs: number): SimulatedEvent {
  const cause = idOf(row, idPrefix)
  const timeMs = observedMs + delayMs
  const said = { ...whose(row), ip: row.ip }
  if (row.kind === 'reset') {
    const data = { resetId: cause, ...said, resetTimeMs: observedMs, kind: 'owner_report' } as const
    return simulatedEvent(resetDisputed, { id: `${idPrefix}dispute-${row.id}`, timeMs, cause, data })
  }
  const kind = row.succeeded ? 'owner_report' : 'support_review'
  const data = { loginId: cause, ...said, loginTimeMs: observedMs, kind } as const
  return simulatedEvent(takeoverReported, { id: `${idPrefix}takeover-${row.id}`, timeMs, cause, data })
}

function whose({ account, device }: Login | Reset): { readonly accountId: string; readonly deviceId?: string } {
  return { accountId: `a-${account}`, ...(device === null ? {} : { deviceId: device }) }
}

/** How many attempts wait for their report; above it one stays unreported. */
const waitingMax = 100_000

function* live(request: LiveRequest): Generator<SimulatedEvent> {
  const { seed, idPrefix, originMs, labelDelayMs, nowMs, limit = Infinity } = request
  const world = worldIn(request.choice)
  const random = new Random(seed, 5)
  const pending = [...request.pending]
  let attempts: (Login | Reset)[] = []
  for (let index = 0; index < limit;) {
    const timeMs = Math.floor(nowMs())
    const [due] = pending
    if (due !== undefined && due.timestamp <= timeMs) {
      pending.shift()
      yield due
      continue
    }
    const attempt = attempts.shift()
    if (attempt === undefined) {
      attempts = [...someonesAttempts(world, random, Math.floor((timeMs - originMs) / dayMs))]
      continue
    }
    const named = { ...attempt, id: String(index) }
    if (attempt.isReported && labelDelayMs !== null && pending.length < waitingMax) {
      pending.push(labelOf(named, timeMs, idPrefix, labelDelayMs))
    }
    index += 1
    yield eventOf(named, timeMs, idPrefix)
  }
}

/** Draws the attempts of one owner or attacker now. */
function someonesAttempts(world: World, random: Random, day: number): Iterable<Login | Reset> {
  const account = random.below(world.accounts)
  const isAway = random.chance(0.02)
  const attempt = { world, account, random, resets: random, isAway, second: random.below(daySeconds) }
  return random.chance(0.004) ? attackOn(attempt, random.below(4), day) : honestAttempts(attempt)
}

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
import { loginAttempted, takeoverReported } from '../events.ts'
import { Random } from './random.ts'
import { attackOn, daySeconds, honestAttempts, loginsOf, type Login, type World } from './world.ts'

const dayMs = 86_400_000

/** Accounts and their owners, and a few attackers with lists of secrets. */
export const loginSimulator: Simulator = {
  about: '2,000 accounts are logged in to for 120 days, and some are taken over',
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

/** A login with its place in the history: its id is the same in every range. */
interface Row extends Login {
  readonly id: string
  /** Milliseconds since the beginning of day 0. */
  readonly timeMs: number
}

function rowsOf({ choice, fromDay, limit = Infinity }: SimulatedRange, toDay: number): readonly Row[] {
  const world = worldIn(choice)
  const rows: Row[] = []
  for (let day = fromDay; day < toDay && rows.length < limit; day += 1) {
    for (const [n, login] of loginsOf(world, day).entries()) {
      if (rows.length === limit) break
      rows.push({ ...login, id: `${day}-${n}`, timeMs: day * dayMs + login.second * 1_000 })
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

/** In time order: all take equally long. */
function labelsOf(rows: readonly Row[], { originMs, idPrefix, labelDelayMs }: HistoryPlace) {
  if (labelDelayMs === null) return []
  return rows
    .filter(({ isTakeover }) => isTakeover)
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
    yield loginOf(row, timeMs, idPrefix)
  }
  yield* labels.slice(next)
}

function loginOf({ id, ...login }: Login & { readonly id: string }, timeMs: number, idPrefix: string) {
  const { ip, country, succeeded } = login
  const data = { ...whose(login), ip, country, succeeded }
  return simulatedEvent(loginAttempted, { id: `${idPrefix}login-${id}`, timeMs, data })
}

function labelOf(
  { id, ...login }: Login & { readonly id: string },
  loginTimeMs: number,
  idPrefix: string,
  delayMs: number,
) {
  const cause = `${idPrefix}login-${id}`
  return simulatedEvent(takeoverReported, {
    ...{ id: `${idPrefix}takeover-${id}`, timeMs: loginTimeMs + delayMs, cause },
    data: {
      loginId: cause,
      ...whose(login),
      ip: login.ip,
      loginTimeMs,
      kind: login.succeeded ? 'owner_report' : 'support_review',
    },
  })
}

function whose({ account, device }: Login): { readonly accountId: string; readonly deviceId?: string } {
  return { accountId: `a-${account}`, ...(device === null ? {} : { deviceId: device }) }
}

/** Unreported takeovers that are remembered; above it one stays unreported. */
const waitingMax = 100_000

function* live(request: LiveRequest): Generator<SimulatedEvent> {
  const { seed, idPrefix, originMs, labelDelayMs, nowMs, limit = Infinity } = request
  const world = worldIn(request.choice)
  const random = new Random(seed, 5)
  const pending = [...request.pending]
  let attempts: Login[] = []
  for (let index = 0; index < limit;) {
    const timeMs = Math.floor(nowMs())
    const [due] = pending
    if (due !== undefined && due.timestamp <= timeMs) {
      pending.shift()
      yield due
      continue
    }
    const login = attempts.shift()
    if (login === undefined) {
      attempts = [...someonesAttempts(world, random, Math.floor((timeMs - originMs) / dayMs))]
      continue
    }
    const named = { ...login, id: String(index) }
    if (login.isTakeover && labelDelayMs !== null && pending.length < waitingMax) {
      pending.push(labelOf(named, timeMs, idPrefix, labelDelayMs))
    }
    index += 1
    yield loginOf(named, timeMs, idPrefix)
  }
}

/** What one of them does now. */
function someonesAttempts(world: World, random: Random, day: number): Iterable<Login> {
  const account = random.below(world.accounts)
  const attempt = { world, account, random, isAway: random.chance(0.02), second: random.below(daySeconds) }
  return random.chance(0.004) ? attackOn(attempt, random.below(4), day) : honestAttempts(attempt)
}

import { Random } from './random.ts'

/** What the generator knows of a login and of a reset. */
interface Attempted {
  /** Seconds since the beginning of its day. */
  readonly second: number
  readonly account: number
  /** null: the client does not send it. */
  readonly device: string | null
  readonly ip: string
  readonly country: string
  /**
   * Whether the owner will report it: a login that took the account over, or a reset that only the attacker requested.
   */
  readonly isReported: boolean
}

export interface Login extends Attempted {
  readonly kind: 'login'
  readonly succeeded: boolean
}

export interface Reset extends Attempted {
  readonly kind: 'reset'
  readonly bySms: boolean
}

export interface World {
  readonly accounts: number
  readonly seed: number
}

const countries = ['DE', 'FR', 'NL', 'AT', 'IT', 'ES', 'PL', 'SE'] as const
/** So many days an attacker keeps an address before moving on to another. */
const attackerDays = 6
const attackers = 4
export const daySeconds = 86_400

/** The habits of an account's owner, the same on all days. */
function owner({ seed }: World, account: number) {
  const random = new Random(seed, 1, account)
  return {
    country: countries[random.below(countries.length)] ?? 'DE',
    perDay: 0.2 + 2.4 * random.next(),
    devices: 1 + random.below(2),
    /** The hour around which they log in. */
    hour: 7 + random.below(14),
    homeIp: `10.${random.below(200)}.${account % 250}.${1 + random.below(250)}`,
  }
}

/** Logins and resets of one day in time order. No day depends on another one. */
export function attemptsOf(world: World, day: number): readonly (Login | Reset)[] {
  const found: (Login | Reset)[] = []
  for (let account = 0; account < world.accounts; account += 1) found.push(...honest(world, day, account))
  found.push(...attacks(world, day))
  return found.sort((a, b) => a.second - b.second || a.account - b.account)
}

function* honest(world: World, day: number, account: number): Generator<Login | Reset> {
  const who = owner(world, account)
  const random = new Random(world.seed, 2, day, account)
  const forgetting = new Random(world.seed, 6, day, account)
  const isAway = random.chance(0.02)
  for (let left = who.perDay; left > 0; left -= 1) {
    if (!random.chance(Math.min(1, left))) continue
    const second = Math.floor((who.hour - 4 + 8 * random.next()) * 3_600) % daySeconds
    yield* honestAttempts({ world, account, random, resets: forgetting, isAway, second })
  }
}

interface Attempt {
  readonly world: World
  readonly account: number
  readonly random: Random
  /** Draws who requests a reset. */
  readonly resets: Random
  readonly isAway: boolean
  readonly second: number
}

/**
 * Attempts of the owner, who mistypes now and then, forgets the secret, travels, and buys a new device every few
 * months.
 */
export function* honestAttempts(attempt: Attempt): Generator<Login | Reset> {
  const { world, account, random, resets, isAway, second } = attempt
  const who = owner(world, account)
  const isNew = random.chance(0.01)
  const isSilent = random.chance(0.05)
  const own = isNew ? `d-${account}-new-${random.below(1_000)}` : `d-${account}-${random.below(who.devices)}`
  const isMobile = isAway || random.chance(0.25)
  const place = {
    account,
    device: isSilent ? null : own,
    ip: isMobile ? `172.${16 + random.below(4)}.0.${1 + random.below(250)}` : who.homeIp,
    country: isAway ? (countries[random.below(countries.length)] ?? 'DE') : who.country,
    isReported: false,
  }
  const mistakes = random.chance(0.06) ? 1 + random.below(2) : 0
  for (let tries = 0; tries < mistakes; tries += 1) {
    yield { kind: 'login', ...place, second: atMost(second + 12 * tries), succeeded: false }
  }
  // An owner who mistypes twice has most often forgotten the secret; some forget it before they try.
  if (resets.chance(mistakes === 2 ? 0.6 : 0.015)) {
    yield { kind: 'reset', ...place, second: atMost(second + 12 * mistakes + 5), bySms: resets.chance(0.7) }
  }
  yield { kind: 'login', ...place, second: atMost(second + 12 * mistakes + 8), succeeded: true }
}

const atMost = (second: number) => Math.min(second, daySeconds - 1)

/** Attackers try lists of accounts; some secrets are right. */
function* attacks(world: World, day: number): Generator<Login | Reset> {
  for (let attacker = 0; attacker < attackers; attacker += 1) {
    const random = new Random(world.seed, 3, day, attacker)
    const resets = new Random(world.seed, 7, day, attacker)
    if (!random.chance(0.7)) continue
    let second = random.below(daySeconds - 6 * 3_600)
    for (let victims = Math.ceil(world.accounts * 0.004); victims > 0; victims -= 1) {
      second += 20 + random.below(600)
      const account = random.below(world.accounts)
      yield* attackOn({ world, account, random, resets, isAway: false, second }, attacker, day)
    }
  }
}

/** Careful ones use a device once, some hide it, the others keep theirs as long as their address. */
function attackersDevice(attacker: number, isCareful: boolean, random: Random, tools: Random): string | null {
  const kept = `d-x${attacker}-${tools.below(10_000)}`
  if (!isCareful) return kept
  return random.chance(0.3) ? null : `d-x${attacker}-${random.below(10_000)}`
}

/** A few guesses, and a reset; where one works the attacker stays and comes back. */
export function* attackOn(attempt: Attempt, attacker: number, day: number): Generator<Login | Reset> {
  const { world, account, random, resets, second } = attempt
  const tools = new Random(world.seed, 4, attacker, Math.floor(day / attackerDays))
  const isCareful = random.chance(0.3)
  const place = {
    account,
    device: attackersDevice(attacker, isCareful, random, tools),
    ip: `203.0.113.${1 + tools.below(250)}`,
    country: isCareful ? owner(world, account).country : (countries[tools.below(countries.length)] ?? 'DE'),
  }
  const guesses = random.below(5)
  const isReported = random.chance(0.4)
  for (let guess = 0; guess < guesses; guess += 1) {
    yield { kind: 'login', ...place, second: atMost(second + 4 * guess), succeeded: false, isReported }
  }
  // An attacker who reads the mailbox needs no guesses.
  if (resets.chance(0.5)) {
    const asked = { second: atMost(second + 4 * guesses + 2), bySms: resets.chance(0.2) }
    yield { kind: 'reset', ...place, ...asked, isReported: resets.chance(0.9) }
  }
  if (!isReported) return
  let at = second + 4 * guesses
  for (let visits = 1 + random.below(4); visits > 0; visits -= 1) {
    yield { kind: 'login', ...place, second: atMost(at), succeeded: true, isReported }
    at += 60 + random.below(3_600)
  }
}

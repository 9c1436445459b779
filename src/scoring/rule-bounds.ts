/** `value is than`, as a rule of a policy has it. */
export interface BoundCondition {
  readonly value: string
  readonly is: '<' | '<=' | '>' | '>=' | '==' | '!='
  readonly than: number | string | boolean
}

/** What a value can be; one that is `always` there meets what its whole domain meets. A boolean is 0 or 1. */
export interface Domain {
  readonly low: number
  readonly high: number
  readonly whole: boolean
  readonly always: boolean
}

/** What a value may be where all conditions of a rule on it hold: between two ends, and none of some numbers. */
interface Bounds {
  readonly low: number
  readonly high: number
  readonly isLowOpen: boolean
  readonly isHighOpen: boolean
  readonly not: ReadonlySet<number>
}

type RuleBounds = ReadonlyMap<string, Bounds>

const everything: Bounds = { low: -Infinity, high: Infinity, isLowOpen: false, isHighOpen: false, not: new Set() }

/** A condition over numbers: booleans are 0 and 1, and of texts, which have no order, each is a number of its own. */
interface NumberCondition {
  readonly is: BoundCondition['is']
  readonly than: number
}

type Domains = ReadonlyMap<string, Domain>

/**
 * The first rule that can never decide, and why; null where every rule can. Rules are tried in their order, and the
 * first one whose conditions all hold decides.
 */
export function deadRule(
  rules: readonly { readonly name: string; readonly when: readonly BoundCondition[] }[],
  domains: Domains,
): { readonly name: string; readonly why: string } | null {
  const texts = new Map<string, number>()
  const numberOf = (than: BoundCondition['than']): number => {
    if (typeof than !== 'string') return Number(than)
    const number = texts.get(than) ?? texts.size
    texts.set(than, number)
    return number
  }
  const before: { readonly name: string; readonly bounds: RuleBounds }[] = []
  for (const { name, when } of rules) {
    const bounds = boundsOf(
      when.map(({ value, is, than }) => ({ value, is, than: numberOf(than) })),
      domains,
    )
    const empty = [...bounds].find(([, one]) => isEmpty(one))
    if (empty !== undefined) return { name, why: `its conditions on ${empty[0]} never hold together` }
    const first = before.find((earlier) => isWithin(bounds, earlier.bounds, domains))
    if (first !== undefined) return { name, why: `whatever it holds for is decided by ${first.name} before it` }
    before.push({ name, bounds })
  }
  return null
}

function domainOf(value: string, domains: Domains): Bounds {
  const { low, high } = domains.get(value) ?? everything
  return { ...everything, low, high }
}

function boundsOf(when: readonly (NumberCondition & { readonly value: string })[], domains: Domains): RuleBounds {
  const bounds = new Map<string, Bounds>()
  for (const condition of when) {
    const { value } = condition
    const narrowed = met(bounds.get(value) ?? domainOf(value, domains), boundOf(condition))
    bounds.set(value, domains.get(value)?.whole === true ? whole(narrowed) : trimmed(narrowed))
  }
  return bounds
}

function boundOf({ is, than }: NumberCondition): Bounds {
  switch (is) {
    case '<':
      return { ...everything, high: than, isHighOpen: true }
    case '<=':
      return { ...everything, high: than }
    case '>':
      return { ...everything, low: than, isLowOpen: true }
    case '>=':
      return { ...everything, low: than }
    case '==':
      return { ...everything, low: than, high: than }
    case '!=':
      return { ...everything, not: new Set([than]) }
  }
}

function met(left: Bounds, right: Bounds): Bounds {
  const isLowOf = (one: Bounds, low: number) => one.low === low && one.isLowOpen
  const isHighOf = (one: Bounds, high: number) => one.high === high && one.isHighOpen
  const [low, high] = [Math.max(left.low, right.low), Math.min(left.high, right.high)]
  return {
    ...{ low, high, not: new Set([...left.not, ...right.not]) },
    isLowOpen: isLowOf(left, low) || isLowOf(right, low),
    isHighOpen: isHighOf(left, high) || isHighOf(right, high),
  }
}

/** The same whole numbers, between ends that are among them. */
function whole({ low, high, isLowOpen, isHighOpen, not }: Bounds): Bounds {
  let [first, last] = [Math.ceil(low), Math.floor(high)]
  if ((isLowOpen && first === low) || not.has(first)) first += 1
  if ((isHighOpen && last === high) || not.has(last)) last -= 1
  while (first <= last && not.has(first)) first += 1
  while (first <= last && not.has(last)) last -= 1
  return {
    low: first,
    high: last,
    isLowOpen: false,
    isHighOpen: false,
    not: new Set([...not].filter(Number.isInteger)),
  }
}

/** The same numbers; an end that is none of them is open. */
function trimmed(bounds: Bounds): Bounds {
  const { low, high, not } = bounds
  return { ...bounds, isLowOpen: bounds.isLowOpen || not.has(low), isHighOpen: bounds.isHighOpen || not.has(high) }
}

function isEmpty({ low, high, isLowOpen, isHighOpen, not }: Bounds): boolean {
  return low > high || (low === high && (isLowOpen || isHighOpen || not.has(low)))
}

/** Whether the outer rule holds wherever the inner one does; a value that only the outer reads is always there. */
function isWithin(inner: RuleBounds, outer: RuleBounds, domains: Domains): boolean {
  return [...outer].every(([value, bounds]) => {
    const own = inner.get(value) ?? (domains.get(value)?.always === true ? domainOf(value, domains) : undefined)
    return own !== undefined && isPart(own, bounds)
  })
}

function isPart(inner: Bounds, outer: Bounds): boolean {
  const isAbove = inner.low > outer.low || (inner.low === outer.low && (!outer.isLowOpen || inner.isLowOpen))
  const isBelow = inner.high < outer.high || (inner.high === outer.high && (!outer.isHighOpen || inner.isHighOpen))
  return isAbove && isBelow && [...outer.not].every((one) => isEmpty(met(inner, boundOf({ is: '==', than: one }))))
}

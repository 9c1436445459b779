import type { SlotValue, Values } from './slot.ts'

/*
 * Different values of a tile. Most tiles have one, and a few values make up most of them: the slot's cell holds such a
 * value as a number, its code. A list beside the cells holds several values, or one without a code.
 */
const none = NaN
const listed = -1

/** This many values get a code. */
export const codesMax = 2 ** 18
/** A text that is longer than an id may be gets none: both limits bound the memory of codes. */
export const codedCharsMax = 64

const noValues: Values = []

/** Where values go: a cell and, when that is not enough, a list. */
export interface KeptValues {
  readonly cell: number
  readonly list: Values | null
}

/** The codes of one plan, for as long as it lives: a cell means the same only under the codes that wrote it. */
export class ValueCodes {
  readonly #codes = new Map<SlotValue, number>()
  readonly #coded: SlotValue[] = []

  /** -1 for a value that has none. */
  codeOf(value: SlotValue): number {
    const known = this.#codes.get(value)
    if (known !== undefined) return known
    const isFull = this.#coded.length === codesMax
    if (isFull || (typeof value === 'string' && value.length > codedCharsMax)) return listed
    this.#codes.set(value, this.#coded.length)
    return this.#coded.push(value) - 1
  }

  /** What a cell and its list hold, in the order of the first observations. */
  valuesIn(cell: number, list: Values | undefined): Values {
    const coded = cell >= 0 ? this.#coded[cell] : undefined
    if (coded !== undefined) return [coded]
    return cell === listed ? (list ?? noValues) : noValues
  }

  kept(values: Values): KeptValues {
    const [first] = values
    if (first === undefined) return { cell: none, list: null }
    const code = values.length === 1 ? this.codeOf(first) : listed
    return { cell: code, list: code === listed ? values : null }
  }

  /** The cell with `value`, where it is empty or already holds just that; else null. */
  withOnly(cell: number, value: SlotValue): number | null {
    const code = this.codeOf(value)
    if (code === listed || cell === listed) return null
    return Number.isNaN(cell) || cell === code ? code : null
  }
}

/** Up to `size` values, those of `earlier` first. */
export function union(earlier: Values, later: Values, size: number): Values {
  return [...new Set([...earlier, ...later])].slice(0, size)
}

const lastRound = 2 ** 31 - 1

/** Counts different values, up to `size` of them: begun anew for every slot. */
export class ValueCounter {
  count = 0
  private readonly codes: ValueCodes
  private size = 0
  private round = 0
  /** By code: the round in which it was seen last. */
  private seen = new Int32Array(1_024)
  private readonly uncoded = new Set<SlotValue>()

  constructor(codes: ValueCodes) {
    this.codes = codes
  }

  begin(size: number): void {
    this.size = size
    this.count = 0
    if (this.round === lastRound) {
      this.seen.fill(0)
      this.round = 0
    }
    this.round += 1
    if (this.uncoded.size > 0) this.uncoded.clear()
  }

  get isFull(): boolean {
    return this.count >= this.size
  }

  add(cell: number, list: Values | undefined): void {
    if (cell >= 0) this.addCode(cell)
    else if (cell === listed) for (const value of list ?? noValues) this.addValue(value)
  }

  private addCode(code: number): void {
    if (code >= this.seen.length) {
      const { seen } = this
      this.seen = new Int32Array(Math.min(codesMax, 2 * code))
      this.seen.set(seen)
    }
    if (this.seen[code] === this.round || this.count >= this.size) return
    this.seen[code] = this.round
    this.count += 1
  }

  private addValue(value: SlotValue): void {
    const code = this.codes.codeOf(value)
    if (code >= 0) {
      this.addCode(code)
      return
    }
    if (this.uncoded.has(value) || this.count >= this.size) return
    this.uncoded.add(value)
    this.count += 1
  }
}

/** Room for some hundred texts. Texts are for a moment: one that is kept keeps all that share its memory. */
const sharedBytes = 512 * 1024
const [quote, digit0] = [0x22, 0x30]
const encoder = new TextEncoder()
const nullBytes = encoder.encode('null')
/** UTF-8 takes at most so many bytes for each UTF-16 code unit. */
const bytesPerUnitMax = 3
/** The longest decimal text of a number. */
const numberBytesMax = 32

/**
 * Writes JSON as UTF-8 bytes. A text of two hundred parts costs twice: a rope of parts all over memory, and a copy of
 * it. Names that never change are bytes already: {@link raw} copies them.
 */
export class JsonWriter {
  #memory = new Uint8Array(sharedBytes)
  #from = 0
  #at = 0

  /** What was written since the last call. Several share their memory. */
  take(): Uint8Array {
    const taken = this.#memory.subarray(this.#from, this.#at)
    this.#from = this.#at
    return taken
  }

  /** Forgets what was written since the last {@link take}: the text of a writer that failed half-way. */
  drop(): void {
    this.#at = this.#from
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#memory.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** A text between quotes. */
  text(text: string): void {
    this.#reserve(text.length + 2)
    const memory = this.#memory
    const from = this.#at
    let at = from
    memory[at++] = quote
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i)
      if (!isPlain(unit)) {
        this.json(text)
        return
      }
      memory[at++] = unit
    }
    memory[at++] = quote
    this.#at = at
  }

  /** Any value, as JSON.stringify has it. */
  json(value: unknown): void {
    this.#encode(JSON.stringify(value))
  }

  /** As JSON has it: no minus zero, and null for what is no number. */
  number(value: number | null): void {
    if (value === null || value - value !== 0) {
      this.raw(nullBytes)
      return
    }
    this.#reserve(numberBytesMax)
    if ((value | 0) === value) this.#integer(value)
    else this.#digits(`${value}`)
  }

  /** Of 32 bits: their text would be one more object, and most features are counts. */
  #integer(value: number): void {
    if (value < 0) {
      this.#digits(`${value}`)
      return
    }
    const memory = this.#memory
    let places = 1
    for (let power = 10; power <= value; power *= 10) places += 1
    let rest = value
    for (let at = this.#at + places - 1; at >= this.#at; at -= 1) {
      const left = (rest / 10) | 0
      memory[at] = digit0 + rest - left * 10
      rest = left
    }
    this.#at += places
  }

  #digits(text: string): void {
    const memory = this.#memory
    let at = this.#at
    for (let i = 0; i < text.length; i += 1) memory[at++] = text.charCodeAt(i)
    this.#at = at
  }

  #encode(text: string): void {
    this.#reserve(text.length * bytesPerUnitMax)
    this.#at += encoder.encodeInto(text, this.#memory.subarray(this.#at)).written
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#memory.length) return
    const written = this.#memory.subarray(this.#from, this.#at)
    const memory = new Uint8Array(Math.max(sharedBytes, 2 * (written.length + count)))
    memory.set(written)
    this.#memory = memory
    this.#from = 0
    this.#at = written.length
  }
}

/** ASCII that JSON writes as it is. */
function isPlain(unit: number): boolean {
  return unit >= 0x20 && unit < 0x7f && unit !== 0x22 && unit !== 0x5c
}

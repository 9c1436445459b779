export type Labels = Readonly<Record<string, string>>
type Gauge = { set(value: number, labels?: Labels): void; clear(): void }

/** Prometheus conventions: base units, `_total` on counters, no ids as label values. */
export interface Meter {
  counter(name: string, help: string, labels?: readonly string[]): { add(value: number, labels?: Labels): void }
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly string[],
  ): { observe(value: number, labels?: Labels): void }
  /** The text exposition format, with its content type. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>
}

export type Fields = Readonly<Record<string, unknown>>

/** Structured log lines; never on stdout, which belongs to results. */
export interface Logger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  child(fields: Fields): Logger
}

const units = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Milliseconds of `500ms`, `30s`, `5m`, `2h` or `1d`; null for anything else. */
export function durationMs(text: string): number | null {
  const [, count = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  const ms = units.get(unit)
  return ms === undefined ? null : Number(count) * ms
}

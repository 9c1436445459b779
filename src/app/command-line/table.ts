/** Rows as columns of plain text, numbers to the right. Ends with a line feed; `(no rows)` when there are none. */
export function table(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const [first] = rows
  if (first === undefined) return '(no rows)\n'
  const columns = Object.keys(first)
  const cells = rows.map((row) => columns.map((column) => textOf(row[column])))
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]?.length ?? 0)))
  const isNumber = columns.map((column) => rows.every((row) => row[column] === null || typeof row[column] === 'number'))
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => (isNumber[i] === true ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return `${[line(columns), ...cells.map(line)].join('\n')}\n`
}

/** Keeps a cell on one line, whatever an error or a file says, and keeps it from moving a terminal's cursor. */
const lineBreaks = /\s*[\r\n\u2028\u2029]+\s*/g
const controls = /\p{Cc}/gu

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (typeof value !== 'string') return JSON.stringify(value)
  return value.replace(lineBreaks, ' ').replace(controls, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Separates the parts of a composite entity's id. */
export const idSeparator = '|'

const special = /[\\|]/g

/** A part of a composite id, with a backslash before each `|` and each backslash: no two lists of parts meet. */
export function idPart(value: string): string {
  return value.includes(idSeparator) || value.includes('\\') ? value.replace(special, '\\$&') : value
}

export function joinIdParts(parts: readonly string[]): string {
  return parts.map(idPart).join(idSeparator)
}

/** What {@link joinIdParts} joined. */
export function splitIdParts(id: string): string[] {
  const parts: string[] = []
  let part = ''
  for (let at = 0; at < id.length; at += 1) {
    const char = id.charAt(at)
    if (char === idSeparator) {
      parts.push(part)
      part = ''
    } else if (char === '\\') {
      at += 1
      part += id.charAt(at)
    } else part += char
  }
  return [...parts, part]
}

/** {@link idPart} of a SQL expression. */
export function idPartSql(expression: string): string {
  return `replace(replace(${expression}, '\\', '\\\\'), '|', '\\|')`
}

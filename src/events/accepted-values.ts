/** By field of an event's data: the values that this installation takes, of all that the schema knows. */
export type AcceptedValues = Readonly<Record<string, readonly string[]>>

/** What is not accepted, in words; null when everything is. */
export function notAccepted(data: Readonly<Record<string, unknown>>, accepts: AcceptedValues): string | null {
  for (const field in accepts) {
    const [value, values] = [data[field], accepts[field] ?? []]
    if (typeof value !== 'string' || values.includes(value)) continue
    return `${field} is ${value}, accepted is ${values.join(', ')}`
  }
  return null
}

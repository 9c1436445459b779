/** The fields and values of layouts in a Redis hash: the field is the layout that blobs name, in hex. */
export function fieldsOf(layouts: ReadonlyMap<number, string>): [string, string][] {
  return [...layouts].map(([layout, text]) => [layout.toString(16), text])
}

export function layoutsIn(fields: Iterable<readonly [string, string]>): Map<number, string> {
  return new Map([...fields].map(([layout, text]) => [Number.parseInt(layout, 16), text]))
}

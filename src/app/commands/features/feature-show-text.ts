import type { Bytes } from '../../../engine/state-cost.ts'
import type { ShownFeature, ShownSlot, ShownUse, ShownView, ShownWindows } from './feature-show.ts'

type Section = readonly [label: string, lines: readonly string[]]

/** The text for people; `--json` prints the same content. */
export function shownText(shown: ShownFeature | ShownView): string {
  const sections = shown.kind === 'view' ? viewSections(shown) : featureSections(shown)
  const filled = sections.filter(([, lines]) => lines.length > 0)
  const width = Math.max(...filled.map(([label]) => label.length))
  const lines = filled.flatMap(([label, texts]) =>
    texts.map((text, i) => `${(i === 0 ? label : '').padEnd(width)}  ${text}`.trimEnd()),
  )
  return `${shown.name}\n${lines.join('\n')}\n`
}

function viewSections({ aggregated, features, usedBy, sql }: ShownView): Section[] {
  const { entity, keyFields, version } = aggregated
  return [
    ['view', [`version ${version}, of the ${entity} (${keyFields.join(', ')})`]],
    ...windowSections(aggregated),
    ['features', features],
    ...useSections(usedBy),
    sqlSection(sql),
  ]
}

function featureSections({ type, nullable, description, view, expression, ...shown }: ShownFeature): Section[] {
  const { aggregated, usedBy, sql } = shown
  const from = aggregated === null ? [] : [`${view}, version ${aggregated.version}, of the ${aggregated.entity}`]
  return [
    ['what', [description]],
    ['type', [nullable ? `${type}, null where there is nothing to say` : `${type}, never null`]],
    ['view', from],
    ['derived', expression === null ? [] : [expression]],
    ...(aggregated === null ? [] : windowSections(aggregated)),
    ...useSections(usedBy),
    sqlSection(sql),
  ]
}

function windowSections({ windows, hop, delay, slots, state }: ShownWindows): Section[] {
  const { tilesPerEntityMax, tileBytes, bytesPerEntityMax } = state
  return [
    ['windows', [windows.join(', ')]],
    ['hop', [`${hop}: every tile is so long, and every window ends with one`]],
    ['delay', [delay === '0s' ? 'none' : `${delay}: every window ends so long ago`]],
    ['slots', slots.map(slotText)],
    [
      'state',
      [
        `a tile: ${bytesText(tileBytes)} and its slots`,
        `an entity: at most ${tilesPerEntityMax} tiles; full of typical ones ${bytesPerEntityMax.typical} bytes, ` +
          `of the largest ${bytesPerEntityMax.largest} bytes`,
        ...(windows.includes('lifetime') ? ['and once the slots of all that was forgotten'] : []),
      ],
    ],
  ]
}

function slotText({ kind, eventType, field, where, size, bytesPerTile, sharedWith }: ShownSlot): string {
  const sized = size === 0 ? '' : ` (at most ${size})`
  const of = field === null ? ` of ${eventType}` : ` of ${field} in ${eventType}`
  const conditions = where.map((condition) => `${condition.field} ${condition.is} ${JSON.stringify(condition.value)}`)
  const filtered = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const shared = sharedWith.length === 0 ? '' : `, shared with ${sharedWith.join(', ')}`
  return `${kind}${sized}${of}${filtered}: ${bytesText(bytesPerTile)}${shared}`
}

function bytesText({ typical, largest }: Bytes): string {
  if (typical < largest) return `${typical} to ${largest} bytes`
  return typical === 1 ? '1 byte' : `${typical} bytes`
}

function useSections({ derived, services }: ShownUse): Section[] {
  return [
    ['read by', derived.length === 0 ? ['no derived feature'] : derived],
    [
      'services',
      services.length === 0 ? ['none'] : services.map(({ name, elements }) => `${name}: ${elements.join(', ')}`),
    ],
  ]
}

function sqlSection(sql: string | null): Section {
  return ['sql', sql === null ? [] : sql.trimEnd().split('\n')]
}

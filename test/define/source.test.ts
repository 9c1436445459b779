import { expect, test } from 'vitest'
import { z } from 'zod'
import { count } from '../../src/define/aggregate.ts'
import { defineEntity } from '../../src/define/entity.ts'
import { defineEvent } from '../../src/define/event-type.ts'
import { defineSource } from '../../src/define/source.ts'
import { defineView } from '../../src/define/view.ts'

const visit = z.object({ userId: z.string(), isGuest: z.boolean(), pages: z.number().int(), tags: z.array(z.string()) })
const visited = defineEvent({
  ...{ type: 'page.visited', aggregateType: 'user', aggregateField: 'userId', timestamp: 'time' },
  ...{ versions: { 1: { schema: visit } }, current: visit },
})

/** As a definition is that no editor has looked at. */
const source = (options: object): unknown => defineSource({ name: 'visit', event: visited, columns: {}, ...options })
const where = (field: string, is: string, value: unknown) => () => source({ where: [{ field, is, value }] })

test.each([
  ['a number for a boolean', where('isGuest', '==', 1), 'isGuest is a boolean, and is compared with 1'],
  ['a number for a text', where('userId', '==', 3), 'userId is a text, and is compared with 3'],
  ['a text for a number', where('pages', '>=', '100'), 'pages is a number, and is compared with "100"'],
  ['no number', where('pages', '<', NaN), 'pages is a number, and is compared with null'],
  ['an order of texts', where('userId', '<', 'm'), 'userId is a text: it can be compared by == !=, not by <'],
  ['a comparison that there is not', where('pages', '=', 1), 'it can be compared by == != < <= > >=, not by ='],
  ['a list', where('tags', '==', 'a'), 'tags is neither a number nor a text nor a boolean'],
  ['a field that is not there', where('page', '==', 'a'), 'page.visited has no field page'],
])('a condition with %s is refused: the engine and SQL would not read it alike', (_, make, told) => {
  expect(make).toThrow(`source "visit": where: `)
  expect(make).toThrow(told)
})

test('a misspelt option is refused: what it should have left out would count', () => {
  expect(() => source({ were: [{ field: 'isGuest', is: '==', value: true }] })).toThrow(
    'source "visit": there is no option were; there are name, event, columns, where',
  )
  expect(() => source({ where: [{ field: 'isGuest', value: true }] })).toThrow('source "visit": where: give it is')
})

test('a view refuses a misspelt option, a missing one, and a reason of an aggregate that it does not have', () => {
  const user = defineEntity({ name: 'user', keyFields: ['userId'], partitionKey: true })
  const whole = {
    ...{ name: 'user_visits', version: 1, entity: user, hop: '1h', windows: ['1d'] },
    aggregates: [count(defineSource({ name: 'visit', event: visited, columns: {} }))],
  }
  const view = (change: object) => () =>
    defineView({ ...whole, ...change } as unknown as Parameters<typeof defineView>[0])
  expect(view({})).not.toThrow()
  expect(view({ dely: '1d' })).toThrow('view "user_visits": there is no option dely')
  expect(view({ windows: undefined })).toThrow('view "user_visits": give it windows')
  expect(view({ reasons: { pages_sum: { text: 'x' } } })).toThrow(
    'view "user_visits": reasons: it has no aggregate pages_sum',
  )
  expect(() => defineEntity({ name: 'user', keyFields: ['userId'], partitionkey: true } as never)).toThrow(
    'entity "user": there is no option partitionkey',
  )
})

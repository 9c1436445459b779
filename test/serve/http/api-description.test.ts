import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { loginFeatures, logins } from '../../../examples/logins/index.ts'
import { definitions } from '../../../src/app/installation/settings/definitions.ts'
import { cloudPayment, nowMs, paymentEvent, postJson, serveFixture, type Fixture } from '../support/serve-fixture.ts'

interface Operation {
  readonly requestBody?: { readonly content: Operation['content'] }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content: Operation['content'] }>>
  readonly content: Readonly<Record<string, { readonly schema: { readonly $ref?: string; readonly type?: string } }>>
}
interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

const description = (await (await serveFixture().app.request('/openapi.json')).json()) as Description
const operations = Object.values(description.paths).flatMap((path) => Object.values(path))

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)
ajv.addSchema({ $id: 'api', ...description })

/** What the published schema has against a value; empty when nothing. */
function mistakes(name: string, value: unknown): string {
  const validate = ajv.getSchema(`api#/components/schemas/${name}`)
  if (validate === undefined) throw new Error(`no schema ${name}`)
  return validate(value) === true ? '' : ajv.errorsText(validate.errors ?? null)
}

describe('the API description', () => {
  test('gives every body a name, and describes each schema once', () => {
    for (const { requestBody, responses } of operations) {
      const answers = Object.values(responses).map(({ content }) => content)
      for (const { schema } of [requestBody?.content ?? {}, ...answers].flatMap((content) => Object.values(content))) {
        expect(schema.$ref ?? schema.type).toMatch(/^#\/components\/schemas\/|^string$/)
      }
    }
    expect(Object.keys(description.components.schemas)).toEqual(expect.arrayContaining(['Problem', 'PaymentScored']))
  })

  test('tells that any operation may answer 421, and what was cut short or is not there', () => {
    for (const { responses } of operations) {
      expect(responses['421']?.description).toBe('foreign_host')
      expect(responses['503']?.description).toContain('unavailable')
    }
  })
})

describe('of another project', () => {
  const {
    catalog,
    scoreForms,
    manifest: featureSet,
  } = definitions({
    project: { definition: logins, folder: 'examples/logins', isShipped: false, compiledPath: '' },
    featureSet: loginFeatures,
  })
  const { app } = serveFixture({
    deps: { catalog, scoreForms, featureSet, project: { name: 'logins', scored: 'logins' } },
  })
  const ofPayments = /payment|fraud|customer|terminal|currency|merchant|card/i

  test('the API description speaks of its events, and of no other domain', async () => {
    const text = await (await app.request('/openapi.json')).text()
    expect(JSON.parse(text)).toMatchObject({
      info: {
        title: 'Riverbank: logins',
        description: 'Real-time features of an event stream, and decisions on its logins.',
      },
    })
    expect(text.split(/(?<=[{,])/).filter((part) => ofPayments.test(part))).toEqual([])
  })

  test('so does the index, with commands to try', async () => {
    const text = await (await app.request('/')).text()
    expect(text.split('\n').filter((line) => ofPayments.test(line))).toEqual([])
    expect(text).toContain('login.attempted')
  })
})

describe('every problem is as the description says', () => {
  const unready = { probes: [{ name: 'log', check: () => Promise.resolve('gone') }] }
  const features = ['customer_spend:payment_count_1h']
  test.each<[string, () => Fixture, string, RequestInit]>([
    ['eventId', () => serveFixture(), '/v1/events', postJson(paymentEvent('p', { version: 9 }))],
    ['eventId', () => serveFixture(), '/v1/events', postJson('7')],
    ['results', () => serveFixture(), '/v1/events', postJson([paymentEvent('p', { version: 9 }), 7])],
    ['names', () => serveFixture(), '/v1/features', postJson({ features: ['a:b'], entities: { customer: ['c'] } })],
    ['names', () => serveFixture(), '/v1/features', postJson({ features, entities: { terminal: ['t'] } })],
    ['names', () => serveFixture(), '/v1/entities/customer/c/features?features=nope', {}],
    ['reasons', () => serveFixture({ deps: unready }), '/readyz', {}],
    ['checks', () => serveFixture({ deps: unready }), '/readyz', {}],
    ['requestId', () => serveFixture(), '/nowhere', {}],
    ['requestId', () => serveFixture(), '/livez', { headers: { host: 'risk.example' } }],
  ])('with %s', async (member, fixture, path, init) => {
    const response = await fixture().app.request(path, init)
    const problem = (await response.json()) as Record<string, unknown>
    expect(problem).toHaveProperty(member)
    expect(mistakes('Problem', problem)).toBe('')
    expect(mistakes('Problem', { ...problem, surprise: 1 })).not.toBe('')
  })

  test('so is what a batch answers, event by event', async () => {
    const batch = [paymentEvent('p-1'), paymentEvent('p-2', { timestamp: 0 })]
    const response = await serveFixture().app.request('/v1/events', postJson(batch))
    expect(response.status).toBe(207)
    expect(mistakes('EventResults', await response.json())).toBe('')
  })
})

describe('what is refused, the schema refuses', () => {
  const features = ['customer_spend:payment_count_1h']
  const entities = { customer: ['c'] }
  const data = { customerId: 'c-1', terminalId: 't-1', amountMinor: 1, currency: 'EUR' }
  test.each<[string, string, unknown]>([
    ['/v1/models/promote', 'ModelChange', { model: '' }],
    ['/v1/models/promote', 'ModelChange', { model: 'fraud' }],
    ['/v1/features', 'FeaturesRequest', { features, entities, asOf: '' }],
    ['/v1/features', 'FeaturesRequest', { features, entities, asOf: 'yesterday' }],
    ['/v1/features', 'FeaturesRequest', { features, entities: {} }],
    ['/v1/features', 'FeaturesRequest', { features: ['a:b'], entities }],
    ['/v1/features', 'FeaturesRequest', { features, entities: { merchant: ['m'] } }],
    ['/v1/features', 'FeaturesRequest', { features, feature_service: 'fraud_v1', entities }],
    ['/v1/features', 'FeaturesRequest', { entities }],
    ['/v1/sql', 'SqlRequest', { sql: '' }],
    ['/v1/events', 'DomainEvent', paymentEvent('p', { data: {} })],
    ['/v1/events', 'DomainEvent', paymentEvent('p', { data: { ...data, amountMinor: -1 } })],
    ['/v1/events', 'DomainEvent', paymentEvent('p', { data: { ...data, customerId: 'a b' } })],
    ['/v1/events', 'DomainEvent', paymentEvent('p', { timestamp: 1e15 })],
    ['/v1/events', 'DomainEvent', paymentEvent('p', { eventType: 'payment.vanished' })],
    ['/v1/events', 'CloudEvent', cloudPayment('p', { data: { ...data, currency: undefined } })],
    ['/v1/events', 'CloudEvent', cloudPayment('p', { dataschema: 'urn:riverbank:payment.initiated:9' })],
  ])('%s: %s %j', async (path, name, body) => {
    const response = await serveFixture().app.request(path, postJson(body))
    expect([400, 422]).toContain(response.status)
    expect(mistakes(name, JSON.parse(JSON.stringify(body)))).not.toBe('')
  })

  test('and what it allows is taken', async () => {
    const { app } = serveFixture()
    const { dataschema: _newest, ...plain } = cloudPayment('p-4')
    const taken: [string, string, unknown][] = [
      ['/v1/events', 'DomainEvent', paymentEvent('p-1')],
      ['/v1/events', 'CloudEvent', cloudPayment('p-2')],
      ['/v1/events', 'CloudEvent', cloudPayment('p-3', { dataschema: null, correlationid: null })],
      ['/v1/events', 'CloudEvent', plain],
      ['/v1/events', 'Events', [paymentEvent('p-5'), cloudPayment('p-6')]],
      ['/v1/features', 'FeaturesRequest', { features, entities, asOf: new Date(nowMs).toISOString() }],
      ['/v1/features', 'FeaturesRequest', { features, entities, asOf: '1600000000000' }],
    ]
    for (const [path, name, body] of taken) {
      expect(mistakes(name, body), JSON.stringify(body)).toBe('')
      expect((await app.request(path, postJson(body))).status, JSON.stringify(body)).toBeLessThan(300)
    }
  })
})

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { history } from '../../features/simulator/history.ts'
import { generatePayments } from '../../features/simulator/payments.ts'
import { streamEvents } from '../../scripts/simulator/stream-events.ts'
import { datasetEpochMs, scoredTypes } from '../../features/simulator/payment-events.ts'
import { names } from '../../src/app/installation/settings/config.ts'
import type { VerifyReport } from '../../src/app/installation/lake/verify.ts'
import type { ModelsReport } from '../../src/serve/models/model-administration.ts'
import { copyShippedModels, writeLinearModel, writeWithoutCovers } from '../support/model-files.ts'
import { redisAvailable } from '../support/redis-server.ts'
import { eventually } from '../support/wait.ts'
import { startInstallation, type TestInstallation } from './support/installation.ts'
import { payment } from './support/payment.ts'

const patience = { deadlineMs: 60_000, everyMs: 50 }
const champion = { name: 'fraud', version: '2' }
const large = {
  name: 'large',
  when: [{ value: 'event.amountMinor', is: '>=', than: 40_000 }],
  decision: 'block',
} as const

describe.skipIf(redisAvailable() !== null)('an installation whose models change', () => {
  let rb: TestInstallation
  let modelsDir: string

  beforeAll(async () => {
    modelsDir = mkdtempSync(join(tmpdir(), 'riverbank-e2e-models-'))
    copyShippedModels(modelsDir)
    for (const version of ['1', '2']) {
      writeLinearModel(modelsDir, champion, { name: 'linear', version }, { weight: 0.01 * Number(version) })
    }
    writeLinearModel(modelsDir, champion, { name: 'damaged', version: '1' })
    for (const version of ['1', '2']) writeWithoutCovers(modelsDir, champion, { name: 'bare', version })
    const file = join(modelsDir, 'damaged/1/model.onnx')
    writeFileSync(
      file,
      readFileSync(file).map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
    )
    rb = await startInstallation({ RIVERBANK_MODELS_DIR: modelsDir, RIVERBANK_MODELS_POLL_MS: '100' })
  })
  afterAll(async () => {
    await rb.remove()
    rmSync(modelsDir, { recursive: true, force: true })
  })

  const list = async () => (await rb.json('models', 'list')) as ModelsReport
  const post = (path: string, body: unknown) =>
    fetch(`${rb.url}/v1/models/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const decided = async (id: string, amountMinor: number) => {
    const event = payment(id, { amountMinor })
    const response = await fetch(`${rb.url}/v1/events?wait=20000`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    })
    expect(response.status).toBe(200)
  }
  const sql = async (query: string) => {
    const { rows } = (await rb.json('sql', query)) as { rows: unknown[][] }
    return rows
  }

  test('begins with the champion of the registry, live on every partition', async () => {
    // The partitions are still being shared out.
    await eventually(async () => (await list()).generations[0]?.live === rb.config.PARTITIONS, patience)
    const { generations } = await list()
    expect(generations).toMatchObject([{ generation: 1, champion: 'fraud/2', shadows: [], live: 4, refusal: null }])
  })

  test('changes under load and a kill -9 lose nothing and score nothing twice', async () => {
    const columns = generatePayments({ limit: 6_000 })
    const { topics, groups } = names(rb.config)
    const progress = async () => {
      const committed = await rb.log.committed(groups.process, topics.events)
      return [...committed.values()].reduce((sum, next) => sum + next, 0)
    }
    const events = [...history(columns, { labelDelayMs: null })]
    const publish = (from: number, to: number) =>
      streamEvents(events.slice(from, to), (records) => rb.log.publish(records), {
        topic: topics.events,
        scoredTypes,
        partitions: rb.config.PARTITIONS,
        batchRecords: 250,
        inFlightMax: rb.config.PARTITIONS,
        historyFromMs: datasetEpochMs,
      })
    const begun = publish(0, 1_000)
    await eventually(async () => (await progress()) > 100, { ...patience, everyMs: 2 })
    const shadowed = await post('shadow', { model: 'linear/1' })
    expect([shadowed.status, await shadowed.json()]).toMatchObject([202, { generation: 2, shadows: ['linear/1'] }])
    const liveOf = async (number: number) =>
      ((await (await fetch(`${rb.url}/v1/models`)).json()) as ModelsReport).generations.find(
        ({ generation }) => generation === number,
      )?.live ?? 0
    await eventually(async () => (await liveOf(2)) === 4, patience)
    await begun
    await publish(1_000, 2_000)
    await eventually(async () => (await progress()) >= 2_000, patience)
    const publishing = publish(2_000, 6_000)
    expect((await post('promote', { model: 'linear/1', reason: 'better' })).status).toBe(202)
    await eventually(async () => (await liveOf(3)) > 0, { ...patience, everyMs: 2 })
    process.kill(rb.pidOf('process-1'), 'SIGKILL')
    await publishing
    await eventually(async () => (await liveOf(3)) === 4, patience)
    await eventually(async () => (await progress()) >= 6_000, patience)

    const scored = 'SELECT count(DISTINCT (customer_id, payment_id)) FROM scores'
    await eventually(async () => (await sql(scored))[0]?.[0] === 6_000, patience)
    // Each model has one stretch of each partition; the shadow's scores are those that it had as champion.
    const models =
      await sql(`SELECT source_partition, model_name, min(source_offset) AS first, max(source_offset) AS last
      FROM scores GROUP BY ALL ORDER BY source_partition, first`)
    for (const [i, [partition, , , last]] of models.entries()) {
      const [nextPartition, , first] = models[i + 1] ?? []
      if (nextPartition === partition) expect(Number(first)).toBeGreaterThan(Number(last))
    }
    const shadows = await sql(
      "SELECT count(*) FROM scores WHERE shadows LIKE '{\"linear/1\":%' AND model_name = 'fraud'",
    )
    expect(Number(shadows[0]?.[0])).toBeGreaterThan(0)
  })

  test('a damaged model is refused with its reason, and the old one goes on', async () => {
    const { code, stdout } = await rb.run('models', 'promote', 'damaged/1', '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ generation: 4, live: 0, refusal: { code: 'model_refused' } })
    const [refused, live] = (await list()).generations
    expect(refused?.refusal?.detail).toMatch(/^hash_mismatch: /)
    expect(live).toMatchObject({ champion: 'linear/1', live: 4 })
    expect((await fetch(`${rb.url}/readyz`)).status).toBe(200)
    expect(rb.starts('process-1'), 'once, and once after the kill').toBe(2)
  })

  test('a rollback restores what was there before, and wrong changes have a code', async () => {
    expect(await rb.json('models', 'promote', 'linear/2', '--reason', 'newer')).toMatchObject({
      ...{ generation: 5, champion: 'linear/2', live: 4, reason: 'newer' },
    })
    expect(await rb.json('models', 'rollback')).toMatchObject({
      generation: 6,
      champion: 'linear/1',
      live: 4,
      restores: 3,
    })
    expect(await rb.json('models', 'rollback')).toMatchObject({
      champion: 'fraud/2',
      shadows: ['linear/1'],
      restores: 2,
    })
    expect(await rb.json('models', 'retire', 'linear/1')).toMatchObject({ champion: 'fraud/2', shadows: [], live: 4 })
    const again = await rb.run('models', 'retire', 'linear/1')
    expect([again.code, again.stderr]).toEqual([1, 'model_not_serving: linear/1 is no shadow\n'])
    expect((await rb.run('models', 'promote', '../etc')).stderr).toMatch(/^invalid_model: /)
    expect(rb.starts('process-1')).toBe(2)
  })

  test('a policy is promoted like a model, and says which of its rules decided', async () => {
    const policy = { format: 2, version: '1', thresholds: { review: 1, block: 1 }, rules: [large] }
    mkdirSync(join(modelsDir, 'linear/2/policies'))
    writeFileSync(join(modelsDir, 'linear/2/policies/1.json'), JSON.stringify(policy))
    const refused = await rb.run('models', 'promote', 'linear/2@7', '--json')
    expect(refused.code).toBe(1)
    expect(JSON.parse(refused.stdout)).toMatchObject({ live: 0, refusal: { code: 'model_refused' } })
    expect(refused.stdout).toContain('policy_missing')
    expect(await rb.json('models', 'promote', 'linear/2@1')).toMatchObject({ champion: 'linear/2@1', live: 4 })
    await decided('large-one', large.when[0].than)
    await decided('small-one', large.when[0].than - 1)
    const rows = `SELECT payment_id, decision, policy_version, decided_by FROM scores
      WHERE policy_version IS NOT NULL ORDER BY payment_id`
    await eventually(async () => (await sql(rows)).length === 2, patience)
    const beside = async (model: string) =>
      (await rb.json('backtest', '--model', model)) as { policy: string; decidedBy: object }
    expect(await beside('linear/2@1')).toMatchObject({ policy: '1', decidedBy: { 'rule:large': 1 } })
    expect(await beside('linear/2')).toMatchObject({ policy: 'none' })
    expect((await rb.run('backtest')).stderr).toMatch(
      /a fraud of the newest \d+ days that nobody has reported yet counts as none; --to leaves these days out/,
    )
    expect(await sql(rows)).toEqual([
      ['large-one', 'block', '1', 'rule:large'],
      ['small-one', 'approve', '1', 'model'],
    ])
  })

  test('a model without covers has them counted over the lake before it scores', async () => {
    const refused = await rb.run('models', 'register', 'linear/2')
    expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('reasons: none (no_trees: ')])
    const registered = await rb.run('models', 'register', 'bare/1', '--json')
    expect(JSON.parse(registered.stdout)).toMatchObject({ model: 'bare/1', reasons: 'exact, of the log odds' })
    expect(registered.code).toBe(0)
  })

  test('a model that cannot say why says so when it is promoted, and for good', async () => {
    const policy = { format: 2, version: '1', thresholds: { review: 1, block: 1 }, rules: [large] }
    for (const model of ['bare/1', 'bare/2']) {
      mkdirSync(join(modelsDir, model, 'policies'))
      writeFileSync(join(modelsDir, model, 'policies/1.json'), JSON.stringify(policy))
    }
    const promoted = await rb.run('models', 'promote', 'bare/2@1', '--wait', '60')
    expect([promoted.code, promoted.stderr]).toEqual([
      0,
      expect.stringContaining('without reasons (no_covers): the trees'),
    ])
    const late = await rb.run('models', 'register', 'bare/2')
    expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/^model_in_use: bare\/2 is in generation/)])
    await decided('silent', large.when[0].than)
  })

  test('a model whose covers were counted says why, and one that cannot leaves a code', async () => {
    const report = await rb.json('models', 'promote', 'bare/1@1', '--wait', '60')
    expect(report).toMatchObject({ champion: 'bare/1@1', live: 4 })
    expect(report).not.toHaveProperty('reasonsUnavailable')
    await decided('told', large.when[0].than)
    const rows = `SELECT payment_id, reasons IS NOT NULL, reasons_unavailable FROM scores
      WHERE payment_id IN ('silent', 'told') ORDER BY payment_id`
    await eventually(async () => (await sql(rows)).length === 2, patience)
    expect(await sql(rows)).toEqual([
      ['silent', false, 'no_covers'],
      ['told', true, null],
    ])
  })

  test('what is watched is the model that scores, not the one that the installation began with', async () => {
    const { code, stderr } = await rb.run('monitor')
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^profile_missing: bare\/1 has no readable profile/)])
  })

  test('everything that was promised can be recomputed', async () => {
    const report = (await rb.json('verify')) as VerifyReport
    expect(report).toMatchObject({ ok: true, violations: 0, mismatches: 0 })
    expect(report.invariants.I2.counts).toMatchObject({ payments: 6_004, scores: 6_004 })
    const { I3 } = report.invariants
    expect(I3.counts['decisions of policies recomputed']).toBe(4)
    expect(I3.counts['scores of shadows recomputed']).toBeGreaterThan(0)
    expect(I3.counts['reasons recomputed']).toBeGreaterThan(0)
    expect(I3.counts['scores recomputed'], 'by each model that has scored').toBe(I3.counts['score rows'])
  })
})

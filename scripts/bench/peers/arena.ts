import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compareAll, type Agreement } from './agreement.ts'
import type { Contestant, Place } from './contestant.ts'
import { flink } from './flink.ts'
import { quix } from './quix.ts'
import { openPayments } from './payments.ts'
import { benchPeerReads } from './reads.ts'
import { riverbank } from './riverbank.ts'
import { benchStreams, tailPayments, warmUpPayments } from './stream.ts'
import { feedHistory, openFeed } from '../feed.ts'
import { openInstallation } from '../installation.ts'
import type { Run } from '../run.ts'
import { startKafkaBroker } from '../../kafka/broker.ts'

export interface StreamReport {
  readonly contestants: readonly Contestant[]
  readonly agreements: readonly Agreement[]
}

/** What the states of the reads hold: four days of the published data set. */
const historyPayments = 40_000

type Fail = (error: unknown) => void

/** Runs Riverbank's processor and the asked peers on one Kafka broker. */
export async function runStreams(run: Run, asked: ReadonlySet<'quix' | 'flink'>, fail: Fail): Promise<StreamReport> {
  return inFolder(async (dir) => {
    const broker = await startKafkaBroker({ dir: join(dir, 'kafka'), onProgress: run.say })
    try {
      const { brokers } = broker
      const installation = await openInstallation({ driver: 'kafka', brokers, roles: ['process'], onFailure: fail })
      const place: Place = { installation, brokers, dir }
      const contestants: Contestant[] = []
      try {
        contestants.push(riverbank(place))
        if (asked.has('quix')) contestants.push(await quix(place, 'windows'), await quix(place, 'state'))
        if (asked.has('flink')) contestants.push(await flink(place, 1), await flink(place, 2))
        const take = openPayments(warmUpPayments + run.payments * run.rounds + tailPayments * (run.rounds + 1))
        await benchStreams({ run, place, brokerPid: broker.pid, contestants, take })
        return { contestants, agreements: await compareAll(installation, contestants) }
      } finally {
        for (const contestant of contestants) await contestant.stop()
        await installation.close()
      }
    } finally {
      await broker.stop()
    }
  })
}

/** Runs Riverbank's and Feast's feature servers on one Redis. */
export function runReads(run: Run, fail: Fail): Promise<void> {
  return inFolder(async (dir) => {
    const installation = await openInstallation({ driver: 'redis', roles: ['process', 'serve'], onFailure: fail })
    try {
      await feedHistory(installation, openFeed(historyPayments), historyPayments, run.signal, 'scored')
      await benchPeerReads(run, installation, dir)
    } finally {
      await installation.close()
    }
  })
}

async function inFolder<Answer>(work: (dir: string) => Promise<Answer>): Promise<Answer> {
  const dir = await mkdtemp(join(tmpdir(), 'riverbank-peers-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

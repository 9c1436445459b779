import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { customerFeatures, pairFeatures, terminalFeatures, type Contestant, type Place } from './contestant.ts'
import { python } from './environment.ts'
import { PeerProcess } from './peer-process.ts'
import { createTopics } from './topics.ts'
import { projectFolder } from '../../../src/app/installation/settings/project-folder.ts'

/** The windows of Quix, or windows by hand over its states: see quix/windows.py. */
export type QuixKind = 'windows' | 'state'

const differs = [
  'at least once: after a crash records come again, and its states may have counted their payments twice',
  'has no model, no labels, no delay, no distinct terminals; nothing outside can read its states',
  'writes two records a payment, of the customer and of the terminal: a stream cannot be repartitioned twice',
]
const differsByKind = {
  windows: 'a late payment of a terminal makes it write the windows after it again: more records than payments',
  state: 'its windows are written by hand, in thirty lines, which nothing proves equal to a batch computation',
} as const satisfies Record<QuixKind, string>

/** Quix Streams in one Python process, with its defaults: at least once, states in RocksDB and in changelog topics. */
export async function quix(place: Place, kind: QuixKind): Promise<Contestant> {
  const name = kind === 'windows' ? 'Quix Streams, its windows' : 'Quix Streams, windows by hand'
  const own = `quix-${kind}`
  const { namespace, topic } = await createTopics(place.installation, own, ['events', 'customers', 'terminals'])
  const stateDir = join(place.dir, own)
  await mkdir(stateDir)
  const order = {
    kind,
    brokers: place.brokers,
    group: namespace,
    stateDir,
    guarantee: 'at-least-once',
    input: topic('events'),
    customers: topic('customers'),
    terminals: topic('terminals'),
  }
  const program = new PeerProcess({
    name,
    command: python('quix'),
    args: [join(projectFolder, 'scripts/bench/peers/quix/windows.py'), JSON.stringify(order)],
    cwd: stateDir,
    logFile: join(place.dir, `${own}.log`),
  })
  return {
    name,
    input: order.input,
    outputs: [
      { topic: order.customers, features: [...customerFeatures, ...pairFeatures] },
      { topic: order.terminals, features: terminalFeatures },
    ],
    features: 20,
    differs: [...differs, differsByKind[kind]],
    pids: () => new Map([['python', program.pid]]),
    check: () => program.check(),
    stop: () => program.stop(),
  }
}

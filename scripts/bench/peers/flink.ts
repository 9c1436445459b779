import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { customerFeatures, pairFeatures, terminalFeatures, type Contestant, type Place } from './contestant.ts'
import { flinkJars } from './environment.ts'
import { PeerProcess } from './peer-process.ts'
import { createTopics } from './topics.ts'
import { projectFolder } from '../../../src/app/installation/settings/project-folder.ts'

const folder = join(projectFolder, 'scripts/bench/peers/flink')
const heapMb = 1_536
const checkpointSeconds = 10
/** The packages that Flink's own start script opens to its serializers. */
const opened = ['lang', 'lang.reflect', 'net', 'io', 'nio', 'text', 'time', 'util', 'util.concurrent']

/** Flink SQL as one job of a cluster inside one JVM: states on the heap, a checkpoint to files every ten seconds. */
export async function flink(place: Place, parallelism: number): Promise<Contestant> {
  const name = `Flink SQL, parallelism ${parallelism}`
  const own = `flink-${parallelism}`
  const { namespace, topic } = await createTopics(place.installation, own, ['events', 'features'])
  const dir = join(place.dir, own)
  await mkdir(dir)
  const settings = {
    'parallelism.default': parallelism,
    'execution.checkpointing.interval': `${checkpointSeconds}s`,
    'execution.checkpointing.storage': 'filesystem',
    'execution.checkpointing.dir': `file://${dir}/checkpoints`,
    'state.backend.type': 'hashmap',
    'pipeline.object-reuse': true,
    'table.local-time-zone': 'UTC',
    // Everything on loopback, and no web page.
    'rest.bind-address': '127.0.0.1',
    'rest.address': '127.0.0.1',
    'jobmanager.bind-host': '127.0.0.1',
    'taskmanager.bind-host': '127.0.0.1',
    INPUT: topic('events'),
    OUTPUT: topic('features'),
    GROUP: namespace,
    BROKERS: place.brokers,
  }
  const program = new PeerProcess({
    name,
    command: 'java',
    args: [
      `-Xmx${heapMb}m`,
      `-Djava.io.tmpdir=${dir}`,
      `-Dlog4j2.configurationFile=file:${join(folder, 'log4j2.properties')}`,
      ...opened.map((part) => `--add-opens=java.base/java.${part}=ALL-UNNAMED`),
      ...['-cp', join(flinkJars, '*'), join(folder, 'Windows.java'), join(folder, 'windows.sql')],
      ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
    ],
    cwd: dir,
    logFile: join(place.dir, `${own}.log`),
  })
  try {
    await program.untilSays('ready')
  } catch (error) {
    await program.stop()
    throw error
  }
  return {
    name,
    input: topic('events'),
    outputs: [{ topic: topic('features'), features: [...customerFeatures, ...terminalFeatures, ...pairFeatures] }],
    features: 22,
    differs: [
      'at least once: its states are exact after a crash, and up to ten seconds of records come again',
      'has no model, no labels, no delay; nothing outside can read its states, and a crash costs the JVM all of them until it has read the checkpoint',
      'answers a payment when every partition has moved a second past it, and drops what comes later than that',
      `its states live on a heap of at most ${heapMb} MB, and its memory is what the JVM left unused of that`,
    ],
    pids: () => new Map([['jvm', program.pid]]),
    check: () => program.check(),
    stop: () => program.stop(),
  }
}

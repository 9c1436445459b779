export interface BrokerPlace {
  readonly port: number
  readonly controllerPort: number
  readonly dataDir: string
  /** Properties beside those of a development broker, or instead of them. */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * server.properties of a single node that is broker and controller, on loopback only. A value differs from Kafka's
 * default because there is one replica, or because users must not wait for a development broker.
 */
export function serverProperties({ port, controllerPort, dataDir, settings: own }: BrokerPlace): string {
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': dataDir,
    'auto.create.topics.enable': false,
    'log.message.timestamp.type': 'LogAppendTime',
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    // By default the coordinator gathers commits for 5 ms, and a reader that commits every batch waits for that.
    'group.coordinator.append.linger.ms': 0,
    // The controller registers a killed broker again only after its session, by default 9 s.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    'file.delete.delay.ms': 1_000,
  }
  return Object.entries({ ...settings, ...own })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

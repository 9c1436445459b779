/** The processor with wrapped ports: `processor.ts <session timeout ms>`; see interposed.ts. */
import { interposed, type Wire } from './interposed.ts'
import type { Order } from './messages.ts'
import { readConfig } from '../../src/app/installation/settings/config.ts'
import { startProcess } from '../../src/app/roles/process-role.ts'
import { runRole } from '../../src/app/roles/lifecycle/role.ts'

const sessionTimeoutMs = Number(process.argv[2])
const wire: Wire = {
  say: (word) => void process.send?.(word),
  onOrder: (listener) => void process.on('message', (order) => listener(order as Order)),
}
const start: Parameters<typeof runRole>[2] = (role) =>
  startProcess(role, (ports) => interposed(ports, wire, sessionTimeoutMs))
process.exit(await runRole('process', readConfig(process.env), start))

import { loggedEvents, applyLogged } from './bench/engine.ts'
import { definitions } from '../src/app/definitions.ts'
import { createMemoryEngine } from '../src/core/engine.ts'
const { plan, catalog } = definitions()
const events = [...loggedEvents(80000)]
for (let r=0;r<3;r++){
const engine = createMemoryEngine(plan)
for (const e of events.slice(0, 20000)) applyLogged(engine, catalog, e)
const rest=events.slice(20000)
const t0=performance.now(); const c0=process.cpuUsage()
for (const e of rest) applyLogged(engine, catalog, e)
const c=process.cpuUsage(c0)
console.log(Math.round((events.length-20000)/(performance.now()-t0)*1000), 'ev/s cpu us/event', (c.user+c.system)/(events.length-20000), 'heap', process.memoryUsage().heapUsed/1e6)
}

import { createServer } from 'node:net'
import { z } from 'zod'
import { ok, warn, type Finding, type Probe } from './doctor.ts'

const answerMsMax = 2_000

/** The index of the HTTP role (src/serve/http/description-routes.ts). */
const indexSchema = z.object({ name: z.literal('riverbank'), version: z.string() })

export function portProbe(name: string, setting: string, host: string, port: number): Probe {
  return {
    name,
    fix: `correct ${setting} and RIVERBANK_HTTP_HOST`,
    run: async () => {
      if (await isFree(host, port)) return ok(port === 0 ? 'any' : `${host}:${port} is free`)
      return takenFinding(setting, `${host}:${port}`, await versionAt(host, port))
    },
  }
}

function takenFinding(setting: string, address: string, version: string | null): Finding {
  if (version !== null) return ok(`${address}: Riverbank ${version} serves here`)
  return warn(`${address} is taken`, `fine if Riverbank runs there; else choose another ${setting}`)
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((done, failed) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') failed(error)
      else done(false)
    })
    server.listen(port, host, () => server.close(() => done(true)))
  })
}

/** The version of the HTTP role on this port; null when another program or none answers. */
async function versionAt(host: string, port: number): Promise<string | null> {
  // A server that listens on every address answers on loopback, too.
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  try {
    const response = await fetch(`http://${name.includes(':') ? `[${name}]` : name}:${port}/`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(answerMsMax),
    })
    return indexSchema.parse(await response.json()).version
  } catch {
    return null
  }
}

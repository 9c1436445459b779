import type { Config } from '../../installation/settings/config.ts'
import { adoptLake } from '../../installation/lake/lake-binding.ts'

/** `riverbank lake adopt`: binds states and log to the lake of this data folder. */
export async function adoptCommand(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const { lake, before } = await adoptLake(config)
  const text =
    before === lake ? `lake ${lake} was theirs already\n` : `lake ${lake} takes the place of ${before ?? 'none'}\n`
  process.stdout.write(options.json === true ? `${JSON.stringify({ lake, before })}\n` : text)
  return 0
}

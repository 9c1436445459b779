import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The TypeScript files of these folders of the repository, as sorted paths, and a hash of all that a build is made of:
 * their names and bytes, and `builder`. Contents are compared and not times: a checkout or a copy keeps neither.
 */
export function readSources(root, folders, builder) {
  const files = folders.flatMap((folder) => filesIn(root, folder)).sort()
  const hash = createHash('sha256').update(builder)
  for (const file of files) {
    const bytes = readFileSync(join(root, file))
    hash.update(`\0${file}\0${bytes.length}\0`).update(bytes)
  }
  return { files, hash: hash.digest('hex').slice(0, 24) }
}

function filesIn(root, folder) {
  return entriesOf(join(root, folder)).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return filesIn(root, path)
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts') ? [path] : []
  })
}

/** A repository may lack a folder. */
function entriesOf(path) {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

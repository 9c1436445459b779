import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { riverbank } from '../features/index.ts'
import { compiledPath, compiledText } from '../src/app/installation/compiled-feature-set.ts'
import { projectFolder } from '../src/app/installation/project-folder.ts'
import { compileManifest } from '../src/compile/manifest.ts'

/** Writes the compiled feature set; `riverbank features check` says whether the committed one is what it would write. */
const target = join(projectFolder, compiledPath)
const manifest = compileManifest(riverbank)
mkdirSync(dirname(target), { recursive: true })
writeFileSync(target, compiledText(manifest))
console.log(`${compiledPath} ${manifest.hash}`)

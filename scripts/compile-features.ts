import { mkdirSync, writeFileSync } from 'node:fs'
import { riverbank } from '../features/index.ts'
import { compiledPath, compiledText } from '../src/app/compiled-feature-set.ts'
import { compileManifest } from '../src/compile/manifest.ts'

/** Writes the compiled feature set; `riverbank features check` says whether the committed one is what it would write. */
const target = new URL(`../${compiledPath}`, import.meta.url)
const manifest = compileManifest(riverbank)
mkdirSync(new URL('.', target), { recursive: true })
writeFileSync(target, compiledText(manifest))
console.log(`${compiledPath} ${manifest.hash}`)

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { riverbank } from '../features/index.ts'
import { compileManifest } from '../src/compile/manifest.ts'

/** Writes the compiled feature set, or with --check fails when the committed one is not what the definitions say. */
const target = new URL('../features/compiled/feature-set.json', import.meta.url)
const compiled = `${JSON.stringify(compileManifest(riverbank), null, 2)}\n`

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== compiled) {
    console.error('features/compiled/feature-set.json is not fresh: run npm run features:compile and commit it')
    process.exitCode = 1
  }
} else {
  mkdirSync(new URL('.', target), { recursive: true })
  writeFileSync(target, compiled)
  console.log(`features/compiled/feature-set.json ${compileManifest(riverbank).hash}`)
}

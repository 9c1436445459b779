import { spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { range } from '../lake/support/read.ts'
import { eventually } from '../support/wait.ts'

const root = new URL('../..', import.meta.url).pathname

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * A repository of its own with the real bootstrap scripts. Its only dependency is the esbuild of this one, and `npm` is
 * a program that writes down that it was called and then does what npm ci would do here.
 */
describe('bootstrap', () => {
  let dir: string
  let bin: string

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'riverbank-bootstrap-'))
    bin = join(dir, 'bin')
    mkdirSync(join(dir, 'scripts'), { recursive: true })
    mkdirSync(bin)
    mkdirSync(join(dir, 'src'))
    cpSync(join(root, 'scripts/bootstrap'), join(dir, 'scripts/bootstrap'), { recursive: true })
    writeFileSync(join(dir, 'package.json'), '{ "name": "small", "type": "module" }')
    lock('1')
    program(
      'npm',
      `echo "npm $*" >> '${dir}/npm.calls'; echo chatter; while [ -e '${dir}/npm.waits' ]; do sleep 0.05; done
       [ ! -e '${dir}/npm.fails' ] || exit 7
       rm -rf '${dir}/node_modules'; mkdir -p '${dir}/node_modules/esbuild'
       echo '{ "name": "esbuild", "version": "1.0.0", "type": "module", "exports": "./index.js" }' > '${dir}/node_modules/esbuild/package.json'
       echo 'export * from "${root}node_modules/esbuild/lib/main.js"' > '${dir}/node_modules/esbuild/index.js'
       cp '${dir}/package-lock.json' '${dir}/node_modules/.package-lock.json'`,
    )
    entry(`const words: string[] = process.argv.slice(2); console.log(words.join(' '))`)
  })

  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const lock = (version: string) => {
    const packages = { '': { name: 'small' }, 'node_modules/esbuild': { version, integrity: `sha512-${version}` } }
    writeFileSync(join(dir, 'package-lock.json'), JSON.stringify({ packages }))
  }
  const entry = (source: string) => writeFileSync(join(dir, 'src/entry.ts'), source)
  const program = (name: string, body: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const calls = () => (existsSync(join(dir, 'npm.calls')) ? readFileSync(join(dir, 'npm.calls'), 'utf8').trim() : '')

  function start(args: readonly string[], path = [bin, '/usr/bin', '/bin'].join(delimiter)) {
    const { npm_execpath: _npm, REDIS_URL: _url, ...env } = process.env
    const child = spawn(process.execPath, [...args], { cwd: tmpdir(), env: { ...env, PATH: path } })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const ended = new Promise<Ended>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    })
    return { child, ended, stdout: () => stdout, stderr: () => stderr }
  }
  const run = (...args: string[]) => start([join(dir, 'scripts/bootstrap/run.mjs'), 'src/entry.ts', ...args])

  test('installs once, says so on stderr, and leaves stdout to the program', async () => {
    const first = await run('a', 'b c').ended
    expect(first).toMatchObject({ code: 0, stdout: 'a b c\n' })
    expect(first.stderr).toContain('installing dependencies')
    expect(first.stderr).toContain('chatter')
    const second = await run('d').ended
    expect(second).toMatchObject({ code: 0, stdout: 'd\n', stderr: '' })
    expect(calls()).toBe('npm ci --include=dev --no-audit --no-fund')
  })

  test('several at once install once', async () => {
    writeFileSync(join(dir, 'npm.waits'), '')
    const runs = Array.from({ length: 5 }, (_, i) => run(String(i)))
    const waiting = () => runs.filter((one) => one.stderr().includes('waiting for process')).length
    await eventually(() => waiting() === 4, { deadlineMs: 20_000, what: 'four of five wait for the first' })
    rmSync(join(dir, 'npm.waits'))
    const ended = await Promise.all(runs.map((one) => one.ended))
    expect(ended.map(({ code, stdout }) => [code, stdout])).toEqual([0, 1, 2, 3, 4].map((i) => [0, `${i}\n`]))
    expect(calls().split('\n')).toHaveLength(1)
  })

  test('a lock whose owner is gone is taken over', async () => {
    mkdirSync(join(dir, '.cache'))
    const { child, ended } = start(['-e', ''])
    await ended
    writeFileSync(join(dir, '.cache/install.lock'), String(child.pid))
    expect(await run('x').ended).toMatchObject({ code: 0, stdout: 'x\n' })
    expect(existsSync(join(dir, '.cache/install.lock'))).toBe(false)
  })

  test('a changed lockfile installs again, one that is installed already does not', async () => {
    await run().ended
    lock('2')
    expect((await run('new').ended).stdout).toBe('new\n')
    expect(calls().split('\n')).toHaveLength(2)
    // As after npm ci by hand: npm's own record is right, the stamp is gone.
    rmSync(join(dir, 'node_modules/.riverbank-stamp'))
    expect(await run('same').ended).toMatchObject({ stdout: 'same\n', stderr: '' })
    expect(calls().split('\n')).toHaveLength(2)
  })

  test('a failed installation ends with its exit code in one line, and is tried again', async () => {
    writeFileSync(join(dir, 'npm.fails'), '')
    const failed = await run('x').ended
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain('npm ci failed with exit code 7')
    rmSync(join(dir, 'npm.fails'))
    expect((await run('x').ended).stdout).toBe('x\n')
  })

  test('exit codes and signals are those of the program', async () => {
    await run().ended
    entry('process.exit(Number(process.argv[2]))')
    expect((await run('42').ended).code).toBe(42)
    entry(`console.log('up'); setInterval(() => undefined, 1000)`)
    const deaf = run()
    await eventually(() => deaf.stdout() === 'up\n', { deadlineMs: 10_000 })
    deaf.child.kill('SIGTERM')
    expect((await deaf.ended).signal).toBe('SIGTERM')
    entry(`process.on('SIGINT', () => process.exit(9)); console.log('up'); setInterval(() => undefined, 1000)`)
    const polite = run()
    await eventually(() => polite.stdout() === 'up\n', { deadlineMs: 10_000 })
    polite.child.kill('SIGINT')
    expect((await polite.ended).code).toBe(9)
  })

  test('an error of the program comes with the line of its source', async () => {
    await run().ended
    entry(`interface Unseen { readonly a: number }\n\nthrow new Error('here')\nexport type { Unseen }`)
    const { code, stderr } = await run().ended
    expect(code).toBe(1)
    expect(stderr).toContain('src/entry.ts:3')
  })

  const builds = () => readdirSync(join(dir, '.cache/build')).filter((name) => /^[0-9a-f]+$/.test(name))

  test('what changed is built once, and only then', async () => {
    expect((await run('a').ended).stderr).toMatch(/built in/)
    expect(await run('b').ended).toMatchObject({ stdout: 'b\n', stderr: '' })
    // A copy and a checkout give old times to new bytes.
    const { mtime } = statSync(join(dir, 'src/entry.ts'))
    entry(`const words: string[] = process.argv.slice(2); console.log(words.join('-'))`)
    utimesSync(join(dir, 'src/entry.ts'), mtime, mtime)
    const changed = await run('c', 'd').ended
    expect(changed).toMatchObject({ stdout: 'c-d\n' })
    expect(changed.stderr).toMatch(/built in/)
    expect(builds()).toHaveLength(2)
    // Back to what was built before.
    entry(`const words: string[] = process.argv.slice(2); console.log(words.join(' '))`)
    expect(await run('e', 'f').ended).toMatchObject({ stdout: 'e f\n', stderr: '' })
  })

  test('another esbuild builds anew, whatever the sources', async () => {
    await run().ended
    const file = join(dir, 'node_modules/esbuild/package.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('1.0.0', '1.0.1'))
    expect((await run('x').ended).stderr).toMatch(/built in/)
    expect(builds()).toHaveLength(2)
  })

  test('a module that is added or renamed makes another build', async () => {
    entry(`import { word } from './word.ts'; console.log(word)`)
    writeFileSync(join(dir, 'src/word.ts'), `export const word: string = 'one'`)
    expect((await run().ended).stdout).toBe('one\n')
    rmSync(join(dir, 'src/word.ts'))
    expect(await run().ended).toMatchObject({ code: 1, stdout: '' })
    writeFileSync(join(dir, 'src/word.ts'), `export const word: string = 'two'`)
    expect((await run().ended).stdout).toBe('two\n')
  })

  test('several at once build once, and none sees half a build', async () => {
    await run().ended
    const modules = range(0, 200)
    for (const i of modules) writeFileSync(join(dir, `src/m${i}.ts`), `export const n: number = ${i}`)
    const imports = modules.map((i) => `import { n as n${i} } from './m${i}.ts'`).join('\n')
    entry(`${imports}\nconsole.log(${modules.map((i) => `n${i}`).join(' + ')})`)
    const ended = await Promise.all(range(0, 6).map(() => run().ended))
    expect(ended.map(({ code, stdout }) => [code, stdout])).toEqual(range(0, 6).map(() => [0, '19900\n']))
    expect(ended.filter(({ stderr }) => stderr.includes('built in'))).toHaveLength(1)
    expect(readdirSync(join(dir, '.cache/build')).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('a builder that was killed leaves nothing that counts', async () => {
    await run().ended
    const [first = ''] = builds()
    rmSync(join(dir, '.cache/build', first), { recursive: true })
    // What it had written so far, and its lock.
    const { child, ended } = start(['-e', ''])
    await ended
    mkdirSync(join(dir, '.cache/build', `${first}.${child.pid}.tmp/src`), { recursive: true })
    writeFileSync(join(dir, '.cache/build', `${first}.${child.pid}.tmp/src/entry.js`), 'half a')
    writeFileSync(join(dir, '.cache/build.lock'), String(child.pid))
    expect(await run('whole').ended).toMatchObject({ code: 0, stdout: 'whole\n' })
  })

  test('a program goes on with its build; a build that nobody runs is removed in time', async () => {
    entry(`console.log('up'); process.on('SIGTERM', async () => (console.log((await import('./late.ts')).late), process.exit()))
      setInterval(() => undefined, 1000)`)
    writeFileSync(join(dir, 'src/late.ts'), `export const late: string = 'of old'`)
    const old = run()
    await eventually(() => old.stdout() === 'up\n', { deadlineMs: 60_000 })
    entry(`console.log('second')`)
    await run().ended
    const long = new Date(Date.now() - 2 * 3_600_000)
    for (const name of builds()) utimesSync(join(dir, '.cache/build', name), long, long)
    entry(`console.log('third')`)
    writeFileSync(join(dir, 'src/late.ts'), `export const late: string = 'of new'`)
    expect((await run().ended).stdout).toBe('third\n')
    expect(builds(), 'the one that runs and the newest').toHaveLength(2)
    old.child.kill('SIGTERM')
    expect((await old.ended).stdout).toBe('up\nof old\n')
  })

  test('a mistake in the source is told with its place, and nothing is left of the build', async () => {
    entry(`const a: string = ;`)
    const { code, stderr } = await run().ended
    expect(code).toBe(1)
    expect(stderr).toContain('src/entry.ts:1:18')
    expect(readdirSync(join(dir, '.cache/build'))).toEqual([])
  })

  const askRedis = (path: string) => {
    const script = `import('${dir}/scripts/bootstrap/redis.mjs').then(async (m) => console.log(await m.ensureRedis(process.env, '${dir}/policy-rc.d')))`
    return start(['-e', script], path)
  }

  test('a redis server on the PATH is enough, valkey too', async () => {
    program('valkey-server', 'exit 0')
    expect((await askRedis(bin).ended).stdout).toBe('null\n')
  })

  test('without one, and without a way to install it, one line says what to do', async () => {
    program('apt-get', 'exit 100')
    program('update-rc.d', 'exit 0')
    // The shell that runs these programs is all there is.
    symlinkSync('/bin/sh', join(bin, 'sh'))
    const { stdout } = await askRedis(bin).ended
    expect(stdout).toMatch(/^no redis-server or valkey-server here: .*apt-get.*brew.*dnf.*REDIS_URL\n$/)
  })

  test.runIf(process.getuid?.() === 0 && existsSync('/etc/debian_version'))(
    'root on Debian gets one installed, without its service',
    async () => {
      program(
        'apt-get',
        `echo "$*" >> '${dir}/apt.calls'; [ "$1" = update ] || { echo '#!/bin/sh' > '${bin}/redis-server'; /bin/chmod 755 '${bin}/redis-server'; ls '${dir}/policy-rc.d' >> '${dir}/apt.calls'; }`,
      )
      program('update-rc.d', `echo "update-rc.d $*" >> '${dir}/apt.calls'`)
      symlinkSync('/bin/ls', join(bin, 'ls'))
      const { stdout } = await askRedis(bin).ended
      expect(stdout).toBe('null\n')
      expect(readFileSync(join(dir, 'apt.calls'), 'utf8').trim().split('\n')).toEqual([
        'update -qq',
        'install -y -qq --no-install-recommends redis-server',
        `${dir}/policy-rc.d`,
        'update-rc.d redis-server disable',
      ])
      expect(existsSync(join(dir, 'policy-rc.d'))).toBe(false)
    },
  )

  test('an old Node is told in one line', async () => {
    const script = `import('${dir}/scripts/bootstrap/node-version.mjs').then((m) => {
      for (const v of ['18.20.0', '20.18.9', '20.19.0', '22.0.0']) console.log(m.nodeTooOld(v))
    })`
    const lines = (await start(['-e', script]).ended).stdout.trim().split('\n')
    expect(lines.slice(2)).toEqual(['null', 'null'])
    expect(lines[0]).toMatch(/needs Node 20.19 or newer, this is 18.20.0/)
    expect(lines[1]).toMatch(/this is 20.18.9/)
  })
})

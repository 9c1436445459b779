import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Runs `work` while no other process holds the same lock file, and answers what it answers. A lock whose owner is gone
 * is taken over. Throws when the owner still runs after `waitMsMax`.
 */
export async function withLock(file, { waitMsMax, onWait }, work) {
  mkdirSync(dirname(file), { recursive: true })
  const deadline = Date.now() + waitMsMax
  let told = false
  while (!take(file)) {
    const owner = ownerOf(file)
    if (owner !== null && !isAlive(owner)) {
      removeStale(file, owner)
      continue
    }
    if (Date.now() > deadline)
      throw new Error(`process ${owner} holds ${file} for too long: end it, or remove the file`)
    if (!told) onWait(owner)
    told = true
    await sleep(100)
  }
  const release = () => {
    if (ownerOf(file) === process.pid) rmSync(file, { force: true })
  }
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

function take(file) {
  // Written aside and linked: nobody ever sees a lock without its owner.
  const own = `${file}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(own, { force: true })
  }
}

function ownerOf(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || null
  } catch {
    return null
  }
}

function removeStale(file, owner) {
  const aside = `${file}.${process.pid}.stale`
  try {
    renameSync(file, aside)
    // Somebody was faster and this is the new owner's lock: put it back.
    if (ownerOf(aside) !== owner) linkSync(aside, file)
  } catch {
    // Gone or back already: the next look tells.
  }
  rmSync(aside, { force: true })
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

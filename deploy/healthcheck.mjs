/** Exit code 0 when the address answers 2xx within three seconds: the image has no curl. */
const [url] = process.argv.slice(2)
try {
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(3_000) })
  if (!ok) console.error(`${url} answers ${status}`)
  process.exit(ok ? 0 : 1)
} catch (error) {
  console.error(`${url}: ${error.message}`)
  process.exit(1)
}

const pattern = /^(rediss?)\+cluster:\/\/(?:([^@/]*)@)?([^@/?#]+)\/?$/

/**
 * Whether this URL names a cluster (`redis+cluster://`, or `rediss+cluster://` with TLS). Does not check the rest of
 * it.
 */
export function namesCluster(url: string): boolean {
  return /^rediss?\+cluster:/.test(url)
}

/**
 * Splits `redis+cluster://user:password@host:port,host:port` into one URL per first node; the client finds the others
 * through them. All nodes take the same credentials. Null for another form: a cluster has no numbered databases.
 */
export function clusterSeeds(url: string): readonly string[] | null {
  const [, scheme, credentials, hosts] = pattern.exec(url) ?? []
  if (scheme === undefined || hosts === undefined) return null
  const seeds = hosts
    .split(',')
    .map((host) => `${scheme}://${credentials === undefined ? '' : `${credentials}@`}${host}`)
  return seeds.every((seed) => URL.canParse(seed) && new URL(seed).hostname !== '') ? seeds : null
}

/** The seed's URL with another host and port: a found node takes the credentials of the seed. */
export function nodeUrl(seed: string, address: string): string {
  const url = new URL(seed)
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  url.hostname = host.includes(':') ? `[${host}]` : host
  url.port = address.slice(at + 1)
  return url.href
}

/** `host:port` of a URL, as the cluster itself writes addresses. */
export function addressOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname.replace(/^\[|\]$/g, '')}:${port === '' ? '6379' : port}`
}

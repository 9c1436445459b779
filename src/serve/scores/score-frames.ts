/** How a stream of scores is spelled. Every frame is complete text; `id` is where a client may go on. */
export interface FrameFormat {
  readonly contentType: string
  opening(retryMs: number): string
  score(id: string, json: string): string
  /** What the client has seen and what follows do not join; it goes on from `id`. */
  gap(id: string, gap: Gap): string
  /** The client was too slow and is cut off; it may come back with its last id. */
  overflow(behind: number): string
  /** Also moves the client's id past what its filter left out. */
  heartbeat(id: string): string
}

export interface Gap {
  /** By partition: scores before it are no longer held. A client that needs them asks the lake. */
  readonly first: ReadonlyMap<number, number>
  /**
   * By partition: the end of a log that ends before the place that the client named, null where there is no such partition.
   * The topic was created anew or has lost its tail: nothing that is known by these offsets is what it was.
   */
  readonly beyond: ReadonlyMap<number, number | null>
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const serverSentEvents: FrameFormat = {
  contentType: 'text/event-stream',
  opening: (retryMs) => `retry: ${retryMs}\n\n`,
  score: (id, json) => `event: score\nid: ${id}\ndata: ${json}\n\n`,
  gap: (id, gap) => `event: gap\nid: ${id}\ndata: ${JSON.stringify(gapData(gap))}\n\n`,
  overflow: (behind) => `event: overflow\ndata: ${JSON.stringify({ behind })}\n\n`,
  // An event without data is not dispatched, but its id counts.
  heartbeat: (id) => (id === '' ? ': heartbeat\n\n' : `: heartbeat\nid: ${id}\n\n`),
}

/** One JSON object per line: `{event, id, data}`. */
export const newlineDelimitedJson: FrameFormat = {
  contentType: 'application/x-ndjson',
  opening: () => '',
  score: (id, json) => `{"event":"score","id":${JSON.stringify(id)},"data":${json}}\n`,
  gap: (id, gap) => `${JSON.stringify({ event: 'gap', id, data: gapData(gap) })}\n`,
  overflow: (behind) => `${JSON.stringify({ event: 'overflow', data: { behind } })}\n`,
  heartbeat: (id) => `${JSON.stringify({ event: 'heartbeat', id })}\n`,
}

function gapData({ first, beyond }: Gap) {
  return {
    firstOffsets: Object.fromEntries(first),
    ...(beyond.size === 0 ? {} : { beyondEnd: Object.fromEntries(beyond) }),
  }
}

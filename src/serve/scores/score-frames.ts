/** The format of a stream of scores. Every frame is complete text; a client may resume from its `id`. */
export interface FrameFormat {
  readonly contentType: string
  opening(retryMs: number): string
  score(id: string, json: string): string
  /** Scores are missing between those that the client has seen and the next ones; it goes on from `id`. */
  gap(id: string, gap: Gap): string
  /** The client was too slow and is cut off; it may come back with its last id. */
  overflow(behind: number): string
  /** Also moves the client's id past the scores that its filter left out. */
  heartbeat(id: string): string
}

export interface Gap {
  /** By partition: the hub no longer holds scores before this offset. A client that needs them asks the lake. */
  readonly first: ReadonlyMap<number, number>
  /**
   * By partition: the end of a log that ends before the client's place, null for a partition that does not exist. The
   * topic was created anew or has lost its tail: these offsets now name other scores.
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
  // Clients do not dispatch an event without data, but take its id.
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

/** How a stream of scores is spelled. Every frame is complete text; `id` is where a client may go on. */
export interface FrameFormat {
  readonly contentType: string
  opening(retryMs: number): string
  score(id: string, json: string): string
  /** Scores before `first` (by partition) are no longer held: a client that needs them asks the lake. */
  gap(first: ReadonlyMap<number, number>): string
  /** The client was too slow and is cut off; it may come back with its last id. */
  overflow(behind: number): string
  /** Also moves the client's id past what its filter left out. */
  heartbeat(id: string): string
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const serverSentEvents: FrameFormat = {
  contentType: 'text/event-stream',
  opening: (retryMs) => `retry: ${retryMs}\n\n`,
  score: (id, json) => `event: score\nid: ${id}\ndata: ${json}\n\n`,
  gap: (first) => `event: gap\ndata: ${JSON.stringify(gapData(first))}\n\n`,
  overflow: (behind) => `event: overflow\ndata: ${JSON.stringify({ behind })}\n\n`,
  // An event without data is not dispatched, but its id counts.
  heartbeat: (id) => (id === '' ? ': heartbeat\n\n' : `: heartbeat\nid: ${id}\n\n`),
}

/** One JSON object per line: `{event, id, data}`. */
export const newlineDelimitedJson: FrameFormat = {
  contentType: 'application/x-ndjson',
  opening: () => '',
  score: (id, json) => `{"event":"score","id":${JSON.stringify(id)},"data":${json}}\n`,
  gap: (first) => `${JSON.stringify({ event: 'gap', data: gapData(first) })}\n`,
  overflow: (behind) => `${JSON.stringify({ event: 'overflow', data: { behind } })}\n`,
  heartbeat: (id) => `${JSON.stringify({ event: 'heartbeat', id })}\n`,
}

function gapData(first: ReadonlyMap<number, number>) {
  return { firstOffsets: Object.fromEntries(first) }
}

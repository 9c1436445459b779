/** A subscription to the scores over server-sent events. */
export interface ScoreStream {
  /** Payments whose scores have arrived. */
  readonly paymentIds: readonly string[]
  close(): Promise<void>
}

export async function openScoreStream(url: string): Promise<ScoreStream> {
  const abort = new AbortController()
  const headers = { accept: 'text/event-stream' }
  const response = await fetch(`${url}/v1/score-stream`, { headers, signal: abort.signal })
  const paymentIds: string[] = []
  const reading = (async () => {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true })
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1]
        if (/^event: score$/m.test(event) && data !== undefined) paymentIds.push(paymentIdOf(data))
      }
    }
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error
  })
  return {
    paymentIds,
    async close() {
      abort.abort()
      await reading
    },
  }
}

function paymentIdOf(json: string): string {
  return (JSON.parse(json) as { data: { paymentId: string } }).data.paymentId
}

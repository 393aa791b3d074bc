/** A stream of server-sent events, read by hand: its events are named by their kinds, which nobody can list beforehand. */
import { authorization, type WorldEvent } from '../api.ts'

/** Calls back with events as they come, in batches, until aborted; connects again when the line breaks, unless once is enough. */
export async function follow(
  url: string,
  after: number,
  signal: AbortSignal,
  receive: (events: readonly WorldEvent[]) => void,
  connected: (yes: boolean) => void,
  how: 'for ever' | 'once' = 'for ever',
): Promise<void> {
  let last = after
  while (!signal.aborted) {
    try {
      const response = await fetch(`${url}?after=${last}`, {
        headers: { accept: 'text/event-stream', ...authorization() },
        signal,
      })
      if (!response.ok || response.body === null) return
      connected(true)
      for await (const batch of batches(response.body)) {
        last = batch.at(-1)?.sequence ?? last
        receive(batch)
      }
    } catch {
      if (signal.aborted) return
    }
    connected(false)
    if (how === 'once') return
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
}

async function* batches(body: ReadableStream<Uint8Array>): AsyncGenerator<readonly WorldEvent[]> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as never)
    .getReader() as ReadableStreamDefaultReader<string>
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop()!
    const events = blocks.flatMap(eventOf)
    if (events.length > 0) yield events
  }
}

function eventOf(block: string): readonly WorldEvent[] {
  if (/^event: (?:gap|end)$/m.test(block)) return []
  const data = /^data: (.*)$/m.exec(block)?.[1]
  return data === undefined ? [] : [JSON.parse(data) as WorldEvent]
}

/** The process as a user starts it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

const LAUNCHER = fileURLToPath(new URL('../../bin/northbridge.js', import.meta.url))
const children: ChildProcessWithoutNullStreams[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function northbridge(...args: string[]) {
  const child = spawn(process.execPath, [LAUNCHER, ...args])
  children.push(child)
  const output = { out: '', err: '' }
  child.stdout.on('data', text => (output.out += text))
  child.stderr.on('data', text => (output.err += text))
  return { child, output }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

describe('northbridge serve', () => {
  it('takes a free port, prints its address first, answers, and ends in order when asked to', async () => {
    const { child, output } = northbridge('serve', '--port', '0', '--example')
    await until(() => output.out.includes('try'))
    const [url] = /https?:\/\/[^\s"]+/.exec(output.out)!
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
    const { items } = (await (await fetch(`${url}/v1/platforms`)).json()) as {
      items: { id: string; power: string }[]
    }
    expect(items).toMatchObject([{ id: 'example', power: 'on' }])
    expect(output.out).toContain(`${url}/docs`)
    expect((await fetch(`${url}/docs`)).status).toBe(200)
    // The commands to try work as printed.
    for (const [, path] of output.out.matchAll(/^ {2}curl (\S+)$/gm))
      expect((await fetch(path!)).status).toBe(200)
    const stream = await fetch(`${url}/v1/platforms/example/events`)
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(await stream.text()).toContain('event: end')
    expect(output.err).toBe('')
  })
})

describe('northbridge serve on a port that is taken', () => {
  it('says which, and how to take another, with the exit status of a wrong argument', async () => {
    const first = northbridge('serve', '--port', '0')
    await until(() => first.output.out.includes('http'))
    const port = /:(\d+)/.exec(first.output.out)![1]!
    const { child, output } = northbridge('serve', '--port', port)
    expect(await once(child, 'close')).toEqual([2, null])
    expect(output.err).toContain(`port ${port} of 127.0.0.1 is in use; port 0 takes a free one`)
    expect(output.out).toBe('')
  })
})

describe('northbridge', () => {
  it('hands its exit status to the shell', async () => {
    const { child, output } = northbridge('groups', '/does/not/exist')
    expect(await once(child, 'close')).toEqual([3, null])
    expect(output.err).toMatch(/^northbridge: /)
  })
})

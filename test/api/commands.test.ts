import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { CommandRunner } from '../../src/api/commands.ts'
import type { Software } from '../../src/engine/index.ts'
import { testServer } from './server.ts'

/** Longer than a slice, in milliseconds. */
const A_SLICE = 6

/** Software that needs more than `slices` slices, however fast or slow the machine is: each step outlasts one. */
function* busy(slices: number, log?: string[], name = ''): Software<string> {
  log?.push(`${name} begins`)
  for (let slice = 0; slice < slices; slice++) {
    for (const end = performance.now() + A_SLICE; performance.now() < end; );
    yield undefined
  }
  log?.push(`${name} ends`)
  return name
}

describe('commands', () => {
  it('on one platform run one after the other, in the order they came', async () => {
    const runner = new CommandRunner()
    const log: string[] = []
    const names = ['a', 'b', 'c']
    const results = await Promise.all(names.map(name => runner.run('team', ['p'], () => busy(2, log, name))))
    expect(results).toEqual(names)
    expect(log).toEqual(names.flatMap(name => [`${name} begins`, `${name} ends`]))
  })

  it('on different platforms take turns', async () => {
    const runner = new CommandRunner()
    const log: string[] = []
    await Promise.all(['a', 'b'].map(name => runner.run('team', [name], () => busy(5, log, name))))
    expect(log.slice(0, 2)).toEqual(['a begins', 'b begins'])
  })

  it('that fail do not stop those behind them', async () => {
    const runner = new CommandRunner()
    const failing = runner.run('team', ['p'], function* (): Software<void> {
      yield undefined
      throw new Error('no')
    })
    const next = runner.run('team', ['p'], () => busy(1, undefined, 'next'))
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('next')
  })

  it('let the event loop turn between their slices, however many run', async () => {
    const runner = new CommandRunner()
    let working = true
    const work = Promise.all(
      Array.from({ length: 20 }, (_, i) => runner.run('team', [String(i)], () => busy(3))),
    )
    const ended = work.then(() => {
      working = false
    })
    let turns = 0
    while (working) {
      await new Promise(resolve => setImmediate(resolve))
      turns++
    }
    await ended
    expect(turns).toBeGreaterThanOrEqual(20 * 2)
  })
})

describe('/healthz', () => {
  it('is answered again and again before large platforms are built', async () => {
    const server = await testServer()
    await server.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = server.app.server.address() as AddressInfo
    const build = (name: string) => server.request('POST', '/v1/platforms', { topology: 'dense-8-nic', name })
    let building = true
    const builds = Promise.all(['a', 'b', 'c', 'd'].map(build)).then(answers => {
      building = false
      return answers
    })
    let answers = 0
    while (building) {
      expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
      if (building) answers++
    }
    expect((await builds).map(answer => answer.status)).toEqual([201, 201, 201, 201])
    // How long an answer takes is measured in bench/health.ts: timings decide no test.
    expect(answers).toBeGreaterThan(10)
    await server.app.close()
  })
})

import { describe, expect, it } from 'vitest'
import { RequestRate } from '../../src/api/request-rate.ts'
import { teams } from './teams.ts'

describe('a rate of requests', () => {
  it('lets as many come at once as two seconds allow, and then one whenever its time has come', () => {
    const rate = new RequestRate(10)
    const first = Array.from({ length: 21 }, () => rate.take(1000))
    expect(first.filter(wait => wait === 0)).toHaveLength(20)
    expect(first.at(-1)).toBeCloseTo(0.1)
    expect(rate.take(1050)).toBeGreaterThan(0)
    expect(rate.take(1101)).toBe(0)
    expect(rate.take(1102)).toBeGreaterThan(0)
    // A long silence is not saved up.
    expect(Array.from({ length: 30 }, () => rate.take(1e9)).filter(wait => wait === 0)).toHaveLength(20)
  })

  it('is that of a namespace: who is over it is told when to come again, others are not touched', async () => {
    const world = await teams({ requestMiB: 16, each: {}, namespaces: { red: { requestsPerSecond: 1 } } })
    const red = await world.member('viewer', 'red')
    const alsoRed = await world.member('operator', 'red')
    const blue = await world.member('viewer', 'blue')
    await red('GET', '/v1/platforms')
    await alsoRed('GET', '/v1/platforms')
    const refused = await red('GET', '/v1/platforms')
    expect(refused).toMatchObject({
      status: 429,
      body: { code: 'limitExceeded', limit: 'requestsPerSecond' },
    })
    expect(Number(refused.headers['retry-after'])).toBe(1)
    expect((await blue('GET', '/v1/platforms')).status).toBe(200)
    await world.close()
  })
})

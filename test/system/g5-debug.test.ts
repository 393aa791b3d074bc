import fc from 'fast-check'
import { it } from 'vitest'
import { type Command, KINDS, RandomWorld, TOPOLOGIES } from './random-world.ts'
const number = fc.integer({ min: 0, max: 1000 })
const command = fc.record<Command>({ kind: fc.constantFrom(...KINDS), a: number, b: number, c: number })
it('x', () => {
  for (const i of (process.env['TOPO'] ?? '3,8').split(',').map(Number)) {
    const document = TOPOLOGIES[i]!()
    for (let seed = 1; seed < Number(process.env['SEEDS'] ?? 12); seed++) {
    const world = RandomWorld.create(document)
    const commands = fc.sample(command, { seed: seed * 100 + i, numRuns: 60 })
    const history: string[] = []
    for (const c of commands) {
      const o = world.do(c)
      history.push(`${o.command} ${JSON.stringify(o.result).slice(0, 160)}`)
      try { const s = world.platform.save(); world.platform.load(s); if (process.env['FORK']) RandomWorld.restore(document, s) } catch (e) {
        console.log(`topology ${i} seed ${seed} after ${history.length}: ${(e as Error).stack?.split('\n').slice(0, 9).join('\n')}\n${history.slice(-12).join('\n')}\n${history.filter(h => /(openDisk|addNetwork|createSwitch|bind).*(?!.*code)/.test(h) && !h.includes('"code"')).join('\n')}`)
        break
      }
      if (!world.platform.powered) world.run(world.platform.power('on'))
    }
    }
  }
})

import fc from 'fast-check'
import { it } from 'vitest'
import { NetworkWorld, outcome } from './network-world.ts'
import { everyModel, step } from './restore.test.ts'

function differences(a: any, b: any, path: string, out: string[]): void {
  if (out.length > 40) return
  if (a === b) return
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    out.push(`${path}: ${String(a).slice(0, 80)} / ${String(b).slice(0, 80)}`)
    return
  }
  if (ArrayBuffer.isView(a)) {
    if (
      Buffer.compare(
        Buffer.from((a as any).buffer, a.byteOffset, a.byteLength),
        Buffer.from(b.buffer, b.byteOffset, b.byteLength),
      ) !== 0
    ) {
      const i = [...(a as any)].findIndex((v, j) => v !== b[j])
      out.push(`${path}[${i}]: ${(a as any)[i]} / ${b[i]}`)
    }
    return
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    differences(a[key], b[key], `${path}/${key}`, out)
}
it('tells', () => {
  const world = everyModel()
  const begin = world.platform.save()
  let n = 0
  const runs = fc.sample(
    fc.tuple(
      fc.array(step, { minLength: 4, maxLength: 20, size: 'max' }),
      fc.array(step, { minLength: 2, maxLength: 10, size: 'max' }),
    ),
    { seed: Number(process.env['SEED']), numRuns: Number(process.env['RUNS']) },
  )
  for (const [past, future] of runs) {
    const at = n++
    world.platform.load(begin)
    for (const one of past) outcome(world, one)
    const saved = world.platform.save()
    const hash = world.platform.stateHash()
    const same = (w: NetworkWorld, name: string) => {
      if (w.platform.stateHash() !== hash) console.log(at, name, 'hash differs')
    }
    const results: any[] = []
    const walk = (w: NetworkWorld) => {
      const outcomes: unknown[] = [],
        states: any[] = []
      for (const one of future) {
        outcomes.push(outcome(w, one))
        states.push((w.platform.save() as any).state)
      }
      results.push({ outcomes, states })
    }
    walk(world)
    const fork = NetworkWorld.restore(saved)
    same(fork, 'fork')
    walk(fork)
    world.platform.load(saved)
    same(world, 'load')
    walk(world)
    for (const [j, name] of [
      [1, 'fork'],
      [2, 'load'],
    ] as const) {
      for (let k = 0; k < future.length; k++) {
        const out: string[] = []
        differences(
          { o: results[0].outcomes[k], s: { ...results[0].states[k], trace: 0 } },
          { o: results[j].outcomes[k], s: { ...results[j].states[k], trace: 0 } },
          '',
          out,
        )
        if (out.length) {
          console.log(
            `RUN ${at} ${name} step ${k}: ${future[k]![0]}\n past: ${past.map(p => p[0]).join('; ')}\n future: ${future.map(p => p[0]).join('; ')}\n${out.join('\n')}`,
          )
          return
        }
      }
    }
  }
}, 500000)

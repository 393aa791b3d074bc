/**
 * Snapshots, forks and moves of virtual machines: how many in a second of a small machine, and how long for each GiB of
 * memory that is in use (pages that are not all zeros).
 */
import { drive, within } from '../src/engine/index.ts'
import { execute, installation } from '../src/operations/index.ts'
import {
  captureVm,
  cloneVm,
  LiveMigration,
  MIGRATION_DEFAULTS,
  placeVm,
  SimulatedPlatform,
  TwoPlatforms,
} from '../src/system/index.ts'

const context = installation()
const call = (id: Parameters<typeof execute>[1], input: object): unknown =>
  drive(execute(context, id, input as never), () => false)
const platform = (id: string): SimulatedPlatform => context.platforms.get(id).running

call('createPlatform', { topology: 'one-socket-82576', name: 'a' })
call('createPlatform', { topology: 'hot-plug', name: 'b' })
const a = platform('a')
const b = platform('b')
const { topology } = context.topologies.get('one-socket-82576')

/** Milliseconds of the quickest of some times. */
function quickest(times: number, work: () => void, after: () => void = () => {}): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < times; i++) {
    const start = process.hrtime.bigint()
    work()
    least = Math.min(least, Number(process.hrtime.bigint() - start) / 1e6)
    after()
  }
  return least
}

const on = <Result>(where: SimulatedPlatform, work: Parameters<typeof within<Result>>[1]): Result =>
  drive(within(where.engine, work), () => false)

function measure(memoryMiB: number, usedMiB: number, times: number): void {
  call('createVm', { platform: 'a', name: 'vm', vcpus: 2, memoryMiB })
  const block = new Uint8Array(2 ** 20).fill(0xa5)
  for (let i = 1; i <= usedMiB; i++) a.hypervisor.writeGuest('vm', i * 2 ** 20, block)
  let document = on(a, captureVm(a, 'vm'))
  const rows: Record<string, number> = {
    'snapshot of the machine': quickest(times, () => {
      document = on(a, captureVm(a, 'vm'))
    }),
    'back to the snapshot': quickest(times, () => {
      on(a, a.hypervisor.deleteVm('vm'))
      on(a, placeVm(a, document))
      on(a, a.hypervisor.moves.resume('vm'))
    }),
    'clone of the machine': quickest(
      times,
      () => on(a, cloneVm(a, document, { name: 'twin' })),
      () => on(a, a.hypervisor.deleteVm('twin')),
    ),
    'snapshot of the platform': quickest(times, () => void a.save()),
    'fork of the platform': quickest(times, () => {
      drive(SimulatedPlatform.restore(topology, { id: 'f', name: 'f' }, a.save()), () => false)
    }),
  }
  let [from, to] = [a, b]
  rows['live migration'] = quickest(
    times,
    () =>
      void drive(new LiveMigration(new TwoPlatforms(from, to), 'vm', MIGRATION_DEFAULTS).run(), () => false),
    () => ([from, to] = [to, from]),
  )
  on(from, from.hypervisor.deleteVm('vm'))
  for (const [name, milliseconds] of Object.entries(rows)) {
    const each = `${milliseconds.toFixed(1).padStart(9)} ms ${(1000 / milliseconds).toFixed(1).padStart(8)} /s`
    const perGiB =
      usedMiB === 0 ? '' : `${((milliseconds * 1024) / usedMiB / 1000).toFixed(2).padStart(8)} s/GiB`
    console.log(`${name.padEnd(26)}${each}${perGiB}`)
  }
}

console.log('A machine of 4 MiB, almost all of it zeros')
measure(4, 0, 5)
console.log('\nA machine of 128 MiB, 32 MiB of it in use')
measure(128, 32, 2)

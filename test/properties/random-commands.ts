/** What users, and the world around the machine, do to a platform: right and wrong, of every kind. */
import { type AssignmentWorld, pick } from './assignment-world.ts'

export interface Step {
  readonly kind: string
  readonly a: number
  readonly b: number
  readonly c: number
}

/** Does one thing with the platform; three numbers say what exactly. */
export function takeStep(world: AssignmentWorld, { kind, a, b, c }: Step): void {
  if (!world.platform.responds) {
    world.command('power', { action: 'reset' })
    world.wild = false
    return
  }
  const { functions, vms } = world
  const fn = pick(functions, a)!.address
  const vm = pick(vms, b) ?? 'vm0'
  switch (kind) {
    case 'createVm': {
      const name = `vm${a % 4}`
      const known = vms.includes(name)
      world.command('createVm', {
        name,
        vcpus: 1,
        memoryMiB: 2,
        ...(b % 3 === 0 ? { interrupts: 'posted' as const } : {}),
      })
      if (!known && world.platform.responds && world.vms.includes(name)) world.mark(name)
      return
    }
    case 'deleteVm':
      world.command('deleteVm', { vm: c % 4 === 0 ? `vm${a % 4}` : vm })
      return
    case 'attach': {
      // Endpoints more often than bridges.
      const endpoints = functions.filter(({ bars, owner }) => bars.length > 0 && owner.kind !== 'vm')
      const wanted = c % 4 === 0 ? fn : (pick(endpoints, a)?.address ?? fn)
      world.command('attach', { vm, function: wanted })
      return
    }
    case 'detach': {
      const held = functions.filter(({ owner }) => owner.kind === 'vm')
      const one = pick(held, a)
      const holder = one?.owner.kind === 'vm' ? one.owner.name : vm
      world.command('detach', { vm: c % 4 === 0 ? vm : holder, function: one?.address ?? fn })
      return
    }
    case 'setNumVfs': {
      const pfs = functions.filter(({ kind: what }) => what === 'PF')
      const wanted = c % 8 === 0 ? fn : (pick(pfs, a)?.address ?? fn)
      world.command('setNumVfs', { function: wanted, numVfs: [0, 1, 2, 3, 0, 500][b % 6]! })
      return
    }
    case 'reset':
      world.command('resetFunction', { function: fn })
      return
    case 'card': {
      const ports = functions.filter(({ kind: what }) => what === 'rootPort' || what === 'downstreamPort')
      const port = (c % 5 === 0 ? undefined : pick(ports, a)?.address) ?? fn
      const what = (['pullCard', 'insertCard', 'pressButton'] as const)[b % 3]!
      world.command(what, { function: port })
      return
    }
    case 'link': {
      const ports = functions.filter(({ kind: what }) => what === 'rootPort' || what === 'downstreamPort')
      const port = (c % 5 === 0 ? undefined : pick(ports, a)?.address) ?? fn
      world.command('setLink', { function: port, state: b % 3 === 0 ? 'broken' : 'whole' })
      return
    }
    case 'buffer': {
      if (b % 3 === 0) {
        world.command('flushBuffers', {})
        return
      }
      const owned = pick(
        functions.filter(({ owner }) => owner.kind === 'driver'),
        a,
      )?.address
      const whose = (c % 5 === 0 ? undefined : owned) ?? fn
      if (b % 3 === 1) {
        world.command('allocateBuffer', { function: whose, pages: 1 + (c % 3) })
        return
      }
      const [buffer] = world.platform.host.buffers(whose)
      const address = `0x${(buffer?.address ?? 0x1000).toString(16)}`
      world.command('freeBuffer', { function: whose, address })
      return
    }
    case 'policy': {
      const names = [...new Set([vm, `vm${c % 4}`])]
      const requests = names.map((name, i) => ({
        vm: name,
        needs: [{ resource: pick(functions, a + i * b)!.address, count: 1 }],
      }))
      const known = new Set(vms)
      world.command('applyPolicy', {
        platforms: ['p'],
        policy: { system: 'linux-vfio', files: [] },
        requests,
        create: { vcpus: 1, memoryMiB: 2 },
      } as never)
      if (world.platform.responds) for (const name of world.vms) if (!known.has(name)) world.mark(name)
      return
    }
    case 'power':
      if (c % 2 === 0) world.command('power', { action: 'reset' })
      else {
        world.command('power', { action: 'off' })
        world.command('attach', { vm, function: fn })
        world.command('power', { action: 'on' })
      }
      world.wild = false
      return
    case 'time':
      world.command('passTime', { nanoseconds: (a % 100) * 10_000_000 })
      return
    default:
      injectSome(world, a, b, c, fn)
  }
}

function injectSome(world: AssignmentWorld, a: number, b: number, c: number, fn: string): void {
  const { functions } = world
  const unit = pick(world.platform.hardware.units, b)!.id
  const ports = functions.filter(({ kind }) => kind === 'rootPort' || kind === 'downstreamPort')
  const port = pick(ports, b)?.address ?? fn
  const faults: readonly object[] = [
    { kind: 'stuckDma', function: fn, timesOut: b % 2 === 0, times: 1 + (b % 3) },
    { kind: 'poisonedCompletion', function: fn, times: 1 + (b % 2) },
    { kind: 'failedReset', function: fn, answers: b % 2 === 0 ? 'retry' : 'nothing' },
    { kind: 'failedReset', function: fn, durationNs: 5_000_000, answers: 'retry' },
    { kind: 'interruptStorm', function: fn, vector: b % 3, messages: 1 + (b % 40), intervalNs: 1000 },
    { kind: 'lateCompletion', unit, delayNs: 1 + (b % 100_000), times: 1 + (b % 4) },
    { kind: 'silentDeviceTlb', function: fn },
    { kind: 'linkDown', function: port, durationNs: 1 + (b % 10) * 1_000_000 },
    { kind: 'surpriseRemoval', function: port },
    { kind: 'detectedError', function: fn, error: b % 2 === 0 ? 'malformedTlp' : 'completionTimeout' },
    // These narrow what a function reaches.
    { kind: 'tableBit', function: fn, table: 'context', bit: 0, change: 'clear' },
    { kind: 'tableBit', function: fn, table: 'secondStage', address: '0x0', bit: b % 2, change: 'clear' },
    { kind: 'interruptEntryBit', function: fn, vector: 0, bit: 0, change: 'clear' },
    // This may do anything.
    { kind: 'randomTableBit', function: fn, seed: b },
    { kind: 'lostCompletion', unit },
  ]
  const fault = faults[c % faults.length] as { kind: string }
  if (fault.kind === 'randomTableBit') world.wild = true
  world.tally.faults++
  if (a % 4 === 0) world.command('faultPlan', { plan: { faults: [{ at: b % 1_000_000, fault }] } } as never)
  else world.command('injectFault', { fault } as never)
  if (c % 7 === 0) world.command('clearFaults', {})
}

/** Faults, each seen where it would be seen on a machine: in registers, completions, messages and what the kernel says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Saved } from '../../src/core/index.ts'
import type { Software } from '../../src/engine/index.ts'
import { EVER, STATUS, TARGET } from '../../src/pcie/index.ts'
import { parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import {
  type FaultRecord,
  parseFault,
  parseFaultPlan,
  planFromSeed,
  SimulatedPlatform,
  targetsAmong,
} from '../../src/system/index.ts'

const shipped = (name: string): TopologyDocument =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../topologies/${name}.json`), 'utf8'))

const NIC = '0000:01:00.0'
const PORT = '0000:00:01.0'
const MS = 1_000_000
const SECOND = 1_000_000_000

class World {
  readonly platform: SimulatedPlatform
  readonly told: string[] = []
  readonly #pristine: Saved

  constructor(machine: TopologyDocument = shipped('one-socket-82576')) {
    this.platform = this.run(SimulatedPlatform.create(parseTopology(machine), { id: 'p', name: 'p' }))
    this.#pristine = this.platform.hardware.units[0]!.save()
    this.platform.engine.trace.follow(({ message }) => {
      this.told.push(message)
    })
  }

  run<Result>(software: Software<Result>): Result {
    for (;;) {
      const step = software.next()
      if (step.done) return step.value
      while (step.value !== undefined && !step.value()) expect(this.platform.engine.advance()).toBe(true)
    }
  }

  inject(fault: unknown): FaultRecord {
    return this.run(this.platform.inject(parseFault(fault)))
  }

  plan(plan: unknown): readonly FaultRecord[] {
    const parsed = parseFaultPlan(plan)
    const addresses = this.platform.host.functions().map(({ address }) => address)
    const faults =
      'faults' in parsed
        ? parsed.faults
        : planFromSeed(parsed, targetsAmong(this.platform.hardware, addresses))
    return this.platform.faults.plan(faults)
  }

  elapse(nanoseconds: number): void {
    this.run(this.platform.elapse(nanoseconds))
  }

  /** A buffer of a driver, and what a read of its first bytes comes to. */
  buffer(address = NIC): number {
    const access = { read: true, write: true }
    return this.run(this.platform.host.allocateBuffer(address, 1, access)).address
  }

  read(ioAddress: number, address = NIC) {
    const data = new Uint8Array(8).fill(0xee)
    const { parts } = this.run(this.platform.dma(address, false, ioAddress / 4096, 0, data))
    return { status: parts[0]!.status, data }
  }

  /** As after global invalidations. */
  emptyCaches(): void {
    const [unit] = this.platform.hardware.units
    const { translations } = this.#pristine as Record<string, Saved>
    unit!.load({ ...(unit!.save() as object), translations } as Saved)
  }

  code(software: Software<unknown>): string {
    try {
      this.run(software)
    } catch (error) {
      return (error as { code?: string }).code ?? String(error)
    }
    return 'done'
  }

  told_(text: string): boolean {
    return this.told.some(line => line.includes(text))
  }

  /** "Transactions Pending" of Device Status. */
  pending(address = NIC): boolean {
    const fn = this.platform.functionAt(address)
    return (fn.readConfig(fn.layout.express + 8) & (1 << 21)) !== 0
  }
}

describe('a bit of a table that changed', () => {
  it('faults with the reason code of what it broke, once no cache knows better', () => {
    const world = new World()
    const at = world.buffer()
    expect(world.read(at).status).toBe(STATUS.successful)
    const { text } = world.inject({
      kind: 'tableBit',
      function: NIC,
      table: 'context',
      bit: 0,
      change: 'clear',
    })
    expect(text).toMatch(
      /bit 0 of the context entry at 0x[0-9a-f]+: the dword .* was 0x[0-9a-f]+1 became 0x[0-9a-f]+0/,
    )
    // A particle tells no cache.
    expect(world.read(at).status).toBe(STATUS.successful)
    world.emptyCaches()
    const data = new Uint8Array(8)
    const { parts } = world.run(world.platform.dma(NIC, false, at / 4096, 0, data))
    expect([parts[0]!.status, parts[0]!.faultReason]).toEqual([STATUS.remappingFault, 2])
  })

  it('is a leaf of an address, an entry of any level, or of the table of interrupts', () => {
    const world = new World()
    const address = `0x${world.buffer().toString(16)}`
    const texts = [
      { kind: 'tableBit', function: NIC, table: 'secondStage', address, bit: 63 },
      { kind: 'tableBit', function: NIC, table: 'secondStage', address, level: 2, bit: 1 },
      { kind: 'tableBit', function: NIC, table: 'root', bit: 12 },
      { kind: 'interruptEntryBit', function: NIC, vector: 0, bit: 0 },
    ].map(fault => world.inject(fault).text)
    expect(texts.map(text => text.replace(/ at 0x.*/, ''))).toEqual([
      'bit 63 of the secondStage entry of level 1',
      'bit 1 of the secondStage entry of level 2',
      'bit 12 of the root entry',
      'bit 0 of interrupt remapping entry 3',
    ])
  })

  it('of an interrupt remapping entry blocks the interrupt, with the reason code of the entry', () => {
    const world = new World()
    world.inject({ kind: 'interruptEntryBit', function: NIC, vector: 0, bit: 0, change: 'clear' })
    const { request } = world.run(world.platform.fire(NIC, 0))
    expect([request.status, request.faultReason]).toEqual([STATUS.remappingFault, 0x22])
  })

  it('is the same for the same seed', () => {
    const texts = [5, 5, 6].map(
      seed => new World().inject({ kind: 'randomTableBit', function: NIC, seed }).text,
    )
    expect(texts[0]).toBe(texts[1])
    expect(texts[0]).not.toBe(texts[2])
  })

  it('can be any bit of memory', () => {
    const world = new World()
    const page = world.platform.hardware.memory.pageForWrite(0x100)!
    page.words[4] = 0xff
    world.inject({ kind: 'memoryBit', physicalAddress: '0x100010', bit: 33 })
    world.inject({ kind: 'memoryBit', physicalAddress: '0x100010', bit: 0, change: 'clear' })
    world.inject({ kind: 'memoryBit', physicalAddress: '0x100010', bit: 8, change: 'set' })
    expect([...page.words.subarray(4, 6)]).toEqual([0x1fe, 2])
  })
})

describe('a wait descriptor', () => {
  it('that completes late lets the driver wait, and nothing else happens', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'lateCompletion', unit: 'dmar0', delayNs: 5000 })
    const before = world.platform.engine.now
    world.run(world.platform.host.freeBuffer(NIC, at))
    world.run(world.platform.host.flushDeferred())
    expect(world.platform.engine.now - before).toBe(5000)
    expect(world.platform.engine.pending).toBe(0)
  })

  it('that never completes stops the kernel, as a lock-up does, until the machine is reset', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'lostCompletion', unit: 'dmar0' })
    world.run(world.platform.host.freeBuffer(NIC, at))
    expect(world.code(world.platform.host.flushDeferred())).toBe('hostHalted')
    expect(world.told_('kernel panic: dmar0: no completion of an invalidation for 90 s')).toBe(true)
    expect(() => world.platform.host).toThrow('the host kernel of p has stopped')
    expect(() => world.platform.hypervisor).toThrow('has stopped')
    // Devices know nothing of that.
    const { parts } = world.run(world.platform.dma(NIC, true, at / 4096, 0, new Uint8Array(4)))
    expect(parts).toHaveLength(1)
    world.run(world.platform.power('reset'))
    expect(world.platform.host.functions()).toHaveLength(9)
  })

  it('is lost so often as was said', () => {
    const world = new World()
    const record = world.inject({ kind: 'lostCompletion', unit: 'dmar0', times: 3 })
    const [unit] = world.platform.hardware.units
    expect(world.platform.faults.remaining(record)).toBe(3)
    const unsaved = world.platform.hardware.units[0]!.save()
    unit!.waitFaults.clear()
    unit!.load(unsaved)
    expect(world.platform.faults.remaining(record)).toBe(3)
    world.platform.faults.clear()
    expect([record.state, unit!.waitFaults.lost]).toEqual(['cleared', 0])
  })
})

describe('a function that does not answer the invalidation of its device-TLB', () => {
  it('makes the unit report an Invalidation Time-out Error, after which the kernel goes on', () => {
    const world = new World({
      name: 'ats',
      iommu: {
        kind: 'intel-vtd',
        units: [{ id: 'dmar0', includeAll: true, capabilities: { DT: 1 } }],
        atsPorts: [{ allPorts: true }],
      },
      hostBridges: [
        {
          devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] }],
        },
      ],
      host: { commandLine: 'intel_iommu=on iommu.strict=1' },
    })
    const at = world.buffer()
    world.inject({ kind: 'silentDeviceTlb', function: NIC })
    const before = world.platform.engine.now
    world.run(world.platform.host.freeBuffer(NIC, at))
    expect(world.platform.engine.now - before).toBe(60 * SECOND)
    expect(world.platform.responds).toBe(true)
    expect(world.read(at).status).toBe(STATUS.remappingFault)
  })
})

describe('a link that breaks', () => {
  it('goes down, and comes up again after its time', () => {
    const world = new World()
    const { port } = world.platform.functionAt(PORT)
    world.inject({ kind: 'linkDown', function: PORT, durationNs: 5 * MS })
    expect(port!.linkUp).toBe(false)
    expect(() => world.platform.functionAt(NIC)).toThrow('there is no function')
    world.elapse(5 * MS)
    expect(port!.linkUp).toBe(true)
    expect(world.platform.functionAt(NIC).readConfig(0)).toBe(0x10c9_8086)
  })

  it('leaves a physical function whose virtual functions the kernel neither counts nor enables', () => {
    const world = new World()
    const { host } = world.platform
    world.inject({ kind: 'linkDown', function: PORT })
    // Its registers read as all ones by now.
    expect(host.find(NIC).sriov?.numVfs).toBe(0)
    expect(world.code(host.setNumVfs(NIC, 2))).toBe('sriovUnsupported')
    expect(host.find(NIC).virtualFunctions).toEqual([])
  })

  it('is no matter of functions without one', () => {
    const world = new World()
    const before = world.platform.stateHash()
    expect(world.code(world.platform.inject(parseFault({ kind: 'linkDown', function: NIC })))).toBe(
      'invalidArgument',
    )
    expect(world.platform.stateHash()).toBe(before)
  })
})

describe('a card that is pulled out in the middle of things', () => {
  it('is gone for the host too', () => {
    const world = new World(shipped('hot-plug'))
    world.inject({ kind: 'surpriseRemoval', function: PORT })
    expect(world.platform.host.functions().some(({ address }) => address === NIC)).toBe(false)
    expect(world.code(world.platform.inject(parseFault({ kind: 'surpriseRemoval', function: PORT })))).toBe(
      'topologyConflict',
    )
  })
})

describe('a read without completion', () => {
  it('is given up after the completion timeout, which is an error of its own', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'stuckDma', function: NIC, times: 1 })
    const before = world.platform.engine.now
    const { status, data } = world.read(at)
    expect([status, data[0]]).toEqual([STATUS.completionTimeout, 0xee])
    expect(world.platform.engine.now - before).toBe(50 * MS)
    expect(world.told_(`${NIC}: non-fatal error: Completion Timeout`)).toBe(true)
    expect(world.pending()).toBe(false)
    expect(world.read(at).status).toBe(STATUS.successful)
  })

  it('takes as long as Device Control 2 says', () => {
    const world = new World()
    const at = world.buffer()
    const fn = world.platform.functionAt(NIC)
    // No device of the data sheets has the ranges; one that does, and whose software chose range B.
    fn.words[(fn.layout.express + 0x28) >>> 2]! |= 0x6
    world.inject({ kind: 'stuckDma', function: NIC, times: 1 })
    const before = world.platform.engine.now
    world.read(at)
    expect(world.platform.engine.now - before).toBe(210 * MS)
  })

  it('is pending for ever where there is no timeout; a reset waits for it in vain, and ends it', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'stuckDma', function: NIC, timesOut: false })
    expect(world.read(at).status).toBe(STATUS.outstanding)
    world.elapse(SECOND)
    expect(world.pending()).toBe(true)
    const before = world.platform.engine.now
    expect(world.run(world.platform.host.reset(NIC))).toEqual({ method: 'flr' })
    expect(world.platform.engine.now - before).toBeGreaterThanOrEqual(700 * MS)
    expect(world.told_('timed out waiting for pending transactions')).toBe(true)
    expect(world.pending()).toBe(false)
    expect(world.read(at).status).toBe(STATUS.successful)
  })

  it('does not keep writes and interrupts from leaving', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'stuckDma', function: NIC })
    const { parts } = world.run(world.platform.dma(NIC, true, at / 4096, 0, Uint8Array.of(1, 2, 3, 4)))
    expect([parts[0]!.status, parts[0]!.target]).toEqual([STATUS.successful, TARGET.memory])
    expect(world.run(world.platform.fire(NIC, 0)).request.target).toBe(TARGET.interrupt)
  })

  it('that was forgotten by a reset does not time out any more', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'stuckDma', function: NIC })
    const fn = world.platform.functionAt(NIC)
    world.platform.hardware.engineOf(fn).dma(false, at / 4096, 0, new Uint8Array(4))
    expect(world.pending()).toBe(true)
    fn.functionLevelReset()
    expect(world.pending()).toBe(false)
    world.elapse(SECOND)
    expect(world.told_('Completion Timeout')).toBe(false)
  })
})

describe('a poisoned completion', () => {
  it('is dropped and reported, with the header of the completion', () => {
    const world = new World()
    const at = world.buffer()
    world.inject({ kind: 'poisonedCompletion', function: NIC })
    const { status, data } = world.read(at)
    expect([status, data[0]]).toEqual([STATUS.poisoned, 0xee])
    expect(world.told_(`${NIC}: non-fatal error: Poisoned TLP Received; first Poisoned TLP Received`)).toBe(
      true,
    )
    // CplD with EP of two dwords; eight bytes; for requester 01:00.0.
    expect(world.told_('0x4a004002 0x00000008 0x01000000')).toBe(true)
    expect(world.read(at).status).toBe(STATUS.successful)
  })

  it('of a virtual machine is told to it', () => {
    const world = new World()
    const { host, hypervisor } = world.platform
    world.run(host.setNumVfs(NIC, 1))
    const [vf] = host.find(NIC).virtualFunctions
    world.run(hypervisor.createVm({ name: 'vm', vcpus: 1, memoryMiB: 2 }))
    world.run(hypervisor.attach('vm', vf!))
    world.inject({ kind: 'poisonedCompletion', function: vf })
    expect(world.read(0, vf).status).toBe(STATUS.poisoned)
    expect(world.told_('virtual machine "vm" is told of the error')).toBe(true)
  })
})

describe('a function level reset that does not end', () => {
  it('is given up after a minute, and refused', () => {
    const world = new World(shipped('hot-plug'))
    const methods = world.platform.host.find(NIC).resetMethods
    const times = methods.length
    world.inject({ kind: 'failedReset', function: NIC, times })
    const before = world.platform.engine.now
    const code = world.code(world.platform.host.reset(NIC))
    if (methods.includes('bus')) expect(code).toBe('done')
    else expect(code).toBe('resetUnavailable')
    expect(world.platform.engine.now - before).toBeGreaterThan(60 * SECOND)
    expect(world.told_(`${NIC}: not ready after its reset; giving up`)).toBe(true)
  })

  it('reads as Request Retry Status, or as nothing at all', () => {
    const vendor = (answers: string): number => {
      const world = new World()
      world.inject({ kind: 'failedReset', function: NIC, answers })
      world.platform.functionAt(NIC).functionLevelReset()
      return world.platform.hardware.fabric.readConfig(0, 1, 0, 0) >>> 0
    }
    expect([vendor('retry'), vendor('nothing')]).toEqual([0xffff_0001, 0xffff_ffff])
  })

  it('ends after its time, and the kernel waits for it', () => {
    const world = new World()
    world.inject({ kind: 'failedReset', function: NIC, durationNs: 30 * MS })
    const before = world.platform.engine.now
    expect(world.run(world.platform.host.reset(NIC))).toEqual({ method: 'flr' })
    // 1 + 2 + 4 + 8 + 16 ms
    expect(world.platform.engine.now - before).toBe(31 * MS)
  })

  it('goes on to a bus reset where the function is alone on its bus', () => {
    const world = new World(shipped('nvme-sriov'))
    const { host } = world.platform
    world.run(host.setNumVfs(NIC, 0))
    expect(host.find(NIC).resetMethods).toEqual(['flr', 'bus'])
    world.inject({ kind: 'failedReset', function: NIC })
    expect(world.run(host.reset(NIC))).toEqual({ method: 'bus' })
    expect(world.told_(`${NIC}: not ready after its reset; giving up`)).toBe(true)
  })

  it('does not keep a virtual function from being given to a machine, as it is', () => {
    const world = new World()
    const { host, hypervisor } = world.platform
    world.run(host.setNumVfs(NIC, 1))
    const [vf] = host.find(NIC).virtualFunctions
    world.run(hypervisor.createVm({ name: 'vm', vcpus: 1, memoryMiB: 2 }))
    world.inject({ kind: 'failedReset', function: vf, durationNs: 100 * SECOND })
    world.run(hypervisor.attach('vm', vf!))
    expect(host.find(vf!).owner).toEqual({ kind: 'vm', name: 'vm' })
    expect(world.read(0, vf).status).toBe(STATUS.notIssued)
  })

  it('leaves a function that nobody can use until another kind of reset', () => {
    const world = new World()
    const { host } = world.platform
    world.inject({ kind: 'failedReset', function: NIC })
    expect(world.code(host.reset(NIC))).toBe('resetUnavailable')
    expect(world.code(host.reset(NIC))).toBe('resetUnavailable')
    world.run(world.platform.power('reset'))
    expect(world.platform.functionAt(NIC).isReady).toBe(true)
  })
})

describe('an interrupt storm', () => {
  const linesOf = (world: World, name: string) =>
    world.platform.host.interruptLines().filter(line => line.name.startsWith(name))

  it('is counted message by message at the rate it comes', () => {
    const world = new World()
    const before = world.platform.engine.now
    world.inject({ kind: 'interruptStorm', function: NIC, vector: 1, messages: 500, intervalNs: 2000 })
    expect(world.platform.engine.now - before).toBe(500 * 2000)
    expect(linesOf(world, `${NIC}/1`)).toMatchObject([{ count: 500, disabled: false }])
  })

  it('that nobody wants is switched off after a hundred thousand', () => {
    const world = new World()
    // A port driver looks whether anything happened; nothing did.
    const storm = { kind: 'interruptStorm', function: PORT, vector: 0, messages: 100_000, intervalNs: 1000 }
    world.inject(storm)
    expect(linesOf(world, PORT)).toMatchObject([{ count: 100_000, disabled: true }])
    expect(world.told_(`nobody cared about ${PORT}/0`)).toBe(true)
  })

  it('ends when its function is gone', () => {
    const world = new World()
    world.plan({
      faults: [
        {
          at: 0,
          fault: { kind: 'interruptStorm', function: NIC, vector: 0, messages: 1000, intervalNs: MS },
        },
        { at: 10 * MS, fault: { kind: 'linkDown', function: PORT } },
      ],
    })
    world.elapse(100 * MS)
    expect(world.platform.engine.pending).toBe(0)
  })
})

describe('a plan', () => {
  it('injects each fault at its time, or after the operations it waits for', () => {
    const world = new World()
    world.plan({
      faults: [
        { at: 2 * MS, fault: { kind: 'poisonedCompletion', function: NIC } },
        { at: 1 * MS, fault: { kind: 'detectedError', function: NIC, error: 'badTlp' } },
        {
          after: { operation: 'dma', with: { function: NIC }, times: 2 },
          fault: { kind: 'stuckDma', function: NIC, times: 1 },
        },
      ],
    })
    const states = () => world.platform.faults.records.map(({ state }) => state)
    world.elapse(MS)
    expect(states()).toEqual(['waiting', 'injected', 'waiting'])
    expect(world.told_(`${NIC}: correctable error: Bad TLP`)).toBe(true)
    world.elapse(MS)
    expect(states()).toEqual(['injected', 'injected', 'waiting'])
    for (const [operation, input] of [
      ['dma', { function: NIC }],
      ['dma', { function: PORT }],
      ['interrupt', { function: NIC }],
    ] as const) {
      world.run(world.platform.happened(operation, input))
    }
    expect(states()[2]).toBe('waiting')
    world.run(world.platform.happened('dma', { function: NIC, length: 4 }))
    expect(states()).toEqual(['injected', 'injected', 'injected'])
  })

  it('says of a fault that could not be made why not', () => {
    const world = new World()
    world.plan({ faults: [{ at: 5, fault: { kind: 'stuckDma', function: '0000:77:00.0' } }] })
    world.elapse(5)
    expect(world.platform.faults.records[0]).toMatchObject({
      state: 'impossible',
      text: 'there is no function 0000:77:00.0',
    })
  })

  it('from a seed is the same for the same seed, with as many faults as the rates say', () => {
    const plan = (seed: number) =>
      new World().plan({
        seed,
        durationNs: 10 * SECOND,
        rates: { randomTableBit: 2, linkDown: 0.5, stuckDma: 1.5, interruptStorm: 1, lateCompletion: 1 },
      })
    const [a, b, c] = [plan(7), plan(7), plan(8)]
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
    const count = (kind: string) => a!.filter(({ fault }) => fault.kind === kind).length
    expect(['randomTableBit', 'linkDown', 'stuckDma', 'interruptStorm', 'lateCompletion'].map(count)).toEqual(
      [20, 5, 15, 10, 10],
    )
    expect(a!.map(({ at }) => at)).toEqual(a!.map(({ at }) => at).sort((x, y) => x! - y!))
  })

  it('is forgotten when faults are cleared; what has happened stays', () => {
    const world = new World()
    world.plan({ faults: [{ at: MS, fault: { kind: 'linkDown', function: PORT } }] })
    const stuck = world.inject({ kind: 'stuckDma', function: NIC })
    expect(world.platform.faults.remaining(stuck)).toBe(EVER)
    expect(world.platform.faults.clear()).toBe(2)
    world.elapse(2 * MS)
    expect(world.platform.functionAt(PORT).port!.linkUp).toBe(true)
    expect(world.read(world.buffer()).status).toBe(STATUS.successful)
    expect(world.platform.faults.records.map(({ state }) => state)).toEqual(['cleared', 'cleared'])
  })

  it('that is wrong is refused with the name of the field', () => {
    const issues = (plan: unknown): string[] => {
      try {
        parseFaultPlan(plan)
      } catch (error) {
        return (error as { details: { issues: { path: string }[] } }).details.issues.map(({ path }) => path)
      }
      return []
    }
    expect(issues({ faults: [{ at: 1, fault: { kind: 'linkDown', function: 'x' } }] })).toEqual([
      '/faults/0/fault/function',
    ])
    expect(issues({ faults: [{ fault: { kind: 'linkDown', function: PORT } }] })).toEqual(['/faults/0'])
    expect(issues({ seed: 1, durationNs: 0, rates: { linkDown: -1 } })).toEqual([
      '/durationNs',
      '/rates/linkDown',
    ])
    expect(issues({ faults: [{ at: 1, fault: { kind: 'earthquake' } }] })).toEqual(['/faults/0/fault/kind'])
  })
})

describe('the state of a function with faults', () => {
  it('is saved and loaded with it', () => {
    const world = new World()
    const fn = world.platform.functionAt(NIC)
    world.inject({ kind: 'stuckDma', function: NIC, timesOut: false })
    world.read(world.buffer())
    world.inject({ kind: 'failedReset', function: NIC, times: 2 })
    const saved = structuredClone(fn.save())
    fn.functionLevelReset()
    expect(fn.save()).not.toEqual(saved)
    fn.load(saved)
    expect(fn.save()).toEqual(saved)
    expect(fn.faults.armed).toMatchObject({ lostReads: EVER, timesOut: false, failingResets: 2 })
  })

  it('is part of the digest of the platform, and so is what waits', () => {
    const world = new World()
    const before = world.platform.stateHash()
    world.inject({ kind: 'stuckDma', function: NIC })
    const stuck = world.platform.stateHash()
    world.plan({ faults: [{ at: 5, fault: { kind: 'linkDown', function: PORT } }] })
    expect(new Set([before, stuck, world.platform.stateHash()]).size).toBe(3)
    const saved = structuredClone(world.platform.faults.save())
    world.platform.faults.clear()
    world.platform.faults.load(saved)
    expect(world.platform.faults.save()).toEqual(saved)
  })
})

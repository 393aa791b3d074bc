/** Whatever a guest does with its tables, its functions reach what it told its unit, in its own memory, and nothing else. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leaksSince, takeStock } from '../../../src/system/index.ts'
import { GuestWithUnit, VM } from './guest-with-unit.ts'

/** I/O virtual pages and guest pages that commands choose from. */
const PAGES = 24
const FIRST_FRAME = 0x800

type Command =
  | {
      readonly kind: 'map'
      readonly fn: number
      readonly page: number
      readonly frame: number
      readonly write: boolean
      readonly told: boolean
    }
  | { readonly kind: 'unmap'; readonly fn: number; readonly page: number; readonly told: boolean }
  | { readonly kind: 'write'; readonly fn: number; readonly page: number }
  | { readonly kind: 'restore' }

const fn = fc.nat(1)
const page = fc.nat(PAGES - 1)
const told = fc.integer({ min: 0, max: 5 }).map(n => n > 0)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('map' as const),
      fn,
      page,
      frame: page,
      write: fc.boolean(),
      told,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('unmap' as const), fn, page, told }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), fn, page }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const) }) },
)

interface Entry {
  readonly frame: number
  readonly write: boolean
}

/** What the guest's tables say of each page, and what its unit was told last. */
class Model {
  readonly tables = [new Map<number, Entry>(), new Map<number, Entry>()] as const
  readonly told = [new Map<number, Entry>(), new Map<number, Entry>()] as const

  readonly founded = new Set<number>()

  tellAll(): void {
    for (const which of [0, 1]) for (let at = 0; at < PAGES; at++) this.tell(which, at)
  }

  tell(which: number, at: number): void {
    const entry = this.tables[which]!.get(at)
    if (entry === undefined) this.told[which]!.delete(at)
    else this.told[which]!.set(at, entry)
  }
}

function obey(guest: GuestWithUnit, model: Model, command: Command): void {
  if (command.kind === 'restore') {
    const before = guest.platform.stateHash()
    const saved = guest.platform.save()
    guest.unmap(0, 0, PAGES)
    guest.platform.load(saved)
    expect(guest.platform.stateHash()).toBe(before)
    return
  }
  const { fn: which, page: at } = command
  const tables = model.tables[which]!
  if (command.kind === 'map') {
    const { write } = command
    const frame = FIRST_FRAME + command.frame
    if (tables.has(at)) {
      expect(() => guest.map(which, at, frame)).toThrow(/has mapped/)
      return
    }
    // The first mapping of a function makes a context entry: then the unit looks at everything anew.
    if (!model.founded.has(which)) model.tellAll()
    model.founded.add(which)
    guest.map(which, at, frame, 1, { read: true, write }, command.told)
    tables.set(at, { frame, write })
    if (command.told) model.tell(which, at)
  } else if (command.kind === 'unmap') {
    guest.unmap(which, at, 1, command.told)
    tables.delete(at)
    if (command.told) model.tell(which, at)
  } else {
    const entry = model.told[which]!.get(at)
    const mark = [which + 1, at, 0xaa, 0x55]
    const reached = guest.write(which, at, Uint8Array.from(mark))
    expect(reached).toBe(entry?.write ? guest.hostAddress(entry.frame) : undefined)
    if (entry?.write) expect(guest.guestBytes(entry.frame)).toEqual(mark)
  }
}

describe('the tables of the host', () => {
  it('say what the guest told its unit, after any sequence of commands', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    const begin = guest.platform.save()
    fc.assert(
      fc.property(fc.array(command, { minLength: 4, maxLength: 16 }), commands => {
        guest.platform.load(begin)
        const model = new Model()
        for (const one of commands) obey(guest, model, one)
        // The whole of it, at the end.
        for (const which of [0, 1]) {
          for (let at = 0; at < PAGES; at++) {
            const entry = model.told[which]!.get(at)
            expect(guest.read(which, at)).toBe(entry && guest.hostAddress(entry.frame))
          }
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 6), seed: 9 },
    )
  })

  it('are gone with the machine: nothing of it is left', () => {
    const guest = new GuestWithUnit('shadow')
    const { host, hypervisor } = guest.platform
    guest.run(hypervisor.deleteVm(VM))
    const before = takeStock(guest.platform)
    const hash = guest.platform.stateHash()
    guest.create('shadow')
    guest.start()
    guest.map(0, 0x100, FIRST_FRAME, 64)
    guest.map(1, 0x200, FIRST_FRAME, 3)
    guest.write(0, 0x300)
    expect(guest.platform.stateHash()).not.toBe(hash)
    guest.run(hypervisor.deleteVm(VM))
    expect(leaksSince(before, guest.platform)).toEqual([])
    for (const address of guest.functions) expect(host.find(address).owner).not.toMatchObject({ kind: 'vm' })
    expect(guest.write(0, 0x100)).toBeUndefined()
  })

  it('are gone for a function that leaves a running guest', () => {
    const guest = new GuestWithUnit('shadow')
    guest.start()
    guest.map(0, 0x100, FIRST_FRAME)
    guest.map(1, 0x100, FIRST_FRAME)
    guest.run(guest.platform.hypervisor.detach(VM, guest.functions[0]!))
    expect(guest.write(0, 0x100)).toBeUndefined()
    expect(guest.write(1, 0x100)).toBe(guest.hostAddress(FIRST_FRAME))
    expect(guest.unit.functions).toHaveLength(1)
    // Back again, it has nothing until the guest maps something for it.
    guest.run(guest.platform.hypervisor.attach(VM, guest.functions[0]!))
    expect(guest.write(0, 0x100)).toBeUndefined()
    guest.map(0, 0x100, FIRST_FRAME + 1)
    expect(guest.write(0, 0x100)).toBe(guest.hostAddress(FIRST_FRAME + 1))
  })
})

/** The remapping unit on the board of one virtual machine. */
import { NorthbridgeError, PAGE_SIZE, pageOf, type Saved } from '../../core/index.ts'
import type { GuestMemory, MemoryRun } from '../guest-memory.ts'
import type { MachineContext } from '../machine-state.ts'
import type { GuestRange } from '../types.ts'
import type { UnitModelMaker } from './unit-model.ts'
import type { UnitBoard, VirtualUnitOptions } from './unit-types.ts'
import { VirtualUnit } from './virtual-unit.ts'

/** What it needs of its machine. */
export interface UnitMachine extends Pick<UnitBoard, 'name' | 'deliver' | 'report' | 'protect'> {
  readonly memory: GuestMemory
}

/** Throws `unsupported` where the hypervisor has no register model, and what a unit that cannot be throws. */
export const makeMachineUnit = (
  context: MachineContext,
  machine: UnitMachine,
  options: VirtualUnitOptions,
): VirtualUnit => new VirtualUnit(options, boardOf(context, machine, options.reach), makerOf(context))

export const restoreMachineUnit = (
  context: MachineContext,
  machine: UnitMachine,
  saved: Saved,
): VirtualUnit => {
  const { reach } = saved as unknown as { readonly reach: readonly GuestRange[] }
  return VirtualUnit.restore(saved, boardOf(context, machine, reach), makerOf(context), address =>
    context.host.assignedFunction(address),
  )
}

function makerOf({ makeUnit }: MachineContext): UnitModelMaker {
  if (makeUnit !== undefined) return makeUnit
  throw new NorthbridgeError('unsupported', 'this hypervisor emulates no remapping units')
}

function boardOf({ engine }: MachineContext, machine: UnitMachine, reach?: readonly GuestRange[]): UnitBoard {
  const { memory } = machine
  const ranges = reach ?? memory.ranges
  const holds = (address: number): boolean =>
    ranges.some(({ base, size }) => address >= base && address < base + size)
  return {
    name: machine.name,
    trace: engine.trace,
    memory: {
      ranges,
      get runs() {
        return ranges.flatMap(range => memory.runs.flatMap(run => cut(run, range)))
      },
      hostPage: (page, write) =>
        holds(page * PAGE_SIZE) && memory.contains(page * PAGE_SIZE, PAGE_SIZE)
          ? memory.hostAddress(page * PAGE_SIZE, write) / PAGE_SIZE
          : undefined,
    },
    deliver: (address, data) => machine.deliver(address, data),
    report: (problem, error) => machine.report(problem, error),
    protect: (page, on) => machine.protect(page, on),
  }
}

/** The part of a run that lies in a range, if any. */
function cut({ guestPage, hostPage, pages }: MemoryRun, { base, size }: GuestRange): MemoryRun[] {
  const first = Math.max(guestPage, pageOf(base))
  const end = Math.min(guestPage + pages, pageOf(base + size))
  return first < end ? [{ guestPage: first, hostPage: hostPage + first - guestPage, pages: end - first }] : []
}

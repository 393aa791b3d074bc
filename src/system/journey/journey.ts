/** The journey of a frame or a block: everything that devices, remapping units, hypervisor and guest do on its way. */
import { formatFunctionAddress, hex } from '../../core/index.ts'
import { NVM } from '../../devices/formats/nvme/index.ts'
import type { NicModel } from '../../devices/index.ts'
import { type NvmeEvent, NvmeSubsystem } from '../../devices/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import { DEVICE_EVENT, type PlatformWatcher } from '../../platform/index.ts'
import { passTime } from '../passing-time.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import { type JourneyCosts, type JourneyStep, Recorder } from './recorder.ts'

export interface Journey {
  readonly steps: readonly JourneyStep[]
  readonly costs: JourneyCosts & {
    /** Copies by the hypervisor's processor. */
    readonly copies: number
    readonly copiedBytes: number
  }
}

/** Longest that a controller holds an interrupt back: 32.8 ms by EITR of the 82576, 25.5 ms by coalescing of NVMe. */
const LONGEST_MODERATION = 33e6

/** Follows what `happens` brings about until devices have nothing left to tell. */
export function* followJourney(platform: SimulatedPlatform, happens: () => Software): Software<Journey> {
  const { engine, hypervisor } = platform
  const { recorder, copied, end } = listen(platform)
  try {
    yield* happens()
    yield* hypervisor.settle()
    const last = engine.now + LONGEST_MODERATION
    for (let time = engine.next(DEVICE_EVENT); time !== undefined && time <= last; ) {
      yield* passTime(engine, time - engine.now, () => hypervisor.settle())
      time = engine.next(DEVICE_EVENT)
    }
  } finally {
    end()
  }
  return { steps: recorder.steps, costs: { ...recorder.costs, ...copied } }
}

/** Listens at every door that there is, beside whoever listens already. */
function listen(platform: SimulatedPlatform) {
  const { networking, disks, hardware, engine } = platform
  const recorder = new Recorder(hardware.units.map(({ id }) => id))
  const copied = { copies: 0, copiedBytes: 0 }
  const { journal } = networking
  const before = { copies: journal.copies, copiedBytes: journal.copiedBytes }
  journal.follow(({ at, step, detail }) => recorder.add(at, step, detail))
  const unfollowDisks = disks.follow(({ vm, driver }, bytes) => {
    copied.copies++
    copied.copiedBytes += bytes
    recorder.add(vm, 'copied', { disk: driver, length: bytes })
  })
  const unfollowTrace = engine.trace.follow(event => recorder.event(event))
  const unobserve = observeDevices(platform, recorder)
  const { watcher } = hardware
  hardware.watch(beside(watcher, recorder))
  const end = (): void => {
    hardware.watch(watcher)
    unobserve()
    unfollowTrace()
    unfollowDisks()
    journal.follow(undefined)
    copied.copies += journal.copies - before.copies
    copied.copiedBytes += journal.copiedBytes - before.copiedBytes
  }
  return { recorder, copied, end }
}

const beside = (watcher: PlatformWatcher | undefined, recorder: Recorder): PlatformWatcher => ({
  wrote: (address, length) => watcher?.wrote(address, length),
  served(request) {
    recorder.served(request)
    watcher?.served(request)
  },
  accessed(fn, offset, write, value) {
    recorder.accessed(fn, offset, write, value)
    watcher?.accessed?.(fn, offset, write, value)
  },
})

/** Has every controller tell of its decisions; the returned function ends it. */
function observeDevices({ hardware }: SimulatedPlatform, recorder: Recorder): () => void {
  const observed: { observer: unknown }[] = []
  for (const { function: fn } of hardware.network.ports) {
    const model = fn.modelMade as NicModel | undefined
    if (model === undefined) continue
    model.observer = { note: ({ step, ...detail }) => recorder.add(addressOf(fn), step, detail) }
    observed.push(model)
  }
  for (const fn of hardware.fabric.functions()) {
    const model = fn.modelMade
    if (!(model instanceof NvmeSubsystem) || fn.physicalFunction !== undefined) continue
    model.observer = {
      // CNTLID 0 is the physical function's.
      note: (controller, event) =>
        recorder.add(addressOf(fn.virtualFunctions[controller - 1] ?? fn), event.step, told(event)),
    }
    observed.push(model)
  }
  return () => {
    for (const model of observed) model.observer = undefined
  }
}

/** Commands of I/O queues have names. */
function told({ step: _step, ...detail }: NvmeEvent): Readonly<Record<string, unknown>> {
  if (!('opcode' in detail)) return detail
  const name = Object.entries(NVM).find(([, code]) => detail.queue > 0 && code === detail.opcode)?.[0]
  return { ...detail, opcode: name ?? hex(detail.opcode, 2) }
}

const addressOf = (fn: PcieFunction): string => formatFunctionAddress(fn.segment, fn.rid)

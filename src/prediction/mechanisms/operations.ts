/** What single operations cost in cycles: natively, under binary translation, with hardware assistance, and nested. */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type NotModelled, notModelled, type Part, part, summed } from '../prediction.ts'
import type { Monitor, Scenario } from '../scenario.ts'

type Steps = (costs: Costs) => readonly (readonly [cause: string, cycles: number])[]

const exitRoundTrip = ({ exitRoundTrip }: Costs) => ['VM exit and entry', exitRoundTrip] as const
const inKernel: Steps = costs => [exitRoundTrip(costs), ['handled in the kernel', costs.kernelHandler]]
const inUserSpace: Steps = costs => [...inKernel(costs), ['to user space and back', costs.userSpaceRoundTrip]]

interface Operation {
  /** Words of published benchmarks that mean it. */
  readonly words: RegExp
  readonly none?: Steps
  readonly translation?: Steps
  readonly assisted: Steps
}

const hypercall: Steps = costs => [exitRoundTrip(costs), ['dispatched', costs.hypercallHandler]]
const exception =
  (native: 'nativePageFault' | 'nativeDivideError' | 'nativeSystemCall'): Steps =>
  costs => [
    ['native', costs[native]],
    ['taken by the monitor and handed on', costs.translatedException],
  ]

/** The first whose words fit is meant. */
const OPERATIONS: readonly Operation[] = [
  {
    words: /notify|i\/o latency out|ioeventfd|kick/,
    assisted: costs => [
      ['VM exit', costs.exitRoundTrip * costs.notifyShare],
      ['wake-up of the back end', costs.eventNotify],
    ],
  },
  {
    words: /i\/o latency in/,
    assisted: costs => [
      ['wake-up of the virtual processor', costs.contextSwitch],
      ['interrupt made pending', costs.virtualInterrupt],
      ['VM entry', costs.exitRoundTrip * (1 - costs.notifyShare)],
    ],
  },
  {
    words: /virtual interrupt completion|\beoi\b|end of interrupt/,
    assisted: costs => [
      ['VM exit and entry', costs.completionExits * costs.exitRoundTrip],
      ['completed', costs.endOfInterrupt],
    ],
  },
  {
    words: /self.?ipi/,
    assisted: costs => [...inKernel(costs), ['interrupt made pending', costs.virtualInterrupt]],
  },
  {
    words: /\bipi\b|inter-?processor/,
    assisted: costs => [
      ['exit and entry of the sender', costs.exitRoundTrip],
      ['dispatched', costs.hypercallHandler],
      ['from processor to processor', costs.interProcessorInterrupt],
      ['entry of the receiver', costs.exitRoundTrip * (1 - costs.notifyShare)],
    ],
  },
  {
    words: /tscdeadline|timer.*immed/,
    assisted: costs => [
      ...hypercall(costs),
      ['interrupt made pending', costs.virtualInterrupt],
      ['taken by the guest', costs.interruptDelivery],
    ],
  },
  {
    words: /vm switch|context switch/,
    assisted: costs => [exitRoundTrip(costs), ['other virtual machine', costs.processorSwitch]],
  },
  { words: /user ?space|from_qemu|to_qemu|pmtimer|port 0x80|^in\b/, ...portRead() },
  { words: /in host kernel|_kernel|interrupt controller|i\/o kernel/, assisted: inKernel },
  { words: /hypercall|vmcall|cpuid|mov_(?:from|to)_cr8|wr_tsc|rdmsr|wrmsr|null/, assisted: hypercall },
  {
    words: /syscall|sysenter/,
    none: costs => [['native', costs.nativeSystemCall]],
    translation: exception('nativeSystemCall'),
    assisted: costs => [['native', costs.nativeSystemCall]],
  },
  {
    words: /call\/ret|call.?ret/,
    none: costs => [['native', costs.nativeCall]],
    translation: costs => [
      ['native', costs.nativeCall],
      ['look-up of the return', costs.translatedReturn],
    ],
    assisted: costs => [['native', costs.nativeCall]],
  },
  {
    words: /pgfault|page fault/,
    none: costs => [['native', costs.nativePageFault]],
    translation: exception('nativePageFault'),
    assisted: costs => [
      ['native', costs.nativePageFault],
      exitRoundTrip(costs),
      ['shadow page tables', costs.shadowFault],
    ],
  },
  {
    words: /divzero|divide/,
    none: costs => [['native', costs.nativeDivideError]],
    translation: exception('nativeDivideError'),
    assisted: costs => [
      ['native', costs.nativeDivideError],
      ['not exiting', costs.assistedException],
    ],
  },
  {
    words: /ptemod|page.?table/,
    none: costs => [['native', costs.nativeTableWrite]],
    translation: costs => [['mirrored', costs.translatedTableWrite]],
    assisted: costs => [exitRoundTrip(costs), ['traced store', costs.shadowTraced]],
  },
  {
    words: /cr8/,
    none: costs => [['native', costs.nativeTableWrite]],
    translation: costs => [['translated', costs.translatedControlWrite]],
    assisted: hypercall,
  },
]

function portRead(): Pick<Operation, 'none' | 'translation' | 'assisted'> {
  return {
    none: costs => [['chipset', costs.nativePortRead]],
    translation: costs => [['answered in the monitor', costs.translatedPortRead]],
    assisted: inUserSpace,
  }
}

const nameOf = ({ record, words }: Scenario): string => String(record.x?.value ?? words).toLowerCase()
const onProcessor = (steps: readonly (readonly [string, number])[]): Part[] =>
  steps.map(([cause, cycles]) => part('processor', cause, cycles))

export function operationCost(scenario: Scenario, costs: Costs): Modelled | NotModelled {
  const name = nameOf(scenario)
  const operation = OPERATIONS.find(({ words }) => words.test(name))
  if (operation === undefined) return notModelled(`there is no operation called "${name}" in the model`)
  const steps = operation[scenario.monitor]
  if (steps === undefined) return notModelled(`"${name}" is not modelled ${MEANING[scenario.monitor]}`)
  const parts = onProcessor(steps(costs))
  return summed('cycles', scenario.nested ? [...parts, ...nestedExtra(operation, costs)] : parts)
}

const MEANING: Readonly<Record<Monitor, string>> = {
  none: 'without a monitor',
  translation: 'under binary translation',
  assisted: 'with hardware assistance',
}

/** An exit of L2 that is L1's: L0 shows it to L1 and takes the entry back; L1 exits on its own way. */
function nestedExtra({ assisted }: Operation, costs: Costs): Part[] {
  const userSpace = assisted === inUserSpace
  return [
    part('processor', 'shown to L1, and entered again by L0', costs.nestedSwitch),
    part(
      'processor',
      'exits of L1 on its way to user space',
      userSpace ? costs.nestedUserSpaceExits * (costs.exitRoundTrip + costs.hypercallHandler) : 0,
    ),
  ]
}

export const exitRoundTripCost = (_scenario: Scenario, costs: Costs): Modelled =>
  summed('cycles', [part('processor', 'VM exit and entry', costs.exitRoundTrip)])

/** Exits to L0 for one exit of L2: itself, and what L1 does about it that exits in its turn. */
export const exitMultiplication = (_scenario: Scenario, costs: Costs): Modelled =>
  summed('exits', [
    part('L2', 'the exit', 1),
    part('L1', 'VMREAD and VMWRITE', costs.nestedFieldAccesses),
    part('L1', 'model-specific and control registers', costs.nestedRegisterAccesses),
    part('L1', 'VMRESUME', 1),
  ])

const LEVELS = 4

/** Entries of `LEVELS` levels; with nested paging each is at an address that another table translates, as is the result. */
export const nativeWalk = (): Modelled => summed('reads', [part('processor', 'page tables', LEVELS)])
export const nestedWalk = (): Modelled =>
  summed('reads', [
    part('processor', 'page tables of the guest', LEVELS),
    part('processor', 'nested page tables for each of them and for the result', LEVELS * (LEVELS + 1)),
  ])

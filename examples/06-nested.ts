/**
 * A hypervisor in a guest: L2 runs under L1, L1 under ours (L0). Who takes which VM exit, what one costs, and what VMCS
 * shadowing saves.
 */
import { createPlatform } from 'northbridge'

const server = createPlatform('two-socket-82599')
server.createVm({ name: 'l1', vcpus: 1, memoryMiB: 16, nested: true })
server.createVm({ name: 'shadowed', vcpus: 1, memoryMiB: 16, nested: true, vmcsShadowing: true })

const [vmxonRegion, vmcs] = ['0x100000', '0x101000']
const field = (name: string, value: string | number) => ({ op: 'vmwrite', field: name, value })
const flat = ['Es', 'Ss', 'Ds', 'Fs', 'Gs'].flatMap(name => [
  field(`guest${name}Selector`, 0x10),
  field(`guest${name}Limit`, 0xffffffff),
  field(`guest${name}AccessRights`, 0xc093),
  field(`host${name}Selector`, 0x10),
])

// L1 asks for no EPT, and for exits of HLT only; CPUID always exits.
const guest = [
  field('pinBasedControls', 0x16),
  field('primaryProcessorBasedControls', 0x040061f2),
  field('exitControls', 0x00036ffb),
  field('entryControls', 0x000013fb),
  field('hostCr0', 0x80000031),
  field('hostCr4', 0x2020),
  field('hostCsSelector', 0x8),
  field('hostTrSelector', 0x18),
  field('guestCr0', 0x80000031),
  field('guestCr4', 0x2020),
  field('guestRflags', 0x2),
  field('vmcsLinkPointer', '0xffffffffffffffff'),
  field('guestCsSelector', 0x8),
  field('guestCsLimit', 0xffffffff),
  field('guestCsAccessRights', 0xa09b),
  ...flat,
  field('guestLdtrAccessRights', 0x10000),
  field('guestTrSelector', 0x18),
  field('guestTrLimit', 0x67),
  field('guestTrAccessRights', 0x8b),
]
const reason = { op: 'vmread', field: 'exitReason' }

const stream = [
  { op: 'wrmsr', msr: 0x3a, value: 5 },
  { op: 'write', address: vmxonRegion, width: 4, value: 0x4e43 },
  { op: 'write', address: vmcs, width: 4, value: 0x4e43 },
  { op: 'vmxon', address: vmxonRegion },
  { op: 'vmptrld', address: vmcs },
  ...guest,
  { op: 'vmlaunch' },
  // L2, from here to the exit:
  { op: 'write', address: '0x200000', width: 4, value: 42 },
  { op: 'in', port: 0x60, width: 1 },
  { op: 'cpuid', leaf: 0 },
  // L1:
  reason,
  { op: 'read', address: '0x200000', width: 4 },
]
const { results, exits } = server.runVcpu({ vm: 'l1', vcpu: 0, operations: stream })
for (const i of [-7, -6, -5, -4, -3, -2, -1]) {
  const { outcome, value } = results.at(i)!
  console.log(value === undefined ? outcome : `${outcome} ${value}`)
}
const count = (level: number) => exits.filter(exit => exit.level === level).length
console.log(`exits of L1: ${count(1)}, of L2: ${count(2)}`)
for (const { level, reason, handledBy } of exits.filter(exit => exit.level === 2)) {
  console.log(`L${level} ${reason}: ${handledBy}`)
}

// L1 answers ten CPUIDs of L2: it looks at the exit, moves RIP on, and resumes.
const round = [
  { op: 'vmresume' },
  { op: 'cpuid', leaf: 0 },
  ...['exitReason', 'exitQualification', 'exitInstructionLength', 'guestRip'].map(name => ({
    op: 'vmread',
    field: name,
  })),
  field('guestRip', 0x100),
]
const rounds = Array.from({ length: 10 }, () => round).flat()
server.runVcpu({ vm: 'shadowed', vcpu: 0, operations: stream })
for (const vm of ['l1', 'shadowed']) {
  const { exits } = server.runVcpu({ vm, vcpu: 0, operations: rounds })
  const levels = [1, 2].map(
    level => exits.filter(exit => exit.level === level && exit.operation !== null).length,
  )
  console.log(`${vm}: ten rounds take ${levels[0]} exits of L1 and ${levels[1]} of L2`)
}

// Prints:
// done
// done
// done
// done 0x00000000000000ff
// vmExit
// done 0x000000000000000a
// done 0x000000000000002a
// exits of L1: 45, of L2: 2
// L2 ioInstruction: noDevice
// L2 cpuid: l1
// l1: ten rounds take 60 exits of L1 and 10 of L2
// shadowed: ten rounds take 10 exits of L1 and 10 of L2

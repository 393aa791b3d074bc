/** Parameters of single operations whose cost is a sum in a closed form, not the outcome of a simulation. */

const ns = (about: string) => ({ unit: 'ns', about }) as const
const cycles = (about: string) => ({ unit: 'cycles', about }) as const
const count = (about: string) => ({ unit: 'count', about }) as const
const ratio = (about: string) => ({ unit: 'ratio', about }) as const

export const OPERATION_PARAMETERS = {
  // Operations of a processor without a hypervisor.
  nativePortRead: cycles('IN from a port of the chipset'),
  nativeCall: cycles('CALL and RET'),
  nativeSystemCall: cycles('SYSENTER or SYSCALL and back, with an empty handler'),
  nativePageFault: cycles('#PF with an empty handler and return'),
  nativeDivideError: cycles('#DE with an empty handler and return'),
  nativeTableWrite: cycles('Store to a page-table entry'),
  // A monitor by binary translation.
  translatedPortRead: cycles('IN answered by the monitor from its model'),
  translatedReturn: cycles('Look-up in the translation cache for an indirect branch'),
  translatedControlWrite: cycles('MOV to CR8 in translated code'),
  translatedTableWrite: cycles('Store to a guest page table that the monitor mirrors'),
  translatedException: cycles('Exception or system call of a guest, taken by the monitor and handed on'),
  // A monitor with hardware assistance and shadow page tables.
  shadowFault: cycles('#PF that exits: walk of the tables of the guest, injection'),
  shadowTraced: cycles('#PF that exits for a traced store to a page table: decoded, carried out, mirrored'),
  assistedException: cycles('Exception that does not exit, in addition to the native one'),
  // Exits in pieces.
  hypercallHandler: cycles('What the hypervisor does around an exit that asks for nothing'),
  notifyShare: ratio('Share of an exit round trip before the hypervisor runs'),
  completionExits: count('Exits of the completion of a virtual interrupt: 0 where hardware does it'),
  processorSwitch: cycles('From one virtual machine to another on a processor, besides exit and entry'),
  // Nested virtualization.
  nestedSwitch: cycles('An exit of L2 shown to L1, and the entry back, besides the work on it'),
  nestedUserSpaceExits: count('Exits of L1 on its way to its user space and back'),
  nestedFieldAccesses: count('VMREAD and VMWRITE of L1 for an exit of L2'),
  nestedRegisterAccesses: count('Accesses to MSRs by L1 for an exit of L2 that exit'),
  // Page requests of devices.
  pageRequestDevice: ns('Device and its firmware: to stop, report and resume'),
  pageRequestService: ns('Host: interrupt, fault handling and response, memory present'),
  pageRequestBacklog: ratio('Page requests that wait for service ahead of one, under load'),
  // Transfers of devices.
  uncoreWake: ns('Root complex: extra of a lone transfer, because power states make it sleep in between'),
  rootComplexWrite: ns('Least time between two posted writes that the root complex takes'),
  // Mapping.
  queuedWaiterExtra: ns('Like lockWaiterExtra, where a place in the queue is taken by one addition'),
  pageTableFurther: cycles('A further entry of the same table, written or cleared'),
  mappingReuse: ratio(
    'Buffers whose mapping was left in place in the hope that they come again, and that do',
  ),
  // Traffic.
  timerExits: { unit: '1/s', about: 'VM exits of a busy virtual processor for timers of host and guest' },
  interruptInterval: ns('Least time between two interrupts of a queue under bulk traffic'),
  interruptDelay: ns('From a lone packet to the interrupt that announces it'),
  latencyTail99: ratio('99th percentile of a round trip, of its median'),
  latencyTail999: ratio('99.9th percentile of a round trip, of its median'),
  backgroundExits: {
    unit: '1/s',
    about: 'Returns of a virtual processor to its user-space monitor for timers and the like',
  },
  sortingPerPacket: cycles(
    'A packet through a host that sorts, copies and queues all packets on one processor',
  ),
  hostedPerPacket: cycles(
    'A packet of a hosted monitor: switches between monitor and host, host network stack',
  ),
  userBackendCalls: count('System calls of a user-space back end for a packet and its notification'),
  // Storage.
  fastDiskLatency: ns('A medium of memory behind an interface of disks'),
  storageProcessors: count('Processors that issue requests where a study does not say how many'),
  // Last-level cache as devices see it.
  inputOutputCacheMiB: { unit: 'MiB', about: 'Part of the last-level cache that keeps data for devices' },
} as const

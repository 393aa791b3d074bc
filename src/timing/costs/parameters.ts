/** Every number that timing depends on: its unit and what it means. Cost files give values, sources and ranges. */

import { OPERATION_PARAMETERS } from './operation-parameters.ts'

const ns = (about: string) => ({ unit: 'ns', about }) as const
const cycles = (about: string) => ({ unit: 'cycles', about }) as const
const entries = (about: string) => ({ unit: 'entries', about }) as const
const ratio = (about: string) => ({ unit: 'ratio', about }) as const

export const PARAMETERS = {
  // Processor.
  clockGHz: { unit: 'GHz', about: 'Clock of a core' },
  siblingShare: ratio('Speed of a hardware thread while its sibling is busy, of its speed alone'),
  exitRoundTrip: cycles('VM exit and entry, with nothing done in between'),
  kernelHandler: cycles('What the hypervisor does around an exit that it handles in the kernel'),
  userSpaceRoundTrip: cycles('From there to a user-space monitor and back'),
  registerEmulation: cycles('A register access of an emulated device, in its model'),
  eventNotify: cycles('A doorbell that the hypervisor turns into a wake-up of the back end (ioeventfd)'),
  interruptDelivery: cycles('A native interrupt: entry, handler, end of interrupt, return'),
  virtualInterrupt: cycles('To enter an interrupt into a virtual APIC and inject it'),
  postedInterrupt: cycles(
    'An interrupt that a running guest takes without an exit, from descriptor to handler',
  ),
  endOfInterrupt: cycles('Emulation of an EOI that exits, besides the exit'),
  interProcessorInterrupt: cycles('To make another processor notice: send and take'),
  contextSwitch: cycles('From one thread to another on a processor'),
  wakeUp: ns('From the wake-up of a sleeping thread to its first instruction, besides the context switch'),
  systemCall: cycles('Entry, dispatch and return'),
  // Memory.
  cacheRead: ns('Root complex: read of a line that the last-level cache has'),
  dramExtra: ns('The same from DRAM, in addition'),
  remoteSocketExtra: ns('Crossing to the memory of another socket, in addition'),
  dramGBps: { unit: 'GB/s', about: 'Bandwidth of the memory of a socket' },
  // Link and root complex.
  rootComplexLatency: ns('Through link, root complex and back, of a request without translation and memory'),
  writeCommit: ns('From the arrival of a posted write at the root complex until a read behind it is served'),
  linkLayerBytes: {
    unit: 'bytes',
    about: 'Link-layer packets (ACK, flow control) that go with a TLP, in both directions',
  },
  linkIdleShare: ratio('Share of symbols that carry no packets (ordered sets)'),
  postedWrites: entries('Posted writes of a function that the root complex holds (credits)'),
  registerWrite: ns('A posted write of a processor to a register of a device'),
  // Device.
  deviceLatency: ns(
    'Of the engine, from the request of a transfer to its packet, and from the last data to the end',
  ),
  deviceReadIssue: ns('Least time between two reads of the engine'),
  deviceWriteIssue: ns('Least time between two writes of the engine'),
  deviceReadChunk: { unit: 'bytes', about: 'Pieces in which the engine deals with reads' },
  deviceReadChunkIssue: ns('Time of the engine for each further piece of a read'),
  deviceWriteChunk: { unit: 'bytes', about: 'Pieces in which the engine deals with writes' },
  deviceWriteChunkIssue: ns('Time of the engine for each further piece of a write'),
  deviceReadTags: entries('Read requests of the engine under way'),
  devicePacket: ns('Least time between two packets of the adapter'),
  devicePipeline: ns('Through the adapter, from wire to DMA and back'),
  descriptorBatch: entries('Descriptors fetched or written back at once, at most'),
  // Remapping unit.
  iotlbEntries: entries('IOTLB'),
  iotlbWays: entries('Ways of a set of it; as many as entries: fully associative'),
  pagingEntriesLevel2: entries('Cached entries to page tables'),
  pagingEntriesLevel3: entries('Cached entries of level 3'),
  pagingEntriesLevel4: entries('Cached entries of level 4'),
  pageWalkers: entries('Walks at the same time'),
  walkStart: ns('Of a walk, besides its reads'),
  tableRead: ns('Of a remapping structure, in cache'),
  translationHit: ns('Of an IOTLB hit'),
  descriptorExecute: ns('An invalidation descriptor'),
  waitExecute: ns('A wait descriptor with its status write'),
  invalidationSubmit: cycles('Software: descriptors written and tail register'),
  pollInterval: ns('Between two looks at the status of a wait'),
  lockedPoll: ratio('1: software looks with the queue lock held, and leaves it in between; 0: without'),
  // Mapping.
  lockHandOff: ns('A contended lock from its holder to the next'),
  lockWaiterExtra: ns('The same for each further waiter that looks at the lock itself'),
  treeStep: cycles('A node of the tree of addresses visited'),
  treeUpdate: cycles('A node entered or removed, besides the visits'),
  magazine: cycles('An address from or to the cache of a processor'),
  magazineSize: entries('Addresses of a magazine of that cache'),
  depotSize: entries('Full magazines that processors share'),
  pageTableMap: cycles('To walk to and write the entry of one page'),
  pageTableUnmap: cycles('To walk to and clear the entry of one page'),
  mapOther: cycles('A mapping, besides address and tables'),
  unmapOther: cycles('An unmapping, besides address, tables and invalidation'),
  flushQueueEntries: entries('Deferred unmaps of a processor that make it flush'),
  flushPeriod: ns('Longest time that an unmap is deferred'),
  // Software.
  copyPerByte: { unit: 'cycles/byte', about: 'Copy of payload by a processor' },
  driverPerPacket: cycles('A packet in a network driver: descriptor, buffer'),
  stackPerPacket: cycles('A packet below the transport: receive offload or the device queue'),
  stackPerSegment: cycles('A segment in the transport and above, however large'),
  socketPerMessage: cycles('A message of an application: system call and socket'),
  softwareSwitchPerPacket: cycles('A packet through the switch of the hypervisor: classified, queued'),
  backendPerPacket: cycles('A packet in a paravirtual back end in the kernel, besides copy'),
  userBackendPerPacket: cycles('The same in user space, system calls included'),
  emulatedPerPacket: cycles(
    'A packet in the model of an emulated adapter, besides registers, copy and the back end in user space',
  ),
  frontendPerPacket: cycles('A packet in a paravirtual driver of a guest, in place of that of an adapter'),
  pollBudget: entries('Packets of one round of a driver'),
  // Emulated adapter: accesses of its driver, as the functional model makes them.
  emulatedAccessesPerReceiveInterrupt: {
    unit: 'count',
    about: 'Register accesses for each receive interrupt',
  },
  emulatedAccessesPerTransmit: { unit: 'count', about: 'Register accesses for each batch transmitted' },
  // Storage.
  blockStackPerRequest: cycles('A request in the block layer and driver, submitted and completed'),
  blockBackendPerRequest: cycles('A request in a paravirtual back end'),
  blockEmulatedPerRequest: cycles('A request in the model of an emulated controller'),
  blockEmulatedAccesses: { unit: 'count', about: 'Register accesses of a request to an emulated controller' },
  diskLatency: ns('The medium, of a small read'),
  diskChannels: entries('Requests that the medium serves at the same time'),
  diskGBps: { unit: 'GB/s', about: 'Of the medium' },
  // The other end of the wire.
  wireLatency: ns('Cable, switch and the other adapter, one way'),
  partnerTurnaround: ns('What the other end takes to answer a message'),
  ...OPERATION_PARAMETERS,
} as const

export type ParameterName = keyof typeof PARAMETERS
/** Resolved values. */
export type Costs = Readonly<Record<ParameterName, number>>
export const PARAMETER_NAMES = Object.keys(PARAMETERS) as readonly ParameterName[]

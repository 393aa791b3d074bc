/** One DMA through an assigned virtual function, and one that is blocked. */
import { createPlatform } from 'northbridge'

const server = createPlatform('one-socket-82576')
server.setNumVfs({ function: '0000:01:00.0', numVfs: 1 })
server.createVm({ name: 'alpha', vcpus: 1, memoryMiB: 64 })
server.attach({ vm: 'alpha', function: '0000:01:10.0' })

const write = { function: '0000:01:10.0', direction: 'write', data: 'c0ffee' } as const
console.log(server.dma({ ...write, address: '0x100000' }).parts[0])
console.log(server.readMemory({ vm: 'alpha', address: '0x100000', length: 3 }).data)
console.log(server.dma({ ...write, address: '0x8000000' }).fault)

// Prints:
// {
//   address: '0x100000',
//   length: 3,
//   outcome: 'completed',
//   target: 'memory',
//   physicalAddress: '0x1300000'
// }
// c0ffee
// {
//   reason: '0x05',
//   name: 'write without write permission',
//   source: '0000:01:10.0',
//   address: '0x8000000',
//   unit: 'dmar0'
// }

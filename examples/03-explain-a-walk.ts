/** Every table entry that a remapping unit reads for one address, and the repair that a fault would need. */
import { createPlatform } from 'northbridge'

const server = createPlatform('one-socket-82576')
server.setNumVfs({ function: '0000:01:00.0', numVfs: 1 })
server.createVm({ name: 'alpha', vcpus: 1, memoryMiB: 64 })
server.attach({ vm: 'alpha', function: '0000:01:10.0' })

for (const address of ['0x100000', '0x8000000']) {
  const { steps, outcome, physicalAddress, repair } = server.explain({
    unit: 'dmar0',
    source: '0000:01:10.0',
    address,
    access: 'write',
  })
  for (const { check, entryAddress, raw } of steps) console.log(check, entryAddress ?? '', raw ?? '')
  console.log(`→ ${outcome} ${physicalAddress ?? ''}${repair ?? ''}\n`)
}

// Prints:
// translation is enabled  0xc7000000
// translation table mode
// root entry 0x1002010 0x0000000000000000000000000100b001
// context entry 0x100b800 0x00000000000009020000000001015001
// the address is within the width of the domain
// second-stage entry of level 4 0x1015000 0x0000000001016003
// second-stage entry of level 3 0x1016000 0x0000000001017003
// second-stage entry of level 2 0x1017000 0x0000000001200083
// the result is outside the interrupt range
// → translated 0x1300000
//
// translation is enabled  0xc7000000
// translation table mode
// root entry 0x1002010 0x0000000000000000000000000100b001
// context entry 0x100b800 0x00000000000009020000000001015001
// the address is within the width of the domain
// second-stage entry of level 4 0x1015000 0x0000000001016003
// second-stage entry of level 3 0x1016000 0x0000000001017003
// second-stage entry of level 2 0x1017200 0x0000000000000000
// → fault Map the page, with W set in the second-stage entry at every level.

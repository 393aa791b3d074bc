/** The typed client: a server is asked as the library would be. Begin one with `npx northbridge serve`. */
import { createClient, NorthbridgeProblem } from 'northbridge/client'

const server = createClient({ baseUrl: process.env['NORTHBRIDGE_SERVER'] ?? 'http://127.0.0.1:8080' })
const { id: platform } = await server.createPlatform({ topology: 'one-socket-82576' })

await server.setNumVfs({ platform, function: '0000:01:00.0', numVfs: 1 })
await server.createVm({ platform, name: 'alpha', vcpus: 1, memoryMiB: 64 })
await server.attach({ platform, vm: 'alpha', function: '0000:01:10.0' })

const far = { function: '0000:01:10.0', direction: 'read', address: '0x8000000', length: 64 } as const
const { fault } = await server.dma({ platform, ...far })
console.log(fault)

try {
  await server.attach({ platform, vm: 'alpha', function: '0000:01:10.0' })
} catch (error) {
  if (error instanceof NorthbridgeProblem) console.log(error.status, error.code)
}

// Prints:
// {
//   reason: '0x06',
//   name: 'read without read permission',
//   source: '0000:01:10.0',
//   address: '0x8000000',
//   unit: 'dmar0'
// }
// 409 functionInUse

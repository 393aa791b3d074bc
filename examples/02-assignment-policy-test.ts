/** A question that otherwise needs a rack: which functions of this machine could go to a virtual machine alone? */
import { createPlatform, NorthbridgeError } from 'northbridge'

const server = createPlatform('switch-without-acs')
server.createVm({ name: 'tenant', vcpus: 1, memoryMiB: 16 })

for (const { address, kind, group } of server.functions()) {
  if (kind !== 'endpoint' && kind !== 'PF') continue
  try {
    server.attach({ vm: 'tenant', function: address })
    server.detach({ vm: 'tenant', function: address })
    console.log(`${address}  group ${group}  can go`)
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    console.log(`${address}  group ${group}  ${error.code}`)
  }
}

// Prints:
// 0000:00:1f.0  group 3  groupNotViable
// 0000:00:1f.2  group 3  groupNotViable
// 0000:03:00.0  group 5  functionNotAssignable
// 0000:04:00.0  group 6  can go
// 0000:05:00.0  group 7  can go
// 0000:08:00.0  group 12  functionNotAssignable
// 0000:09:00.0  group 13  can go
// 0000:0a:00.0  group 14  can go

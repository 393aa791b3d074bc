/** One machine, asked of four systems with the files that people have: who gets what, and what the kernel makes of it. */
import { readFileSync } from 'node:fs'
import { createPlatform } from 'northbridge'

const server = createPlatform('two-socket-82599')
const file = (name: string) => ({
  name,
  text: readFileSync(new URL(`policies/${name}`, import.meta.url), 'utf8'),
})

const ask = (count: number) =>
  server.comparePolicies({
    machine: { vm: 'web', numaNodes: [1] },
    policies: [
      { system: 'nova', files: [file('nova.conf')], needs: [{ resource: 'vf', count }] },
      {
        system: 'sriov-network-device-plugin',
        files: [file('sriovdp.json')],
        needs: [{ resource: 'intel.com/x520_vf', count }],
      },
      {
        system: 'kubernetes-topology-manager',
        files: [file('kubelet.yaml'), file('sriovdp.json')],
        needs: [{ resource: 'intel.com/x520_vf', count }],
      },
      { system: 'northbridge', files: [file('own.yaml')], needs: [{ resource: 'vf', count }] },
    ],
  }).outcomes

for (const count of [2, 5]) {
  console.log(`${count} virtual functions near NUMA node 1:`)
  for (const { system, devices, refusal } of ask(count))
    console.log(`  ${system}: ${refusal === null ? devices.join(' ') : refusal.text}`)
}

// Prints:
// 2 virtual functions near NUMA node 1:
//   nova: 0000:81:10.6 0000:81:10.4
//   sriov-network-device-plugin: 0000:01:10.0 0000:01:10.2
//   kubernetes-topology-manager: 0000:81:10.0 0000:81:10.2
//   northbridge: 0000:81:10.0 0000:81:10.2
// 5 virtual functions near NUMA node 1:
//   nova: no devices for vf:5
//   sriov-network-device-plugin: 0000:01:10.0 0000:01:10.2 0000:01:10.4 0000:01:10.6 0000:81:10.0
//   kubernetes-topology-manager: no single NUMA node can serve all devices and processors
//   northbridge: vf: 5 wanted, 4 fit and free

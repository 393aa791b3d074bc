/** libvirt's domain XML for handing a function to a virtual machine: one `<hostdev>` element per function. */
import type { HostFunction } from '../../host/index.ts'
import type { ExportedFile } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'
import { writeXml } from '../xml.ts'
import { addressAttributes, nodedevName } from './nodedev-write.ts'

/** Everything but bridges, which libvirt does not hand out. */
export const hostdevFiles = (machine: MachineView): ExportedFile[] =>
  machine.functions
    .filter(fn => fn.classCode >>> 16 !== BRIDGE_CLASS)
    .map(fn => ({ path: `${nodedevName(fn.address)}.xml`, text: hostdev(fn) }))

const BRIDGE_CLASS = 0x06

/** `managed`: libvirt takes the function from its driver and gives it back. */
const hostdev = (fn: HostFunction): string =>
  writeXml({
    name: 'hostdev',
    attributes: { mode: 'subsystem', type: 'pci', managed: 'yes' },
    children: [
      { name: 'driver', attributes: { name: 'vfio' } },
      { name: 'source', children: [{ name: 'address', attributes: addressAttributes(fn) }] },
    ],
  })

/** Writes the arguments with which QEMU builds the machine that is nearest to a powered-on one. */
import type { PcieFunction } from '../../pcie/index.ts'
import type { Topology } from '../../platform/index.ts'
import type { ExportedFile } from '../exported-file.ts'
import type { ExportedMachine } from '../machine-view.ts'
import { deviceProperties, totalVfs } from './device-arguments.ts'
import { deviceSheet } from './device-sheet.ts'
import { chooseModel } from './model-choice.ts'

const CHIPSET = new Set(['mch', 'ICH9-LPC', 'ich9-ahci', 'ICH9-SMB'])
const ICH9_SLOT = 0x1f
const EXPANDER = 'pxb-pcie'
const NETWORK_CLASS = /^0x02/

export const qemuFiles = (machine: ExportedMachine): ExportedFile[] => [
  { path: `${machine.topology.name}.args`, text: qemuArguments(machine) },
]

export const qemuArguments = (machine: ExportedMachine): string => new ArgumentWriter(machine).text()

/** A further root bus. */
interface Expander {
  readonly id: string
  readonly bus: number
  readonly numaNode: number
  readonly bypass: boolean
}

class ArgumentWriter {
  readonly #machine: ExportedMachine
  readonly #lines: string[] = []
  readonly #expanders: Expander[] = []
  #ids = 0
  #chassis = 0
  #networks = 0

  constructor(machine: ExportedMachine) {
    this.#machine = machine
  }

  text(): string {
    const { topology, hardware } = this.#machine
    this.#lines.push(`# ${topology.name}`, '-machine q35', '-nodefaults')
    this.#processorsAndMemory(topology)
    this.#remapping(topology)
    const [main, ...others] = hardware.fabric.hostBridges
    for (const host of others) {
      const described = topology.hostBridges.find(
        ({ bus, segment }) => bus === host.bus && segment === host.segment,
      )
      if (host.segment !== main?.segment) {
        this.#lines.push(`# host bridge of segment ${host.segment}: QEMU's q35 has one segment`)
        continue
      }
      this.#expanders.push({
        id: `root${host.bus}`,
        bus: host.bus,
        numaNode: described?.numaNode ?? -1,
        bypass: described?.remappingUnit === null,
      })
    }
    if (main !== undefined) this.#bus(main.rootBus.functions, 'pcie.0')
    for (const expander of this.#expanders.splice(0)) this.#expander(expander, undefined)
    for (const host of others) {
      if (host.segment === main?.segment) this.#bus(host.rootBus.functions, `root${host.bus}`)
    }
    const { commandLine } = topology.host
    if (commandLine !== '') this.#lines.push(`-append '${commandLine.replaceAll("'", "'\\''")}'`)
    return `${this.#lines.join('\n')}\n`
  }

  #processorsAndMemory({ processors, memory }: Topology): void {
    const count = processors.reduce((sum, { logicalProcessors }) => sum + logicalProcessors, 0)
    const mebibytes = memory.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0)
    this.#lines.push(`-smp ${count}`, `-m ${mebibytes}M`)
    if (!memory.some(({ numaNode }) => numaNode >= 0)) return
    let next = 0
    for (const { numaNode, sizeMiB } of memory) {
      const id = `ram${numaNode}`
      const of = processors.filter(socket => socket.numaNode === numaNode)
      const cpus = of.reduce((sum, { logicalProcessors }) => sum + logicalProcessors, 0)
      const range = cpus === 0 ? '' : `,cpus=${next}${cpus > 1 ? `-${next + cpus - 1}` : ''}`
      next += cpus
      this.#lines.push(`-object memory-backend-ram,id=${id},size=${sizeMiB}M`)
      this.#lines.push(`-numa node,nodeid=${numaNode},memdev=${id}${range}`)
    }
  }

  #remapping({ iommu }: Topology): void {
    if (iommu.kind === 'none') return
    if (iommu.kind === 'gart') {
      this.#lines.push('# the address-range unit has no counterpart in QEMU')
      return
    }
    if (iommu.kind === 'amd') {
      this.#lines.push('-device amd-iommu,intremap=on')
      return
    }
    const [unit, ...more] = iommu.units
    if (more.length > 0) this.#lines.push(`# ${more.length + 1} remapping units: QEMU has one`)
    const has = (name: 'CM' | 'SC' | 'EIM' | 'DT' | 'SMTS' | 'FSTS'): boolean =>
      (unit?.capabilities?.[name] ?? 0) === 1
    const width = (unit?.capabilities?.MGAW ?? 47) + 1
    const properties = [
      `intremap=${iommu.interruptRemapping ? 'on' : 'off'}`,
      ...(width === 48 ? [] : [`aw-bits=${width <= 39 ? 39 : 48}`]),
      ...(has('CM') ? ['caching-mode=on'] : []),
      ...(has('SC') ? ['snoop-control=on'] : []),
      ...(has('EIM') ? ['eim=on'] : []),
      ...(has('DT') ? ['device-iotlb=on'] : []),
      ...(has('SMTS') ? ['scalable-mode=on'] : []),
      ...(has('FSTS') ? ['fsts=on'] : []),
    ]
    this.#lines.push(`-device intel-iommu,${properties.join(',')}`)
  }

  #bus(functions: readonly PcieFunction[], bus: string): void {
    for (const fn of functions) this.#device(fn, bus)
  }

  #device(fn: PcieFunction, bus: string): void {
    const address = `${(fn.devfn >>> 3).toString(16)}.${fn.devfn & 7}`
    const { driver, standsIn } = chooseModel(fn)
    if (bus === 'pcie.0') {
      if (CHIPSET.has(driver) && (fn.devfn === 0 || fn.devfn >>> 3 === ICH9_SLOT)) return
      if (driver === 'amd-iommu') return
      if (fn.devfn === 0 || fn.devfn >>> 3 === ICH9_SLOT) {
        this.#lines.push(`# ${fn.definition.model} at ${address}: q35 has a function of its own there`)
        return
      }
    } else if (fn.kind === 'hostBridge') {
      this.#lines.push(`# ${fn.definition.model} at ${address} of ${bus}: QEMU has no host bridge there`)
      return
    }
    if (driver === EXPANDER) {
      const expander = this.#expanders.shift()
      if (expander !== undefined) this.#expander(expander, address)
      return
    }
    const sheet = deviceSheet(driver)
    if (standsIn !== undefined) this.#lines.push(`# ${driver} stands in for ${standsIn}`)
    const properties = deviceProperties(fn, sheet, ++this.#chassis).map(([name, value]) => `${name}=${value}`)
    if (NETWORK_CLASS.test(sheet.header.classCode)) {
      const id = `net${this.#networks++}`
      this.#lines.push(`-netdev hubport,hubid=0,id=${id}`)
      properties.unshift(`netdev=${id}`)
    }
    if (driver === 'nvme') this.#nvme(fn, properties)
    const id = `dev${this.#ids++}`
    if (driver.startsWith('virtio') && fn.definition.sriov !== undefined)
      this.#composedFunctions(fn, driver, id, bus)
    this.#lines.push(
      [`-device ${driver}`, `id=${id}`, `bus=${bus}`, `addr=${address}`, ...properties].join(','),
    )
    if (fn.secondary !== undefined) this.#bus(fn.secondary.functions, id)
  }

  #nvme(fn: PcieFunction, properties: string[]): void {
    const serial = `serial${this.#ids}`
    if (fn.definition.sriov !== undefined) {
      const subsystem = `subsystem${this.#ids}`
      this.#lines.push(`-device nvme-subsys,id=${subsystem},nqn=${subsystem}`)
      properties.unshift(`subsys=${subsystem}`)
    }
    properties.unshift(`serial=${serial}`)
  }

  /** Virtual functions of virtio are devices that name their physical one. */
  #composedFunctions(fn: PcieFunction, driver: string, id: string, bus: string): void {
    const { nonAri } = fn.definition.sriov!
    const total = totalVfs(fn)
    for (let i = 0; i < total; i++) {
      const devfn = fn.devfn + nonAri.offset + i * nonAri.stride
      const network = `net${this.#networks++}`
      this.#lines.push(`-netdev hubport,hubid=0,id=${network}`)
      const address = `${(devfn >>> 3).toString(16)}.${devfn & 7}`
      this.#lines.push(
        `-device ${driver},netdev=${network},bus=${bus},addr=${address},sriov-pf=${id},iommu_platform=on`,
      )
    }
  }

  #expander({ id, bus, numaNode, bypass }: Expander, address: string | undefined): void {
    const properties = [
      `id=${id}`,
      'bus=pcie.0',
      `bus_nr=${bus}`,
      ...(numaNode < 0 ? [] : [`numa_node=${numaNode}`]),
      ...(bypass ? ['bypass_iommu=on'] : []),
      ...(address === undefined ? [] : [`addr=${address}`]),
    ]
    this.#lines.push(`-device ${EXPANDER},${properties.join(',')}`)
  }
}

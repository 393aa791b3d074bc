/** The software of one boot: firmware's, then the host kernel, the hypervisor, and what stands on them. */
import type { Saved } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import { describeReport, runFirmware } from '../firmware/index.ts'
import { guestHypervisor, guestKernel } from '../guest/index.ts'
import { HostKernel } from '../host/index.ts'
import { Hypervisor, Networking } from '../hypervisor/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import type { Platform, Topology } from '../platform/index.ts'
import { bootVfs } from './boot-vfs.ts'
import { hostOptions } from './host-options.ts'
import { type DiskHost, VmDisks } from './storage/index.ts'
import { unitMaker } from './virtual-units/unit-maker.ts'

/** What virtual machines can run. */
const PROGRAMS = { kernel: guestKernel, hypervisor: guestHypervisor } as const

/** The machine that it runs on. */
export interface SoftwareGround {
  readonly topology: Topology
  readonly hardware: Platform
  readonly engine: Engine
  /** Folder of the files that disks may be put on. */
  readonly files: string | undefined
  functionAt(address: string): PcieFunction
}

export interface PlatformSoftware {
  readonly host: HostKernel
  readonly hypervisor: Hypervisor
  readonly networking: Networking
  readonly disks: VmDisks
}

/** Undefined while the platform is off. */
export type SavedSoftware = { readonly [Part in keyof PlatformSoftware]: Saved | undefined }

/** Throws what the kernel's boot does. */
export function* bootSoftware(ground: SoftwareGround): Software<PlatformSoftware> {
  const { topology, hardware, engine } = ground
  const { port } = hardware
  const report = yield* runFirmware(port)
  for (const sentence of describeReport(report)) engine.trace.emit('firmware', sentence)
  const options = hostOptions(topology, hardware, engine)
  const host = new HostKernel(port, { ...options, bootVfs: bootVfs(hardware) })
  yield* host.boot()
  const hypervisor = new Hypervisor(port, host, engine, PROGRAMS, unitMaker(hardware.memory, engine))
  const networking = new Networking(host, hypervisor, engine)
  return { host, hypervisor, networking, disks: new VmDisks(diskHost(ground, host, hypervisor)) }
}

/** The software as it was when it was saved, on hardware of that moment. Throws `invalidDocument`. */
export function restoreSoftware(ground: SoftwareGround, saved: SavedSoftware): PlatformSoftware | undefined {
  const { topology, hardware, engine } = ground
  const { port } = hardware
  if (saved.host === undefined) return undefined
  const host = HostKernel.restore(port, hostOptions(topology, hardware, engine), saved.host)
  const hypervisor = Hypervisor.restore(
    port,
    host,
    engine,
    PROGRAMS,
    saved.hypervisor!,
    unitMaker(hardware.memory, engine),
  )
  const networking = Networking.restore(host, hypervisor, engine, saved.networking!)
  const disks = VmDisks.restore(diskHost(ground, host, hypervisor), saved.disks!)
  return { host, hypervisor, networking, disks }
}

export const saveSoftware = (software: PlatformSoftware | undefined): SavedSoftware => ({
  host: software?.host.save(),
  hypervisor: software?.hypervisor.save(),
  networking: software?.networking.save(),
  disks: software?.disks.save(),
})

const diskHost = (ground: SoftwareGround, host: HostKernel, hypervisor: Hypervisor): DiskHost => ({
  host,
  hypervisor,
  port: ground.hardware.port,
  files: ground.files,
  functionAt: address => ground.functionAt(address),
})

/** What whoever converts a machine may choose. */

import { NETWORK_MODELS } from '../../../hypervisor/index.ts'
import { DISK_MODELS } from '../../storage/index.ts'

/** `keepDriver`: a device that the driver of before runs. */
export const NETWORK_CHOICES = ['keepDriver', ...NETWORK_MODELS] as const
export type NetworkChoice = (typeof NETWORK_CHOICES)[number]
export const DISK_CHOICES = ['keepDriver', ...DISK_MODELS] as const
export type DiskChoice = (typeof DISK_CHOICES)[number]

export const CONVERSION_WAYS = ['p2v', 'v2v', 'v2p'] as const
export type ConversionWay = (typeof CONVERSION_WAYS)[number]

/** One network interface, by its address: virt-v2v's `--mac`. */
export interface InterfaceChoice {
  readonly model?: NetworkChoice
  readonly switch?: string
  readonly function?: string
}

export interface ConversionOptions {
  readonly way: ConversionWay
  /** The virtual machine that is converted. */
  readonly vm?: string
  /** Of the virtual machine that comes of it; default: as before. */
  readonly name?: string
  readonly vcpus?: number
  readonly memoryMiB?: number
  /** Models in order of preference; the first that the target can give is taken. */
  readonly network: readonly NetworkChoice[]
  readonly disks: readonly DiskChoice[]
  /** Of the target, for interfaces that were behind no switch, or behind one that it does not have. */
  readonly switch?: string
  readonly interfaces: Readonly<Record<string, InterfaceChoice>>
  /** Where the disk goes, if not into memory of the host. What is there is overwritten. */
  readonly disk?: { readonly function: string; readonly namespace?: number }
}

export const CONVERSION_DEFAULTS = {
  network: ['keepDriver', 'paravirtual', 'emulated'],
  disks: ['keepDriver', 'paravirtual', 'emulation'],
  interfaces: {},
} as const satisfies Partial<ConversionOptions>

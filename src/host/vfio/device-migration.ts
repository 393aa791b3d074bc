/**
 * "VFIO device migration", version 2: the states in which a function's own state is taken out of it, or put into it, and the
 * arcs between them. A variant driver knows how that is done with its device (as mlx5_vfio_pci does with its own); there is
 * one here, for the copier.
 */
import { assert, NorthbridgeError, type PageNumber } from '../../core/index.ts'
import {
  COPIER_IDS,
  MIGRATION,
  MIGRATION_IDENTITY,
  MIGRATION_VERSION,
  MIGRATION_WINDOW,
} from '../../devices/formats/copier.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { AssignedFunction } from '../types.ts'

/** As `enum vfio_device_mig_state` names them; peer-to-peer states are for devices that send to each other. */
export const MIGRATION_STATES = ['RUNNING', 'PRE_COPY', 'STOP', 'STOP_COPY', 'RESUMING', 'ERROR'] as const
export type MigrationState = (typeof MIGRATION_STATES)[number]

/** Arcs that a driver carries out; others are made of them. */
const ARCS: Readonly<Record<MigrationState, readonly MigrationState[]>> = {
  RUNNING: ['STOP', 'PRE_COPY'],
  PRE_COPY: ['RUNNING', 'STOP_COPY'],
  STOP: ['RUNNING', 'STOP_COPY', 'RESUMING'],
  STOP_COPY: ['STOP'],
  RESUMING: ['STOP'],
  ERROR: [],
}

/** Where the window lies in a BAR whose pages are not given to guests. */
export interface WindowPlace {
  readonly bar: number
  readonly offset: number
  readonly size: number
}

const WINDOW: WindowPlace = { bar: 0, offset: MIGRATION_WINDOW, size: 0x1000 }

export class DeviceMigration {
  readonly window: WindowPlace = WINDOW
  readonly #machine: MachinePort
  readonly #base: number
  readonly #name: string
  #state: MigrationState = 'RUNNING'

  private constructor(machine: MachinePort, base: number, name: string) {
    this.#machine = machine
    this.#base = base
    this.#name = name
  }

  /** Undefined for a function that no driver can migrate. */
  static of(machine: MachinePort, { function: fn, regions }: AssignedFunction): DeviceMigration | undefined {
    if (fn.vendorId !== COPIER_IDS.vendorId || fn.deviceId !== COPIER_IDS.deviceId) return undefined
    const region = regions.find(({ index }) => index === WINDOW.bar)
    if (region === undefined) return undefined
    return new DeviceMigration(machine, region.hostAddress + WINDOW.offset, fn.address)
  }

  get state(): MigrationState {
    return this.#state
  }

  /** The device is in the state of that moment. */
  load(state: MigrationState): void {
    this.#state = state
  }

  #read(register: number): number {
    return this.#machine.readDword(this.#base + register)
  }

  #write(register: number, value: number): void {
    this.#machine.writeDword(this.#base + register, value)
  }

  /** Whether the window is there, and speaks this language: what is in a slot may be another device by now. */
  get answers(): boolean {
    return (
      this.#read(MIGRATION.identity) === MIGRATION_IDENTITY &&
      this.#read(MIGRATION.version) === MIGRATION_VERSION
    )
  }

  /** Goes to a state by the shortest way. Throws `invalidArgument` where there is none, with nothing changed. */
  set(target: MigrationState): void {
    const way = wayTo(this.#state, target)
    if (way === undefined) {
      throw new NorthbridgeError(
        'invalidArgument',
        `${this.#name} does not get from ${this.#state} to ${target}`,
      )
    }
    for (const next of way) this.#step(next)
  }

  #step(next: MigrationState): void {
    const before = this.#state
    this.#state = next
    switch (next) {
      case 'RUNNING':
      case 'PRE_COPY':
        this.#write(MIGRATION.run, 1)
        return
      case 'STOP':
        this.#write(MIGRATION.run, 0)
        if (before === 'RESUMING') this.#commit()
        return
      case 'STOP_COPY':
      case 'RESUMING':
        this.#write(MIGRATION.run, 0)
        this.#write(MIGRATION.index, 0)
    }
  }

  #commit(): void {
    this.#write(MIGRATION.commit, 1)
    if (this.#read(MIGRATION.commit) !== 1) this.#state = 'ERROR'
  }

  /** The device's state: whole in STOP_COPY; in PRE_COPY as it is at this moment, to be read again. */
  readState(): Uint32Array {
    assert(this.#state === 'STOP_COPY' || this.#state === 'PRE_COPY', 'a state is read while it may be')
    this.#write(MIGRATION.index, 0)
    return Uint32Array.from({ length: this.#read(MIGRATION.size) }, () => this.#read(MIGRATION.data))
  }

  /** Throws `invalidDocument` for a state of another size. */
  writeState(state: Uint32Array): void {
    assert(this.#state === 'RESUMING', 'a state is written while it may be')
    if (state.length !== this.#read(MIGRATION.size)) {
      throw new NorthbridgeError('invalidDocument', `the state is not one of a device like ${this.#name}`)
    }
    for (const word of state) this.#write(MIGRATION.data, word)
  }

  /** Begins, or ends, to log pages that the device writes. */
  log(on: boolean): void {
    this.#write(MIGRATION.log, on ? 1 : 0)
  }

  /** Pages that the device has written since the last call; undefined: more than it could remember. */
  takeLog(): PageNumber[] | undefined {
    const pages: PageNumber[] = []
    for (let left = this.#read(MIGRATION.logCount); left > 0; left--) {
      const low = this.#read(MIGRATION.logLow)
      pages.push(this.#read(MIGRATION.logHigh) * 2 ** 32 + low)
    }
    if (this.#read(MIGRATION.logOverflow) === 0) return pages
    this.#write(MIGRATION.logOverflow, 1)
    return undefined
  }
}

/** States on the shortest way, without the first; undefined: there is none. */
function wayTo(from: MigrationState, to: MigrationState): readonly MigrationState[] | undefined {
  if (from === to) return []
  const ways: MigrationState[][] = [[from]]
  const seen = new Set<MigrationState>([from])
  for (const way of ways) {
    for (const next of ARCS[way.at(-1)!]) {
      if (seen.has(next)) continue
      seen.add(next)
      if (next === to) return [...way.slice(1), next]
      ways.push([...way, next])
    }
  }
  return undefined
}

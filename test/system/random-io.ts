/** Networking and storage of a platform under random commands. */
import { bytesToHex } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import { execute, type InputOf, type OperationId } from '../../src/operations/index.ts'
import type { RandomWorld } from './random-world.ts'

/** @param input without the platform */
const call = <Id extends OperationId>(world: RandomWorld, id: Id, input: Omit<InputOf<Id>, 'platform'>) =>
  drive(execute(world.context, id, { platform: world.here, ...input } as unknown as InputOf<Id>), () => false)

const networkPort = (world: RandomWorld, n: number): string =>
  world.fn(n, kind => kind === 'PF' || kind === 'endpoint')

const macOf = (n: number): string => `02:00:00:00:00:${(n % 16).toString(16).padStart(2, '0')}`
const switchOf = (n: number): string => `vs${n % 2}`

/** Sends on a wire, or from a guest; what became of it is told but for who did it in which order. */
function sendFrame(world: RandomWorld, a: number, b: number, c: number) {
  const who = c % 3 === 0 ? { vm: world.vm(a) } : { function: networkPort(world, a) }
  const to = c % 7 === 0 ? 'ff:ff:ff:ff:ff:ff' : macOf(b)
  const length = [60, 400, 1514][c % 3]!
  const vlan = c % 5 === 0 ? { vlan: 10 } : {}
  const { steps, ...ends } = call(world, 'traceFrame', { ...who, to, length, ...vlan })
  return { ...ends, steps: steps.length }
}

export const IO_COMMANDS = {
  createSwitch: (world: RandomWorld, a: number, b: number, c: number) => {
    const uplinks =
      c % 4 === 0 ? [] : [networkPort(world, b), ...(c % 3 === 0 ? [networkPort(world, b + 1)] : [])]
    return call(world, 'createSwitch', { name: switchOf(a), uplinks })
  },
  deleteSwitch: (world: RandomWorld, a: number) => call(world, 'deleteSwitch', { switch: switchOf(a) }),
  addNetworkDevice: (world: RandomWorld, a: number, b: number, c: number) => {
    const model = (['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct'] as const)[b % 5]!
    const where =
      model === 'emulated' || model === 'paravirtual'
        ? { switch: switchOf(c) }
        : { function: model === 'sriov' ? world.fn(c, kind => kind === 'VF') : networkPort(world, c) }
    const vlan = c % 4 === 0 ? { vlan: 10 } : {}
    const device = { vm: world.vm(a), model, mac: macOf(a + b), ringEntries: 8 + 8 * (c % 3) }
    return call(world, 'addNetworkDevice', { ...device, ...where, ...vlan })
  },
  removeNetworkDevice: (world: RandomWorld, a: number, b: number) =>
    call(world, 'removeNetworkDevice', { vm: world.vm(a), slot: 1 + (b % 3) }),
  sendFrame,
  setCable: (world: RandomWorld, a: number, b: number) =>
    call(world, 'setCable', {
      function: networkPort(world, a),
      cable: b % 3 === 0 ? 'pulled' : 'plugged',
    }),
  setVf: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'setVf', {
      function: world.fn(a, kind => kind === 'PF'),
      vf: b % 3,
      spoofCheck: c % 2 === 0,
      ...(c % 3 === 0 && { vlan: c % 30 }),
    }),
  openDisk: (world: RandomWorld, a: number, b: number, c: number) => {
    const model = (['emulation', 'paravirtual', 'queuePair', 'virtualFunction', 'direct'] as const)[b % 5]!
    const emulated = model === 'emulation' || model === 'paravirtual'
    const wanted = (kind: string): boolean => (model === 'virtualFunction' ? kind === 'VF' : kind === 'PF')
    const fn = emulated && c % 2 === 0 ? {} : { function: world.fn(c, wanted) }
    return call(world, 'openDisk', { vm: world.vm(a), model, ...fn })
  },
  closeDisk: (world: RandomWorld, a: number) => call(world, 'closeDisk', { vm: world.vm(a) }),
  readBlocks: (world: RandomWorld, a: number, b: number, c: number) =>
    call(world, 'readBlocks', { vm: world.vm(a), sector: b % 64, count: 1 + (c % 16) }),
  writeBlocks: (world: RandomWorld, a: number, b: number, c: number) => {
    const data = bytesToHex(new Uint8Array(512 * (1 + (c % 4))).fill(c))
    return call(world, 'writeBlocks', { vm: world.vm(a), sector: b % 64, data })
  },
}

export const IO_WEIGHTS: Readonly<Record<keyof typeof IO_COMMANDS, number>> = {
  createSwitch: 3,
  deleteSwitch: 1,
  addNetworkDevice: 7,
  removeNetworkDevice: 1,
  sendFrame: 6,
  setCable: 2,
  setVf: 1,
  openDisk: 6,
  closeDisk: 1,
  readBlocks: 3,
  writeBlocks: 3,
}

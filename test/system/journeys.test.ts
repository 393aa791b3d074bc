/** The journeys of one frame and of one block under each model: what happens in which order, and what it costs. */
import { describe, expect, it } from 'vitest'
import { createNorthbridge, type InputOf, type Northbridge, type OutputOf } from '../../src/index.ts'

const P = { platform: 'p' }
const NIC = '0000:01:00.0'
const VF = '0000:01:10.0'
const MAC = '02:00:00:00:00:a0'

type Journey = Pick<OutputOf<'traceFrame'>, 'steps'>

const machine = (topology: string): Northbridge => {
  const northbridge = createNorthbridge()
  northbridge.createPlatform({ topology, name: 'p' })
  northbridge.createVm({ ...P, name: 'a', vcpus: 1, memoryMiB: 16 })
  return northbridge
}

/** The steps in words: who, what, and the reason of an exit. The way of a message has more than one step: it is left out. */
const story = ({ steps }: Journey): string[] =>
  steps.flatMap(({ at, step, detail }) => {
    if (step === 'interrupt' && at === 'machine') return []
    const who = at.startsWith('0000:') ? at.slice(5) : at
    if (step === 'exit') return [`${who} exit ${String(detail['handledBy'])}`]
    if (step === 'interrupt' && typeof detail['message'] === 'string') {
      return [`${who} ${/pending|injected|handled/.exec(detail['message'])?.[0] ?? detail['message']}`]
    }
    return [`${who} ${step}`]
  })

describe('a frame from the wire', () => {
  const trace = (model: InputOf<'addNetworkDevice'>['model']): OutputOf<'traceFrame'> => {
    const northbridge = machine('one-socket-82576')
    if (model === 'sriov') northbridge.setNumVfs({ ...P, function: NIC, numVfs: 1 })
    const switched = model === 'emulated' || model === 'paravirtual'
    if (switched) northbridge.createSwitch({ ...P, name: 'vs0', uplinks: [NIC] })
    const where = switched ? { switch: 'vs0' } : { function: model === 'sriov' ? VF : NIC }
    const { mac } = northbridge.addNetworkDevice({ ...P, vm: 'a', model, mac: MAC, ...where })
    // The second finds translations and addresses known.
    northbridge.traceFrame({ ...P, function: NIC, to: mac })
    return northbridge.traceFrame({ ...P, function: NIC, to: mac })
  }
  const sorted = ['01:00.0 fromWire', '01:00.0 classified']
  const stored = (fn: string) => [`${fn} dmaRead`, `${fn} dmaWrite`, `${fn} dmaWrite`, '01:00.0 stored']
  const told = (fn: string) => [`${fn} message`, '01:00.0 interrupt']
  const taken = ['a injected']
  const handled = ['a exit virtualApic', 'a handled', 'a exit halt']
  const same = { dmaReads: 1, dmaWrites: 2, iotlbLookups: 3, iotlbHits: 3, tableReads: 0, interrupts: 1 }

  it('full emulation: the host’s driver, the switch, a copy, and an exit for each register of the card', () => {
    const journey = trace('emulated')
    expect(journey).toMatchObject({ ...same, copies: 1, copiedBytes: 60, exits: 6 })
    const registers = Array<string>(4).fill('a exit e1000')
    const between = story(journey).filter(step => !step.includes('register'))
    expect(between).toEqual([
      ...sorted,
      ...stored('01:00.0'),
      ...told('01:00.0'),
      'vs0 forwarded',
      'e1000 copied',
      'a pending',
      ...taken,
      ...registers,
      ...handled,
    ])
  })

  it('paravirtual: the same, but no register of the card is touched', () => {
    const journey = trace('paravirtual')
    expect(journey).toMatchObject({ ...same, copies: 1, copiedBytes: 60, exits: 2 })
    expect(story(journey).filter(step => step.startsWith('a exit'))).toEqual([
      'a exit virtualApic',
      'a exit halt',
    ])
    expect(story(journey)).toContain('vs0 forwarded')
  })

  it('VMDq: the adapter chose the guest’s queue, no switch is asked, the hypervisor copies', () => {
    const journey = trace('vmdq')
    expect(journey).toMatchObject({ ...same, copies: 1, copiedBytes: 60, exits: 2 })
    const { detail } = journey.steps.find(({ step }) => step === 'stored')!
    // Pool 0 is the host's.
    expect(detail['pool']).not.toBe(0)
    expect(story(journey).filter(step => step.includes('vs0'))).toEqual([])
  })

  it('SR-IOV: the virtual function writes guest memory itself, nobody copies', () => {
    const journey = trace('sriov')
    expect(journey).toMatchObject({ ...same, copies: 0, copiedBytes: 0 })
    expect(story(journey).filter(step => !step.includes('register'))).toEqual([
      ...sorted,
      ...stored('01:10.0'),
      ...told('01:10.0'),
      'a pending',
      ...taken,
      ...handled,
    ])
    expect(journey.registerReads + journey.registerWrites).toBeGreaterThan(0)
  })

  it('direct assignment: the same with the whole adapter', () => {
    const journey = trace('direct')
    expect(journey).toMatchObject({ ...same, copies: 0, copiedBytes: 0 })
    expect(story(journey)).toContain('01:00.0 dmaWrite')
  })
})

describe('a block that a guest reads', () => {
  const SSD = '0000:01:00.0'
  const SECONDARY = '0000:01:00.1'
  const OTHER = '0000:02:00.0'
  const trace = (
    model: InputOf<'openDisk'>['model'],
    address: string,
    input: Partial<InputOf<'traceBlock'>> = {},
  ): OutputOf<'traceBlock'> => {
    const northbridge = machine('nvme-sriov')
    if (model === 'direct') northbridge.setNumVfs({ ...P, function: address, numVfs: 0 })
    northbridge.openDisk({ ...P, vm: 'a', model, function: address })
    northbridge.traceBlock({ ...P, vm: 'a', sector: 0, count: 8 })
    return northbridge.traceBlock({ ...P, vm: 'a', sector: 40, ...input })
  }
  const served = (fn: string) => [
    `${fn} registerWrite`,
    `${fn} dmaRead`,
    `${fn} command`,
    `${fn} dmaWrite`,
    `${fn} dmaWrite`,
    `${fn} completed`,
    `${fn} message`,
  ]
  const bySilicon = (fn: string) => [
    ...served(fn),
    'a exit hostInterrupt',
    'a pending',
    'a injected',
    'a exit virtualApic',
    'a handled',
    `${fn} registerWrite`,
    'a exit halt',
  ]
  const same = { dmaReads: 1, dmaWrites: 2, iotlbLookups: 3, iotlbHits: 3, tableReads: 0, interrupts: 1 }

  it('full emulation: within the exit that started it the host’s driver reads, and the hypervisor copies', () => {
    const journey = trace('emulation', SSD, { count: 8 })
    expect(journey).toMatchObject({ ...same, outcome: 'completed', exits: 8, copies: 1, copiedBytes: 4096 })
    expect(story(journey)).toEqual([
      'a exit ahci',
      // CSTS, twice: a driver looks whether its controller is alive.
      '01:00.0 registerRead',
      '01:00.0 registerRead',
      ...served('01:00.0'),
      '01:00.0 registerWrite',
      'a copied',
      'a pending',
      'a injected',
      ...Array<string>(4).fill('a exit ahci'),
      'a exit virtualApic',
      'a handled',
      'a exit ahci',
      'a exit halt',
    ])
  })

  it('paravirtual: one exit, for the notification', () => {
    const journey = trace('paravirtual', SSD, { count: 8 })
    expect(journey).toMatchObject({ ...same, outcome: 'completed', exits: 3, copies: 1, copiedBytes: 4096 })
    expect(story(journey).filter(step => step === 'a exit virtio-blk').length).toBe(1)
  })

  it('a queue pair of the host’s controller: one exit for the notification, and the controller writes into the guest', () => {
    const journey = trace('queuePair', SSD, { count: 8 })
    expect(journey).toMatchObject({ ...same, outcome: 'completed', exits: 3, copies: 0 })
    expect(story(journey).filter(step => step.startsWith('a exit'))).toEqual([
      'a exit virtio-blk',
      'a exit virtualApic',
      'a exit halt',
    ])
    const { detail } = journey.steps.find(({ step }) => step === 'command')!
    // Queue 1 is the host's own.
    expect(detail['queue']).not.toBe(1)
  })

  it('SR-IOV: the guest rings a doorbell of the virtual function, no exit, no copy', () => {
    const journey = trace('virtualFunction', SECONDARY, { count: 8 })
    expect(journey).toMatchObject({ ...same, exits: 3, copies: 0, registerReads: 0, registerWrites: 2 })
    expect(story(journey)).toEqual(bySilicon('01:00.1'))
  })

  it('direct assignment: the same with a controller of its own', () => {
    const journey = trace('direct', OTHER, { count: 8 })
    expect(journey).toMatchObject({ ...same, exits: 3, copies: 0, registerReads: 0, registerWrites: 2 })
    expect(story(journey)).toEqual(bySilicon('02:00.0'))
  })

  it('is written the other way round: data is read from the guest', () => {
    const journey = trace('virtualFunction', SECONDARY, { data: 'a5'.repeat(512) })
    expect(journey).toMatchObject({ outcome: 'completed', dmaReads: 2, dmaWrites: 1, copies: 0 })
    expect(journey.steps.find(({ step }) => step === 'command')!.detail).toMatchObject({
      opcode: 'write',
      firstBlock: 40,
      blocks: 1,
    })
  })

  it('is refused with the field, and leaves no trace', () => {
    const northbridge = machine('nvme-sriov')
    const before = northbridge.platformState(P)
    expect(() => northbridge.traceBlock({ ...P, vm: 'a', sector: 0 })).toThrow('a has no disk')
    expect(northbridge.platformState(P)).toEqual(before)
    northbridge.openDisk({ ...P, vm: 'a', model: 'paravirtual' })
    const open = northbridge.platformState(P)
    const refused = (input: Partial<InputOf<'traceBlock'>>) => () =>
      northbridge.traceBlock({ ...P, vm: 'a', sector: 0, ...input })
    expect(refused({ data: 'a5' })).toThrow('whole sectors')
    expect(refused({ data: 'a5'.repeat(512), count: 2 })).toThrow('/count')
    expect(northbridge.platformState(P)).toEqual(open)
  })
})

/** A platform under random commands: what tests of saving and restoring do to a world. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { digest, NorthbridgeError, type Saved } from '../../src/core/index.ts'
import { drive, type Software, type TraceEvent, within } from '../../src/engine/index.ts'
import { execute, installation } from '../../src/operations/index.ts'
import { parseTopology, type Topology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { IO_COMMANDS, IO_WEIGHTS } from './random-io.ts'
import { MEMORY_COMMANDS, MEMORY_WEIGHTS } from './random-memory.ts'
import { MOVE_COMMANDS, MOVE_WEIGHTS } from './random-moves.ts'

/** What is done, and three numbers that choose to whom and how. */
export interface Command {
  readonly kind: CommandKind
  readonly a: number
  readonly b: number
  readonly c: number
}

export interface Outcome {
  readonly command: string
  readonly result: unknown
}

function shipped(name: string, host: object = {}): Topology {
  const path = join(import.meta.dirname, '../../topologies', `${name}.json`)
  const document = JSON.parse(readFileSync(path, 'utf8'))
  return parseTopology({ ...document, host: { ...document.host, ...host } })
}

/** Servers whose kernels work in different ways. */
export const TOPOLOGIES: readonly (() => Topology)[] = [
  () => shipped('one-socket-82576'),
  () => shipped('hot-plug'),
  () => shipped('accelerator-two-units'),
  () => shipped('hot-plug', { commandLine: 'intel_iommu=on iommu.strict=1', kernel: '7.2' }),
  () => shipped('trusted-switch'),
  () => shipped('one-socket-82576', { commandLine: 'intel_iommu=on iommu=pt', kernel: '7.2+bus-isolation' }),
  () => shipped('gart-aperture'),
  () => shipped('legacy-bridge'),
  () => shipped('nvme-sriov'),
]

export class RandomWorld {
  readonly platform: SimulatedPlatform
  /** For commands that are operations. */
  readonly context = installation()
  readonly #seen: TraceEvent[] = []

  private constructor(platform: SimulatedPlatform) {
    this.platform = platform
    this.context.platforms.reserve('p')
    this.context.platforms.set('p', { id: 'p', running: platform })
    platform.engine.trace.follow(event => this.#seen.push(event))
  }

  static create(topology: Topology): RandomWorld {
    const made = SimulatedPlatform.create(topology, { id: 'p', name: 'p' })
    return new RandomWorld(drive(made, () => false))
  }

  static restore(topology: Topology, saved: Saved): RandomWorld {
    const made = SimulatedPlatform.restore(topology, { id: 'p', name: 'p' }, saved)
    return new RandomWorld(drive(made, () => false))
  }

  run<Result>(software: Software<Result>): Result {
    return drive(within(this.platform.engine, software), () => false)
  }

  /** Carries commands out, and tells everything that can be seen of it. */
  follow(commands: readonly Command[]): { readonly outcomes: Outcome[]; readonly trace: string } {
    const from = this.#seen.length
    const outcomes = commands.map(command => this.do(command))
    return { outcomes, trace: digest(JSON.parse(JSON.stringify(this.#seen.slice(from))) as Saved) }
  }

  do({ kind, a, b, c }: Command): Outcome {
    const command = `${kind} ${a} ${b} ${c}`
    try {
      return { command, result: plain(COMMANDS[kind](this, a, b, c)) }
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw new Error(`${command}: ${(error as Error).stack}`)
      return { command, result: { code: error.code, message: error.message } }
    }
  }

  // Whom a number chooses.

  vm(n: number): string {
    const vms = this.platform.hypervisor.vms()
    return vms.length === 0 ? 'nobody' : vms[n % vms.length]!.name
  }

  vcpu(vm: string, n: number): number {
    const found = this.platform.hypervisor.vms().find(({ name }) => name === vm)
    return found === undefined ? 0 : n % found.vcpus.length
  }

  fn(n: number, wanted: (kind: string) => boolean = () => true): string {
    const functions = this.platform.host.functions().filter(({ kind }) => wanted(kind))
    return functions.length === 0 ? '0000:ff:1f.7' : functions[n % functions.length]!.address
  }

  endpoint(n: number): string {
    return this.fn(n, kind => kind === 'VF' || kind === 'PF' || kind === 'endpoint')
  }

  /** One that a virtual machine has, if there is any. */
  assigned(n: number): string {
    const functions = this.platform.host.functions().filter(({ owner }) => owner.kind === 'vm')
    return functions.length === 0 ? this.endpoint(n) : functions[n % functions.length]!.address
  }
}

const plain = (value: unknown): unknown =>
  value === undefined
    ? null
    : JSON.parse(
        JSON.stringify(value, (_, part) =>
          ArrayBuffer.isView(part) ? Array.from(part as Uint8Array) : part,
        ),
      )

const STREAMS: readonly (readonly Operation[])[] = [
  [{ op: 'cpuid', leaf: 1 }, { op: 'nop' }],
  [
    { op: 'write', address: 0x8000, width: 4, value: [0x1234, 0] },
    { op: 'read', address: 0x8000, width: 8 },
  ],
  [{ op: 'rdtsc' }, { op: 'cli' }],
  [{ op: 'sti' }, { op: 'hlt' }, { op: 'pause' }],
  [
    { op: 'vmcall', number: 2, argument: 7 },
    { op: 'fault', vector: 6 },
  ],
  [
    { op: 'rdmsr', msr: 0x1b },
    { op: 'wrmsr', msr: 0x830, value: [0x4_0045, 0] },
  ],
  [
    { op: 'wrmsr', msr: 0x3a, value: [5, 0] },
    { op: 'write', address: 0xa000, width: 4, value: [0x4e43, 0] },
    { op: 'write', address: 0xb000, width: 4, value: [0x4e43, 0] },
    { op: 'vmxon', address: 0xa000 },
    { op: 'vmptrld', address: 0xb000 },
    { op: 'vmwrite', field: 0x681e, value: [7, 0] },
  ],
  [{ op: 'vmread', field: 0x681e }, { op: 'vmlaunch' }],
]

const POLICY = {
  system: 'northbridge' as const,
  files: [
    {
      name: 'own.yaml',
      text: JSON.stringify({
        resources: [
          { name: 'vf', select: 'device.role == "VF"' },
          { name: 'any', select: 'device.role != "bridge"' },
        ],
      }),
    },
  ],
}

const DELIVERIES = ['emulated', 'virtualized', 'posted'] as const

const COMMANDS = {
  ...IO_COMMANDS,
  ...MOVE_COMMANDS,
  ...MEMORY_COMMANDS,
  createVm: (world: RandomWorld, a: number, b: number, c: number) => {
    const nested = c % 5 === 4
    return world.run(
      world.platform.hypervisor.createVm({
        name: `vm${a % 4}`,
        vcpus: 1 + (b % 2),
        memoryMiB: 2 + (c % 3),
        interrupts: nested ? 'emulated' : DELIVERIES[b % 3]!,
        nested,
        vmcsShadowing: nested && a % 2 === 0,
        program: nested && b % 2 === 0 ? 'hypervisor' : 'kernel',
      }),
    )
  },
  deleteVm: (world: RandomWorld, a: number) => world.run(world.platform.hypervisor.deleteVm(world.vm(a))),
  attach: (world: RandomWorld, a: number, b: number) =>
    world.run(world.platform.hypervisor.attach(world.vm(a), world.endpoint(b))),
  detach: (world: RandomWorld, a: number, b: number) =>
    world.run(world.platform.hypervisor.detach(world.vm(a), world.assigned(b))),
  requestRemoval: (world: RandomWorld, a: number, b: number, c: number) =>
    world.run(
      world.platform.hypervisor.devices.requestRemoval(world.vm(a), world.assigned(b), 1000 * (c % 3)),
    ),
  resetDevice: (world: RandomWorld, a: number, b: number) =>
    world.run(world.platform.hypervisor.devices.reset(world.vm(a), world.assigned(b))),
  chooseResets: (world: RandomWorld, a: number, b: number) =>
    world.platform.host.chooseResets(
      world.endpoint(a),
      [undefined, [], ['bus', 'flr'] as const, ['pm'] as const][b % 4],
    ),
  fatalError: (world: RandomWorld, a: number, b: number) =>
    world.run(
      world.platform.inject({
        kind: 'detectedError',
        function: world.assigned(a),
        error: b % 3 === 0 ? 'completionTimeout' : 'malformedTlp',
      }),
    ),
  dma: (world: RandomWorld, a: number, b: number, c: number) => {
    const data = new Uint8Array(1 + (c % 64)).fill(c)
    const options = { useAts: c % 3 === 0 }
    const report = world.run(
      world.platform.dma(world.assigned(a), b % 2 === 0, b % 0x800, c % 4000, data, options),
    )
    return { report, data }
  },
  interrupt: (world: RandomWorld, a: number, b: number) =>
    world.run(world.platform.fire(world.assigned(a), b % 5)),
  interruptVcpu: (world: RandomWorld, a: number, b: number, c: number) => {
    const vm = world.vm(a)
    return world.run(world.platform.hypervisor.interruptVcpu(vm, world.vcpu(vm, b), 32 + (c % 200)))
  },
  runVcpu: (world: RandomWorld, a: number, b: number, c: number) => {
    const vm = world.vm(a)
    const stream = STREAMS[c % STREAMS.length]!
    return world.run(world.platform.hypervisor.runVcpu(vm, world.vcpu(vm, b), stream))
  },
  moveVcpu: (world: RandomWorld, a: number, b: number, c: number) => {
    const vm = world.vm(a)
    const { length } = world.platform.hardware.processors
    return world.run(world.platform.hypervisor.moveVcpu(vm, world.vcpu(vm, b), c % (length + 1)))
  },
  policy: (world: RandomWorld, a: number, b: number) =>
    drive(
      execute(world.context, 'applyPolicy', {
        platforms: ['p'],
        policy: POLICY,
        ...(b % 2 === 0 && { create: { vcpus: 1, memoryMiB: 2 } }),
        requests: [
          { vm: `vm${a % 4}`, needs: [{ resource: b % 3 === 0 ? 'any' : 'vf', count: 1 + (b % 2) }] },
        ],
      }),
      () => false,
    ),
  writeGuest: (world: RandomWorld, a: number, b: number, c: number) =>
    world.platform.hypervisor.writeGuest(world.vm(a), (b % 0x300) * 0x1000 + c, new Uint8Array(16).fill(b)),
  readGuest: (world: RandomWorld, a: number, b: number) =>
    world.platform.hypervisor.readGuest(world.vm(a), (b % 0x300) * 0x1000, 64),
  setNumVfs: (world: RandomWorld, a: number, b: number) =>
    world.run(
      world.platform.host.setNumVfs(
        world.fn(a, kind => kind === 'PF'),
        b % 5,
      ),
    ),
  bind: (world: RandomWorld, a: number, b: number) =>
    world.run(world.platform.host.bind(world.endpoint(a), b % 3 === 0 ? 'pci-stub' : null)),
  bindDriver: (world: RandomWorld, a: number, b: number) =>
    world.run(
      world.platform.host.bind(world.endpoint(a), ['igb', 'igbvf', 'e1000e', 'nvme', 'accelerator'][b % 5]!),
    ),
  reset: (world: RandomWorld, a: number) => world.run(world.platform.host.reset(world.fn(a))),
  allocateBuffer: (world: RandomWorld, a: number, b: number, c: number) =>
    world.run(
      world.platform.host.allocateBuffer(world.endpoint(a), 1 + (b % 5), { read: true, write: c % 2 === 0 }),
    ),
  freeBuffer: (world: RandomWorld, a: number, b: number) => {
    const { host } = world.platform
    const held = host.functions().flatMap(fn => host.buffers(fn.address).map(one => ({ fn, one })))
    if (held.length === 0) return 'none'
    const { fn, one } = held[(a + b) % held.length]!
    return world.run(host.freeBuffer(fn.address, one.address))
  },
  flush: (world: RandomWorld) => world.run(world.platform.host.flushDeferred()),
  pullCard: (world: RandomWorld, a: number) =>
    world.run(
      world.platform.stimulate(
        world.fn(a, kind => kind === 'rootPort'),
        fn => {
          world.platform.hardware.cards.pull(fn)
          return undefined
        },
      ),
    ),
  insertCard: (world: RandomWorld, a: number, b: number) =>
    world.run(
      world.platform.stimulate(
        world.fn(a, kind => kind === 'rootPort'),
        fn =>
          world.platform.hardware.cards.insert(
            fn,
            b % 2 === 0 ? undefined : [{ at: '00.0', model: b % 4 === 1 ? 'intel-82574l' : 'intel-82576' }],
          ),
      ),
    ),
  link: (world: RandomWorld, a: number, b: number) =>
    world.run(
      world.platform.stimulate(
        world.fn(a, kind => kind === 'rootPort' || kind === 'downstreamPort'),
        fn => {
          fn.port?.sever(b % 2 === 0)
          return undefined
        },
      ),
    ),
  elapse: (world: RandomWorld, a: number, b: number) => world.run(world.platform.elapse(a * 1000 + b)),
  sanitize: (world: RandomWorld, a: number) => {
    world.platform.sanitize(a % 2 === 0)
    return world.platform.sanitizer?.findings ?? []
  },
  findings: (world: RandomWorld) => world.platform.sanitizer?.findings ?? [],
  power: (world: RandomWorld, a: number) =>
    world.run(world.platform.power(a % 4 === 0 ? 'off' : a % 4 === 1 ? 'reset' : 'on')),
}

export type CommandKind = keyof typeof COMMANDS

/** How often each comes. */
export const WEIGHTS: Readonly<Record<keyof typeof COMMANDS, number>> = {
  ...IO_WEIGHTS,
  ...MOVE_WEIGHTS,
  ...MEMORY_WEIGHTS,
  createVm: 8,
  deleteVm: 2,
  attach: 12,
  detach: 4,
  requestRemoval: 3,
  resetDevice: 2,
  chooseResets: 1,
  fatalError: 2,
  dma: 8,
  interrupt: 8,
  interruptVcpu: 3,
  runVcpu: 8,
  moveVcpu: 3,
  policy: 3,
  writeGuest: 2,
  readGuest: 1,
  setNumVfs: 5,
  bind: 2,
  bindDriver: 2,
  reset: 3,
  allocateBuffer: 5,
  freeBuffer: 4,
  flush: 1,
  pullCard: 2,
  insertCard: 3,
  link: 2,
  elapse: 1,
  sanitize: 1,
  findings: 1,
  power: 1,
}

export const KINDS = (Object.keys(WEIGHTS) as (keyof typeof COMMANDS)[]).flatMap(kind =>
  new Array<keyof typeof COMMANDS>(WEIGHTS[kind]).fill(kind),
)

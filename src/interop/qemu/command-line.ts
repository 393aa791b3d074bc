/** QEMU's command line: options, and the `key=value` lists behind them. What says nothing about PCI is left aside. */
import { type DeviceArgument, malformed, parseDevice, parseProperties, words } from './option-text.ts'

export type { DeviceArgument } from './option-text.ts'

export interface CommandLine {
  /** Machine type: `q35` or one of its versions. */
  readonly machine: string
  readonly machineProperties: ReadonlyMap<string, string>
  readonly devices: readonly DeviceArgument[]
  /** `-nodefaults`: no display adapter and network card of their own accord. */
  readonly nodefaults: boolean
  readonly memoryMiB: number
  readonly processors: number
  readonly numaNodes: readonly { readonly memoryMiB: number | undefined; readonly cpus: number }[]
  readonly vga: string | undefined
  readonly usb: boolean
  /** Kernel command line. */
  readonly append: string | undefined
  readonly globals: readonly { driver: string; property: string; value: string }[]
  /** Cards that the machine has without `-device`: of `-nic`, or its own if nothing is said of networks. */
  readonly networkCards: readonly string[]
  /** Queue pairs of each `-netdev`, by id. */
  readonly netdevQueues: ReadonlyMap<string, number>
  /** Bytes of memory objects, by id. */
  readonly objectSizes: ReadonlyMap<string, number>
}

/** Options without a value, and options with one, that configure nothing on the PCI buses. */
const FLAGS = new Set([
  'no-user-config',
  'no-reboot',
  'no-shutdown',
  'nographic',
  'S',
  's',
  'enable-kvm',
  'snapshot',
  'daemonize',
  'no-hpet',
  'no-acpi',
  'no-fd-bootchk',
  'preconfig',
])
const ASIDE = new Set([
  'accel',
  'cpu',
  'display',
  'rtc',
  'kernel',
  'initrd',
  'serial',
  'monitor',
  'mon',
  'chardev',
  'qmp',
  'qmp-pretty',
  'drive',
  'blockdev',
  'hda',
  'hdb',
  'hdc',
  'hdd',
  'cdrom',
  'boot',
  'name',
  'uuid',
  'bios',
  'pflash',
  'L',
  'd',
  'D',
  'trace',
  'msg',
  'sandbox',
  'runas',
  'chroot',
  'pidfile',
  'parallel',
  'debugcon',
  'netdev',
  'smbios',
  'acpitable',
  'fw_cfg',
  'icount',
  'overcommit',
  'watchdog-action',
  'action',
  'vnc',
  'spice',
  'k',
  'audio',
  'audiodev',
  'object',
  'add-fd',
  'set',
  'gdb',
  'incoming',
  'dtb',
  'mem-path',
  'option-rom',
  'fsdev',
  'tpmdev',
  'secret',
  'echr',
  'loadvm',
  'run-with',
  'compat',
  'plugin',
  'seed',
])

/** Reads a command line: shell words over one line or many (`\` at a line's end is a blank), comments left out. */
export function parseCommandLine(text: string): CommandLine {
  return readOptions(words(text))
}

/** What q35 has if nothing is said. */
const DEFAULT_CARD = 'e1000e'

const UNITS: Readonly<Record<string, number>> = { '': 1, m: 1, g: 1024, t: 1024 ** 2, k: 1 / 1024 }

function mebibytes(text: string): number {
  const [, digits, unit = ''] = /^([0-9.]+)([kmgt]?)b?$/i.exec(text) ?? []
  return digits === undefined
    ? malformed(`"${text}" is no amount of memory`)
    : Number(digits) * UNITS[unit.toLowerCase()]!
}

function processorsOf(text: string): number {
  const smp = parseProperties(text, 'cpus')
  const of = (name: string): number => Number(smp.get(name) ?? 1)
  const count = smp.has('cpus')
    ? Number(smp.get('cpus'))
    : of('sockets') * of('dies') * of('cores') * of('threads')
  return Number.isInteger(count) && count > 0 ? count : malformed(`-smp ${text} names no processors`)
}

/** Processors in `0-3`, counted. */
const rangeLength = (text: string): number => {
  const [from, to = from] = text.split('-')
  return Number(to) - Number(from) + 1
}

function readOptions(all: readonly string[]): CommandLine {
  const devices: DeviceArgument[] = []
  const objects = new Map<string, number>()
  const netdevQueues = new Map<string, number>()
  const numa: { memoryMiB: number | undefined; memdev: string | undefined; cpus: number }[] = []
  const globals: CommandLine['globals'][number][] = []
  let machine = new Map<string, string>()
  let nodefaults = false
  let memoryMiB = 128
  let processors = 1
  let vga: string | undefined
  let usb = false
  let networkOption = false
  const cards: string[] = []
  let append: string | undefined
  const start = all[0]?.startsWith('-') === false ? 1 : 0
  for (let i = start; i < all.length; i++) {
    const word = all[i]!
    if (!word.startsWith('-')) malformed(`"${word}" is no option`)
    const option = word.replace(/^--?/, '')
    if (option === 'nodefaults') {
      nodefaults = true
      continue
    }
    if (option === 'usb') {
      usb = true
      continue
    }
    if (FLAGS.has(option)) continue
    const value = all[++i]
    if (value === undefined) return malformed(`-${option} has no value`)
    switch (option) {
      case 'machine':
      case 'M':
        machine = new Map([...machine, ...parseProperties(value, 'type')])
        break
      case 'device':
        devices.push(parseDevice(value))
        break
      case 'm': {
        const size = parseProperties(value, 'size').get('size')
        if (size !== undefined) memoryMiB = mebibytes(size)
        break
      }
      case 'smp':
        processors = processorsOf(value)
        break
      case 'append':
        append = value
        break
      case 'vga':
        vga = value
        break
      case 'object': {
        const object = parseProperties(value, 'qom-type')
        const size = object.get('size')
        if (size !== undefined) objects.set(object.get('id') ?? '', mebibytes(size))
        break
      }
      case 'numa': {
        const node = parseProperties(value, 'type')
        if (node.get('type') !== 'node') break
        const cpus = node.get('cpus')
        numa.push({
          memoryMiB: node.has('mem') ? mebibytes(node.get('mem')!) : undefined,
          memdev: node.get('memdev'),
          cpus: cpus === undefined ? 0 : rangeLength(cpus),
        })
        break
      }
      case 'netdev': {
        const netdev = parseProperties(value, 'type')
        networkOption = true
        netdevQueues.set(netdev.get('id') ?? '', Number(netdev.get('queues') ?? 1))
        break
      }
      case 'global': {
        const [, driver, property, set] = /^([^.=]+)\.([^=]+)=(.*)$/.exec(value) ?? []
        if (driver !== undefined) globals.push({ driver, property: property!, value: set! })
        break
      }
      case 'nic':
      case 'net': {
        const nic = parseProperties(value, 'type')
        networkOption = true
        if (nic.get('type') === 'none' || (option === 'net' && nic.get('type') !== 'nic')) break
        cards.push(nic.get('model') ?? DEFAULT_CARD)
        break
      }
      default:
        if (!ASIDE.has(option)) malformed(`option -${option} is not known`)
    }
  }
  return {
    machine: machine.get('type') ?? 'pc',
    machineProperties: machine,
    devices,
    nodefaults,
    memoryMiB,
    processors,
    numaNodes: numa.map(({ memoryMiB: own, memdev, cpus }) => ({
      memoryMiB: own ?? (memdev === undefined ? undefined : objects.get(memdev)),
      cpus,
    })),
    vga,
    usb,
    append,
    globals,
    networkCards: networkOption || nodefaults ? cards : [DEFAULT_CARD],
    netdevQueues,
    objectSizes: new Map([...objects].map(([id, mebibytes]) => [id, mebibytes * 2 ** 20])),
  }
}

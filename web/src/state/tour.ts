/** The guided tour: stations, each with where it is, what to look at, and, where there is something to do, whether it was done. */
import { computed, signal } from '@preact/signals'
import { go, type Place } from './place.ts'
import { startTraffic } from './traffic.ts'
import { faults, functions, platform, TOUR, vms } from './world.ts'

const KEY = 'northbridge.tour'

export interface Station {
  readonly title: string
  readonly text: string
  readonly where: Partial<Place>
  /** CSS selector of what is pointed at. */
  readonly target: string
  readonly done?: boolean
}

export const station = signal<number | undefined>(undefined)

const stations = computed((): readonly Station[] => {
  const fault = faults.value.at(-1)
  const physical = functions.value.find(({ sriov }) => sriov !== undefined)
  const idle = functions.value.find(({ kind, owner }) => kind === 'VF' && owner.kind !== 'vm')
  const given = functions.value.filter(({ owner }) => owner.kind === 'vm')
  return [
    {
      title: 'A machine',
      text: 'Sockets, remapping units, root ports and the functions behind them; on the right the virtual machines, with lines to what they were given. Colours at the left edges are IOMMU groups. All of it is simulated to the bit.',
      where: { view: 'machine', selected: undefined },
      target: '.map',
    },
    {
      title: 'Virtual functions',
      text: 'A network card of SR-IOV shows up as many functions. Enable some, and they appear in its box, each in a group of its own.',
      where: { view: 'machine', selected: physical && `function:${physical.address}` },
      target: 'form[aria-label="Virtual functions"]',
      done: functions.value.some(({ kind }) => kind === 'VF'),
    },
    {
      title: 'Give one away',
      text: `Drag a square onto a virtual machine, or choose one here and press Assign. The host writes tables so that the function reaches its machine and nothing else.`,
      where: { view: 'machine', selected: idle && `function:${idle.address}` },
      target: 'form[aria-label="Assignment"]',
      done: vms.value.length > 0 && given.length > vms.value.length,
    },
    {
      title: 'Traffic',
      text: 'What devices do, while they do it: requests, faults, interrupts, exits. Press a meter to see that kind only.',
      where: { view: 'events' },
      target: '.meters',
    },
    {
      title: 'A fault, explained',
      text: 'A function asked for an address that its machine does not have. Here is every table entry that the unit looked at, bit by bit, and which one refused.',
      where: fault
        ? { view: 'walk', selected: `function:${fault.source}`, address: fault.address }
        : { view: 'walk' },
      target: '.walk > li:last-child',
    },
    {
      title: 'A hole in the wall',
      text: 'A single bit of one table entry has flipped, and a function reaches the memory of another machine. The report names the entry. Press Repair: the host writes it anew, and the hole is gone.',
      where: { view: 'isolation' },
      target: '.breaches, .cards',
    },
    {
      title: 'Experiments',
      text: 'Two sweeps over the same axis, side by side: how an SR-IOV function and an emulated card compare, and what the difference is made of.',
      where: { view: 'experiments' },
      target: 'section[aria-label="Side by side"], .cards',
    },
    {
      title: 'Your own machine',
      text: 'Add sockets, ports, switches and cards in the map, or write the document; the server judges every change at once. Then build it and power it on.',
      where: { view: 'compose' },
      target: '.composing',
    },
  ]
})

export const here = computed(() => {
  const number = station.value
  const all = stations.value
  return number === undefined ? undefined : { ...all[number]!, number, of: all.length }
})

export function visit(number: number): void {
  station.value = number
  go(stations.value[number]!.where)
}

export function endTour(): void {
  station.value = undefined
  localStorage.setItem(KEY, 'seen')
}

/** Who followed a link to some place stays there. */
const linked = location.hash.includes('view=')
let greeted = false

/** The example has traffic; who comes to it for the first time is shown around. */
export function startTour(): void {
  if (greeted || platform.value?.id !== TOUR) return
  greeted = true
  startTraffic()
  if (localStorage.getItem(KEY) === null && !linked) visit(0)
}

/** What stands on the map: sockets, remapping units, functions, virtual machines; with less detail from afar. */
import { computed } from '@preact/signals'
import type { PcieFunction, VirtualMachine } from '../api.ts'
import { select, selection } from '../state/place.ts'
import { faults } from '../state/world.ts'
import { asButton } from './as-button.ts'
import { dragged, startDrag } from './drag.ts'
import { type Band, BOX, type FunctionBox, type MachineBox, type UnitBox } from './layout.ts'
import { groupColour, kindName, ownerClass, shortAddress } from './words.ts'

/** Functions that have faulted, as remapping units recorded it. */
const faulty = computed(() => new Set(faults.value.map(({ source }) => source)))

const isChosen = (kind: string, name: string): boolean =>
  selection.value?.kind === kind && selection.value.name === name

const classes = (...names: readonly (string | false)[]): string => names.filter(Boolean).join(' ')

export function BandBox({ band: { x, y, width, height, title } }: { band: Band }) {
  return (
    <g class="band">
      <rect x={x} y={y} width={width} height={height} rx={8} />
      <text x={x + 12} y={y + 18}>
        {title}
      </text>
    </g>
  )
}

export function UnitNode({ box: { unit, roots, x, y, width, height } }: { box: UnitBox }) {
  if (unit === undefined) {
    return (
      <text class="owner" x={x} y={y + height / 2 + 4}>
        not remapped
      </text>
    )
  }
  const chosen = isChosen('unit', unit.id)
  const detail = `${roots} on root bus`
  return (
    <g class={classes('node unit', chosen && 'chosen')}>
      <g {...asButton(`Unit ${unit.id} ${detail}`, chosen, () => select({ kind: 'unit', name: unit.id }))}>
        <rect class="body" x={x} y={y} width={width} height={height} rx={height / 2} />
        <text class="name" x={x + width / 2} y={y + 19} text-anchor="middle">
          {`Unit ${unit.id} `}
        </text>
        <text class="owner" x={x + width / 2} y={y + 34} text-anchor="middle">
          {detail}
        </text>
      </g>
    </g>
  )
}

/** As it is written in the box (texts end in spaces for that), so that who speaks to the page can say what he sees. */
const sayFunction = (fn: PcieFunction): string =>
  [
    kindName(fn),
    shortAddress(fn.address),
    sayOwner(fn),
    fn.sriov && `${fn.sriov.numVfs} of ${fn.sriov.totalVfs} VFs`,
    faulty.value.has(fn.address) && 'has faulted',
  ]
    .filter(Boolean)
    .join(' ')

const sayOwner = ({ owner, driver }: PcieFunction): string =>
  owner.kind === 'vm' ? `→ ${owner.name}` : (driver ?? 'no driver')

const functionClass = (fn: PcieFunction): string =>
  classes(
    ownerClass(fn),
    isChosen('function', fn.address) && 'chosen',
    faulty.value.has(fn.address) && 'faulty',
  )

const functionButton = (fn: PcieFunction) =>
  asButton(sayFunction(fn), isChosen('function', fn.address), () =>
    select({ kind: 'function', name: fn.address }),
  )

export function FunctionNode({ box, far }: { box: FunctionBox; far: boolean }) {
  const { fn, x, y, width, height } = box
  return (
    <g class={`node ${functionClass(fn)}`}>
      <g {...functionButton(fn)} onPointerDown={startDrag(fn.address)}>
        <rect class="body" x={x} y={y} width={width} height={height} rx={6} />
        <rect class="group" x={x} y={y} width={5} height={height} rx={2} fill={groupColour(fn.group)} />
        {far ? (
          <text class="afar" x={x + 14} y={y + 30}>
            {shortAddress(fn.address)}
          </text>
        ) : (
          <FunctionTexts box={box} />
        )}
      </g>
      {far ? <Share box={box} /> : <VirtualFunctions box={box} />}
    </g>
  )
}

function FunctionTexts({ box: { fn, x, y, width } }: { box: FunctionBox }) {
  return (
    <>
      <text class="name" x={x + 14} y={y + 18}>
        {`${kindName(fn)} `}
      </text>
      <text class="address" x={x + width - 8} y={y + 18} text-anchor="end">
        {`${shortAddress(fn.address)} `}
      </text>
      <text class="owner" x={x + 14} y={y + 34}>
        {`${sayOwner(fn)} `}
      </text>
      {fn.sriov && (
        <text class="owner" x={x + width - 8} y={y + 34} text-anchor="end">
          {fn.sriov.numVfs} of {fn.sriov.totalVfs} VFs
        </text>
      )}
    </>
  )
}

function VirtualFunctions({ box: { virtualFunctions, named } }: { box: FunctionBox }) {
  return (
    <>
      {virtualFunctions.map(vf => (
        <g
          key={vf.fn.address}
          class={`vf ${functionClass(vf.fn)}`}
          {...functionButton(vf.fn)}
          onPointerDown={startDrag(vf.fn.address)}
        >
          <rect x={vf.x} y={vf.y} width={vf.width} height={vf.height} rx={3} />
          {named && (
            <text x={vf.x + vf.width / 2} y={vf.y + 14} text-anchor="middle">
              {vf.fn.address.slice(-4)}
            </text>
          )}
        </g>
      ))}
    </>
  )
}

/** From afar: how many of a physical function's virtual ones are given away, as a bar. */
function Share({ box: { virtualFunctions, x, y, width, height } }: { box: FunctionBox }) {
  if (virtualFunctions.length === 0) return null
  const given = virtualFunctions.filter(({ fn }) => fn.owner.kind === 'vm').length / virtualFunctions.length
  const place = { x: x + 14, y: y + BOX.height, height: Math.max(6, height - BOX.height - 10) }
  return (
    <g class="share">
      <rect {...place} width={width - 28} />
      <rect class="given" {...place} width={(width - 28) * given} />
    </g>
  )
}

const sayMachine = ({ vcpus, memoryMiB, devices }: VirtualMachine): string =>
  `${vcpus} vCPU · ${memoryMiB} MiB · ${devices.length} function${devices.length === 1 ? '' : 's'}`

export function MachineNode({
  box: { vm, x, y, width, height },
  named,
}: {
  box: MachineBox
  named: boolean
}) {
  const chosen = isChosen('vm', vm.name)
  return (
    <g
      class={classes(
        'node machine',
        chosen && 'chosen',
        dragged.value !== undefined && 'target',
        !named && vm.devices.length > 0 && 'assigned',
      )}
      data-vm={vm.name}
      {...asButton(`Virtual machine ${vm.name} ${sayMachine(vm)}`, chosen, () =>
        select({ kind: 'vm', name: vm.name }),
      )}
    >
      <rect class="body" x={x} y={y} width={width} height={height} rx={named ? 6 : 3} />
      {named ? (
        <>
          <text class="name" x={x + 14} y={y + 22}>
            {`${vm.name} `}
          </text>
          <text class="owner" x={x + 14} y={y + 42}>
            {sayMachine(vm)}
          </text>
        </>
      ) : (
        <title>{`${vm.name}: ${sayMachine(vm)}`}</title>
      )}
    </g>
  )
}

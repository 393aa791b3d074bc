import type { RemappingUnit } from '../api.ts'
import { shortAddress } from '../map/words.ts'
import { Facts } from '../parts/facts.tsx'
import { linkTo } from '../state/place.ts'
import { faults } from '../state/world.ts'

/** Fields of the capability registers that people ask for, in words. */
const CAPABILITIES = {
  SAGAW: 'Widths of addresses (SAGAW)',
  ND: 'Domain ids (ND)',
  SSLPS: 'Large pages (SSLPS)',
  CM: 'Caching mode (CM)',
  QI: 'Queued invalidation (QI)',
  IR: 'Interrupt remapping (IR)',
  PI: 'Posted interrupts (PI)',
  DT: 'Device-TLBs (DT)',
  SMTS: 'Scalable mode (SMTS)',
  NEST: 'Nested translation (NEST)',
} as const

export function UnitPanel({ unit }: { unit: RemappingUnit }) {
  const recorded = faults.value.filter(fault => fault.unit === unit.id)
  return (
    <>
      <h2>
        Remapping unit <code>{unit.id}</code>
      </h2>
      <Facts
        of={[
          ['Kind', unit.kind],
          unit.version !== undefined && ['Version', unit.version],
          ['Segment', unit.segment],
          ['Socket', unit.numaNode < 0 ? 'not said' : unit.numaNode],
          [
            'Serves',
            `${unit.functions.length} functions${unit.includeAll ? ', and all that no other does' : ''}`,
          ],
          ...Object.entries(CAPABILITIES).map(
            ([name, words]) => [words, unit.capabilities[name] ?? 0] as const,
          ),
        ]}
      />
      <section>
        <h3>Faults</h3>
        {recorded.length === 0 && <p class="hint">None recorded.</p>}
        <ul class="list">
          {recorded.map((fault, i) => (
            <li key={i}>
              <a
                href={linkTo({
                  view: 'walk',
                  selected: `function:${fault.source}`,
                  address: fault.address,
                })}
              >
                {shortAddress(fault.source)} at {fault.address}
              </a>{' '}
              {fault.reason} {fault.name}
            </li>
          ))}
        </ul>
      </section>
    </>
  )
}

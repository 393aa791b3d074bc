/** How the journey of a frame or a block is shown. */
import { type Static, type TProperties, Type } from '@sinclair/typebox'
import type { Journey } from '../system/index.ts'
import { Count, Facts, Fields } from './schemas.ts'

const Any = Count(Number.MAX_SAFE_INTEGER)

const JOURNEY = {
  steps: Type.Array(Fields({ at: Type.String(), step: Type.String(), detail: Facts })),
  exits: Any,
  exitsByReason: Type.Record(Type.String(), Type.Number()),
  copies: Type.Integer({ minimum: 0, description: 'By the hypervisor, between its memory and the guest’s' }),
  copiedBytes: Any,
  registerReads: Type.Integer({ minimum: 0, description: 'Accesses of processors that reached a function' }),
  registerWrites: Any,
  dmaReads: Type.Integer({ minimum: 0, description: 'Requests of devices, interrupt messages apart' }),
  dmaWrites: Any,
  iotlbLookups: Any,
  iotlbHits: Any,
  tableReads: Any,
  interrupts: Type.Integer({ minimum: 0, description: 'Interrupt messages of devices' }),
}

/** A journey with what became of it. */
export const JourneyView = <Properties extends TProperties>(
  properties: Properties,
  options: { readonly $id: string; readonly description: string },
) => Fields({ ...properties, ...JOURNEY }, options)

const plain = Fields(JOURNEY)
type JourneyFields = Static<typeof plain>

export const journeyFields = ({ steps, costs }: Journey): JourneyFields => ({
  steps: steps.map(step => ({ ...step, detail: { ...step.detail } })),
  ...costs,
  exitsByReason: { ...costs.exitsByReason },
})

const NAME_WIDTH = 16

/** Lines of the steps, and a last one of the costs. */
export function tellJourney({ steps, ...costs }: JourneyFields): string {
  const lines = steps.map(({ at, step, detail }) => {
    const facts = Object.entries(detail).flatMap(([key, value]) =>
      value === null ? [] : [`${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`],
    )
    return `  ${at.padEnd(NAME_WIDTH)} ${step.padEnd(10)} ${facts.join(', ')}`.trimEnd()
  })
  const exits = Object.entries(costs.exitsByReason).map(([reason, count]) => `${count} ${reason}`)
  const sum = [
    `Exits ${costs.exits}${exits.length === 0 ? '' : ` (${exits.join(', ')})`}`,
    `copies ${costs.copies} (${costs.copiedBytes} bytes)`,
    `registers read ${costs.registerReads}, written ${costs.registerWrites}`,
    `DMA reads ${costs.dmaReads}, writes ${costs.dmaWrites}`,
    `IOTLB lookups ${costs.iotlbLookups}, hits ${costs.iotlbHits}`,
    `table reads ${costs.tableReads}`,
    `interrupt messages ${costs.interrupts}`,
  ]
  return [...lines, `${sum.join('; ')}.`].join('\n')
}

/** Context and PASID entries of a capture against what the unit says it reads when it explains a request. */
import { parsePhysical } from '../core/index.ts'
import type { ExplanationStep } from '../vtd/index.ts'
import type { LinuxMachine } from './linux-machine.ts'
import type { LinuxContext } from './linux-tables.ts'
import type { Difference } from './observation.ts'

/** The first thing that is not as captured. */
export function contextProblem({ unit }: LinuxMachine, context: LinuxContext): Difference | undefined {
  const { steps } = unit.explain(Number(context.rid), 0, 0, false)
  const entries = [
    { ...context, what: 'context entry', fields: contextFields(context) },
    ...(context.pasids ?? [])
      .filter(({ pasid }) => pasid === (context.rid_pasid ?? 0))
      .map(entry => ({ ...entry, what: 'PASID-table entry', fields: pasidFields(entry) })),
  ]
  for (const { what, entry, fields } of entries) {
    const step = steps.find(({ entryAddress }) => entryAddress !== undefined && same(entryAddress, entry))
    if (step === undefined) return { expected: `${what} at ${entry}`, got: 'no such step of the walk' }
    for (const [name, value] of Object.entries(fields)) {
      const got = fieldOf(step, name)
      if (value !== undefined && got !== value) {
        return { expected: `${what}.${name} = ${value}`, got: String(got) }
      }
    }
  }
  return undefined
}

const same = (a: string, b: string): boolean => BigInt(a) === BigInt(b)

type Wanted = Readonly<Record<string, number | undefined>>

const contextFields = ({
  present,
  fpd,
  tt,
  aw,
  did,
  ptr,
  pdts,
  pasid_dir,
  rid_pasid,
}: LinuxContext): Wanted => ({
  P: Number(present),
  FPD: Number(fpd),
  TT: tt,
  AW: aw,
  DID: did,
  // The address means nothing to pass-through.
  SSPTPTR: ptr === undefined || tt === 2 ? undefined : parsePhysical(ptr),
  PDTS: pdts,
  PASIDDIRPTR: pasid_dir === undefined ? undefined : parsePhysical(pasid_dir),
  RID_PASID: rid_pasid,
})

const pasidFields = ({
  present,
  pgtt,
  aw,
  did,
  ssptptr,
  fsptptr,
}: NonNullable<LinuxContext['pasids']>[number]): Wanted => ({
  P: Number(present),
  PGTT: pgtt,
  AW: aw,
  DID: did,
  SSPTPTR: pgtt === 2 || pgtt === 3 ? parsePhysical(ssptptr) : undefined,
  FSPTPTR: pgtt === 1 || pgtt === 3 ? parsePhysical(fsptptr) : undefined,
})

/** Addresses are shown as text, other fields as numbers. */
function fieldOf({ fields = {} }: ExplanationStep, name: string): number | undefined {
  const value = fields[name]
  return value === undefined ? undefined : Number(value)
}

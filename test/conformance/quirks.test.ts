import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseVectors, readText, replay, type VectorProgram } from '../../src/conformance/index.ts'
import { Engine } from '../../src/engine/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import {
  NO_QUIRKS,
  QEMU_11_1,
  QUIRK_OF_TAG,
  QUIRK_PRESETS,
  type QuirkName,
  quirksByName,
  RemappingUnit,
} from '../../src/vtd/index.ts'

const FOLDER = fileURLToPath(new URL('../data/conformance/vtd', import.meta.url))
const PROGRAMS: VectorProgram[] = readdirSync(FOLDER)
  .filter(name => name.endsWith('.gz'))
  .flatMap(file => parseVectors(readText(join(FOLDER, file)), file))
  .flatMap(parsed => ('program' in parsed ? [parsed.program] : []))

/** Where the specification says what the departing unit does not do: by tag, the title of the section. */
const SECTIONS: readonly (readonly [tag: string, section: string])[] = [
  ['legacy-reason-in-scalable-mode', 'DMA Remapping Fault Reasons'],
  ['interrupt-range-reason-follows-capability', 'DMA Remapping Fault Reasons'],
  ['pasid-entry-type-checked-before-present', 'Scalable-Mode PASID Table Entry'],
  ['pasid-directory-reserved-not-checked', 'Scalable-Mode PASID Directory Entry'],
  ['pasid-entry-reserved-not-checked', 'Scalable-Mode PASID Table Entry'],
  ['rid-pasid-ignored-without-rps', 'Scalable-Mode Context Entry'],
  ['accessed-dirty-without-snooped-walk', 'Accessed, Extended Accessed, and Dirty Flags'],
  ['snoop-bit-accepted-without-sc', 'Second-Stage Paging Entries'],
  ['fault-address-above-mgaw', 'Fault Recording Registers'],
  ['pasid-fpd-not-honoured', 'Fault Processing Disable'],
  ['1g-page-accepted-without-fs1gp', 'First-Stage Paging Entries'],
  ['first-stage-canonical-check-uses-aw', 'Scalable-Mode PASID Table Entry'],
  ['accessed-set-on-faulting-walk', 'Accessed, Extended Accessed, and Dirty Flags'],
  ['dirty-or-accessed-not-updated', 'Accessed, Extended Accessed, and Dirty Flags'],
  ['permission-fault-on-iotlb-hit-not-recorded', 'Fault Logging'],
  ['fault-compression', 'Primary Fault Logging'],
  ['several-fault-conditions', 'no order is given'],
  ['fectl-ip-kept-until-fsts-write', 'Fault Event Control Register'],
  ['reserved-translation-table-mode-accepted', 'Root Table Address Register'],
  ['queue-disable-refused', 'Global Command Register'],
  ['queue-resumes-at-tail-write', 'Queued Invalidation Interface'],
  ['empty-wait-rejected', 'Invalidation Wait Descriptor'],
  ['device-tlb-descriptor-accepted-without-dt', 'Queued Invalidation Interface'],
  ['iqa-base-hidden-until-qie', 'Invalidation Queue Address Register'],
  ['eime-writable-without-eim', 'Interrupt Remapping Table Address Register'],
  ['cfis-never-set', 'Global Command Register'],
  ['compatibility-format-not-blocked', 'Interrupt Requests in Compatibility Format'],
  ['source-validation-bus-range-swapped', 'Interrupt Remapping Table Entry'],
  ['reserved-svt-reported-as-source-id-failure', 'Interrupt Remapping Table Entry'],
  ['irte-mode-bit-not-checked', 'Interrupt Remapping Table Entry'],
]

/** Steps with a tag, those with no other tag first. */
const stepsWith = (tag: string): { program: VectorProgram; index: number }[] =>
  PROGRAMS.flatMap(program =>
    program.steps.flatMap((step, index) =>
      'quirk' in step && step.quirk?.includes(tag) ? [{ program, index, tags: step.quirk.length }] : [],
    ),
  ).sort((a, b) => a.tags - b.tags)

/** A program in which one step is held to the recording whatever its tags say. */
function heldToRecord({ program, index }: { program: VectorProgram; index: number }) {
  const steps = [...program.steps]
  const {
    quirk: _quirk,
    spec: _spec,
    implementationDefined: _choice,
    ...bare
  } = steps[index] as never as Record<string, unknown>
  steps[index] = bare as never
  return { id: program.id, program: { ...program, steps } }
}

describe('quirks', () => {
  it('are named by the tags of the recordings, each once', () => {
    expect(SECTIONS.map(([tag]) => tag).sort()).toEqual(Object.keys(QUIRK_OF_TAG).sort())
    expect(new Set(Object.values(QUIRK_OF_TAG)).size).toBe(SECTIONS.length)
    const seen = new Set(
      PROGRAMS.flatMap(({ steps }) => steps.flatMap(step => ('quirk' in step ? (step.quirk ?? []) : []))),
    )
    expect([...seen].filter(tag => tag !== 'outside-ram').sort()).toEqual(Object.keys(QUIRK_OF_TAG).sort())
  })

  it.each(SECTIONS)('%s: by default the specification wins (%s)', tag => {
    const candidates = stepsWith(tag)
    expect(candidates.length).toBeGreaterThan(0)
    // A step whose recording a unit without quirks cannot meet, and the unit with them does.
    const telling = candidates.find(at => {
      const failed = replay(heldToRecord(at), NO_QUIRKS).failure?.at
      // What a store into a queue has done may show later.
      return failed !== undefined && Number(/\d+/.exec(failed)?.[0]) >= at.index
    })
    expect(telling).toBeDefined()
    expect(replay(heldToRecord(telling!), QEMU_11_1).failures).toBe(0)
    const { program } = telling!
    expect(replay({ id: program.id, program }, NO_QUIRKS).failures).toBe(0)
  })

  it.each([
    ['interruptRangeCheckedForWholePage', 'legacy-reserved'],
    ['contextDomainInvalidationIsGlobal', 'inval-reg'],
    ['iotlbTaggedBySourceId', 'legacy-basic'],
    ['notPresentNeverCached', 'inval-reg'],
  ] as const satisfies readonly (readonly [QuirkName, string])[])(
    '%s shows in %s although no step is tagged',
    (name, profile) => {
      const without = { ...QEMU_11_1, [name]: false }
      const verdicts = PROGRAMS.filter(program => program.profile === profile).map(program =>
        replay({ id: program.id, program }, without),
      )
      expect(verdicts.filter(({ failures }) => failures > 0).length).toBeGreaterThan(0)
    },
  )

  it('come as presets by name', () => {
    expect(QUIRK_PRESETS).toEqual(['none', 'qemu-11.1'])
    expect(quirksByName('none')).toBe(NO_QUIRKS)
    expect(Object.values(quirksByName('qemu-11.1')).every(on => on)).toBe(true)
    expect(Object.isFrozen(NO_QUIRKS) && Object.isFrozen(QEMU_11_1)).toBe(true)
    for (const name of ['qemu', '', 'toString', '__proto__']) {
      expect(() => quirksByName(name)).toThrow(/there are no quirks named/)
    }
  })

  it('are off unless a unit is made with them', () => {
    const environment = {
      memory: new PhysicalMemory([{ base: 0, size: 4096 }]),
      interrupts: { deliver: () => -1 },
      engine: new Engine(),
    }
    const options = { id: 'u', index: 0, hostAddressWidth: 48 }
    expect(new RemappingUnit(options, environment).quirks).toBe(NO_QUIRKS)
    expect(new RemappingUnit({ ...options, quirks: QEMU_11_1 }, environment).quirks).toBe(QEMU_11_1)
  })
})

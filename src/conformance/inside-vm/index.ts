/** Replays programs on the remapping unit of a guest, from inside its virtual machine. */
import { NO_QUIRKS } from '../../vtd/index.ts'
import type { Verdict } from '../report.ts'
import { replayOn } from '../vtd-replay.ts'
import type { ParsedProgram } from '../vtd-vectors.ts'
import { GuestMachine } from './guest-machine.ts'
import { Laboratory } from './laboratory.ts'

/** Programs on one platform: what earlier ones have written makes later ones slower. */
const PROGRAMS_PER_LABORATORY = 16

/** CAP.FS1GP */
const isLargePaged = (cap: string): boolean => ((BigInt(cap) >> 56n) & 1n) === 1n

/** Replays programs one after another; the specification is followed throughout. */
export function replayInsideVm(programs: readonly ParsedProgram[]): Verdict[] {
  const laboratories = new Map<boolean, { readonly laboratory: Laboratory; programs: number }>()
  const laboratoryFor = (largePages: boolean): Laboratory => {
    let found = laboratories.get(largePages)
    if (found === undefined || found.programs === PROGRAMS_PER_LABORATORY) {
      found = { laboratory: new Laboratory(largePages), programs: 0 }
      laboratories.set(largePages, found)
    }
    found.programs++
    return found.laboratory
  }
  return programs.map(parsed => {
    let machine: GuestMachine | undefined
    const verdict = replayOn(parsed, NO_QUIRKS, program => {
      machine = new GuestMachine(laboratoryFor(isLargePaged(program.unit.cap)), program)
      return machine
    })
    machine?.end()
    return verdict
  })
}
